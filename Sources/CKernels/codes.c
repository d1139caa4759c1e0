// Rotation, and distances estimated from 4-bit codes at every level.
#include "codes.h"
#include "distance_levels.h"
#include <string.h>

// Butterflies between elements `step` and more apart.
static inline __attribute__((always_inline)) void transform(float *part, size_t power, size_t step) {
  for (; step < power; step *= 2)
    for (size_t block = 0; block < power; block += 2 * step)
      for (size_t i = block; i < block + step; i++) {
        float a = part[i], b = part[i + step];
        part[i] = a + b;
        part[i + step] = a - b;
      }
}

static void flip_and_transform_portable(float *vector, size_t dimension, const uint64_t *signs, size_t bit,
                                        float *part, size_t power) {
  for (size_t i = 0; i < dimension; i++, bit++)
    if (signs[bit / 64] >> (bit % 64) & 1) vector[i] = -vector[i];
  transform(part, power, 1);
}

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX512F __attribute__((target("avx512f,avx512dq")))

// Butterflies within a register: each element plus or minus the one that `swapped` puts in its place.
#define WITHIN(x, swapped, minus) _mm512_add_ps(swapped, _mm512_xor_ps(x, minus))
#define BETWEEN(a, b)                  \
  do {                                 \
    __m512 sum = _mm512_add_ps(a, b);  \
    b = _mm512_sub_ps(a, b);           \
    a = sum;                           \
  } while (0)

// `vectors` registers of 16, a power of two up to 8, transformed as one.
AVX512F static inline __attribute__((always_inline)) void transform_registers(float *part, int vectors) {
  const __m512 minus = _mm512_set1_ps(-0.0f);
  const __m512 minus1 = _mm512_maskz_mov_ps(0xaaaa, minus), minus2 = _mm512_maskz_mov_ps(0xcccc, minus);
  const __m512 minus4 = _mm512_maskz_mov_ps(0xf0f0, minus), minus8 = _mm512_maskz_mov_ps(0xff00, minus);
  __m512 x[8];
  for (int i = 0; i < vectors; i++) {
    __m512 y = _mm512_loadu_ps(part + i * 16);
    y = WITHIN(y, _mm512_permute_ps(y, 0xb1), minus1);
    y = WITHIN(y, _mm512_permute_ps(y, 0x4e), minus2);
    y = WITHIN(y, _mm512_shuffle_f32x4(y, y, 0xb1), minus4);
    x[i] = WITHIN(y, _mm512_shuffle_f32x4(y, y, 0x4e), minus8);
  }
  for (int step = 1; step < vectors; step *= 2)
    for (int i = 0; i < vectors; i++)
      if ((i & step) == 0) BETWEEN(x[i], x[i + step]);
  for (int i = 0; i < vectors; i++) _mm512_storeu_ps(part + i * 16, x[i]);
}

AVX512F static void flip_and_transform_avx512(float *vector, size_t dimension, const uint64_t *signs,
                                              size_t bit, float *part, size_t power) {
  for (size_t i = 0; i < dimension; i += 16, bit += 16) {
    size_t count = dimension - i < 16 ? dimension - i : 16;
    uint64_t bits = signs[bit / 64] >> (bit % 64);
    if (bit % 64 + count > 64) bits |= signs[bit / 64 + 1] << (64 - bit % 64);
    __mmask16 used = (__mmask16)((1u << count) - 1);
    __m512 x = _mm512_maskz_loadu_ps(used, vector + i);
    _mm512_mask_storeu_ps(vector + i, used,
                          _mm512_mask_xor_ps(x, (__mmask16)bits, x, _mm512_set1_ps(-0.0f)));
  }
  if (power == 16) return transform_registers(part, 1);
  if (power == 32) return transform_registers(part, 2);
  if (power == 64) return transform_registers(part, 4);
  for (size_t i = 0; i < power; i += 128) transform_registers(part + i, 8);
  transform(part, power, 128);
}
#endif

void roost_rotate(float *vector, size_t dimension, const uint64_t *signs) {
  size_t power = 1;
  while (power * 2 <= dimension) power *= 2;
  const float norm = 1.0f / (float)sqrt((double)power);
  for (size_t round = 0; round < 4; round++) {
    float *part = round % 2 == 0 ? vector : vector + (dimension - power);
#if defined(__x86_64__)
    if (power >= 16 && roost_cpu_level() >= ROOST_AVX512)
      flip_and_transform_avx512(vector, dimension, signs, round * dimension, part, power);
    else
#endif
      flip_and_transform_portable(vector, dimension, signs, round * dimension, part, power);
    for (size_t i = 0; i < power; i++) part[i] *= norm;
  }
}

#define GRID_STEPS 12

static inline int code_of(float value, float inverse_scale) {
  // Truncation of a number that is not negative rounds to nearest, the half being in the 7.5.
  float level = value * inverse_scale + 8.0f;
  return level <= 0.0f ? 0 : level >= 15.0f ? 15 : (int)level;
}

void roost_encode_codes(const float *vector, size_t dimension, uint8_t *row) {
  const size_t half = (dimension + 1) / 2;
  float largest = 0;
  double norm = 0;
  for (size_t i = 0; i < dimension; i++) {
    float size = fabsf(vector[i]);
    if (size > largest) largest = size;
    norm += (double)vector[i] * vector[i];
  }
  memset(row, 0, half);
  float best_scale = 0, scale = 0, squared = (float)norm;
  double best_cosine = 0, best_product = 0;
  for (int step = 0; step < GRID_STEPS && largest > 0; step++) {
    // From clipping the outer half of the largest elements to clipping nothing.
    float candidate = largest * (0.45f + 0.55f * (float)step / (GRID_STEPS - 1)) / 7.5f;
    float inverse = 1.0f / candidate;
    if (!(inverse < INFINITY)) continue;
    double product = 0, length = 0;
    for (size_t i = 0; i < dimension; i++) {
      float level = (float)code_of(vector[i], inverse) - 7.5f;
      product += (double)(level * vector[i]);
      length += (double)(level * level);
    }
    double cosine = product / sqrt(length);
    if (cosine > best_cosine) {
      best_cosine = cosine;
      best_scale = candidate;
      best_product = product;
    }
  }
  if (best_product > 0) {
    float inverse = 1.0f / best_scale;
    for (size_t i = 0; i < dimension; i++) {
      int code = code_of(vector[i], inverse);
      row[i < half ? i : i - half] |= (uint8_t)(i < half ? code : code << 4);
    }
    scale = (float)(norm / best_product);
  }
  memcpy(row + half, &scale, 4);
  memcpy(row + half + 4, &squared, 4);
}

static inline float estimate(const roost_code_query *query, const uint8_t *row, int32_t sum) {
  float scale, norm;
  memcpy(&scale, row + query->half, 4);
  memcpy(&norm, row + query->half + 4, 4);
  return query->base + query->norm_weight * norm + query->scale_weight * scale * ((float)sum - query->offset);
}

static int32_t code_sum_portable(const roost_code_query *query, const uint8_t *row) {
  int32_t sum = 0;
  for (size_t i = 0; i < query->half; i++)
    sum += (row[i] & 15) * query->low[i] + (row[i] >> 4) * query->high[i];
  return sum;
}

#define ANY_TARGET
#define CODE_KERNEL(NAME, TARGET, SUM)                                                                  \
  TARGET static void NAME(const roost_code_query *query, const void *const *rows, size_t count,         \
                          float *estimates) {                                                           \
    for (size_t i = 0; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], query->half + 8);        \
    for (size_t i = 0; i < count; i++) {                                                                \
      if (i + ROWS_AHEAD < count) prefetch_row(rows[i + ROWS_AHEAD], query->half + 8);                  \
      estimates[i] = estimate(query, rows[i], SUM(query, rows[i]));                                     \
    }                                                                                                   \
  }

CODE_KERNEL(codes_portable, ANY_TARGET, code_sum_portable)

#if defined(__x86_64__)
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

AVX2 static inline int32_t code_sum_avx2(const roost_code_query *query, const uint8_t *row) {
  const __m256i nibble = _mm256_set1_epi8(15), ones = _mm256_set1_epi16(1);
  __m256i total = _mm256_setzero_si256();
  size_t i = 0;
  for (; i + 32 <= query->half; i += 32) {
    __m256i codes = _mm256_loadu_si256((const __m256i *)(row + i));
    __m256i low = _mm256_and_si256(codes, nibble);
    __m256i high = _mm256_and_si256(_mm256_srli_epi16(codes, 4), nibble);
    // 15 * 127 * 2 fits 16 bits, and so does the sum of two such.
    __m256i a = _mm256_maddubs_epi16(low, _mm256_loadu_si256((const __m256i *)(query->low + i)));
    __m256i b = _mm256_maddubs_epi16(high, _mm256_loadu_si256((const __m256i *)(query->high + i)));
    total = _mm256_add_epi32(total, _mm256_madd_epi16(_mm256_add_epi16(a, b), ones));
  }
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  int32_t sum = _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
  for (; i < query->half; i++) sum += (row[i] & 15) * query->low[i] + (row[i] >> 4) * query->high[i];
  return sum;
}

AVX512 static inline __m512i load_masked(const void *p, size_t i, size_t end) {
  const uint8_t *bytes = p;
  if (end - i >= 64) return _mm512_loadu_si512(bytes + i);
  return _mm512_maskz_loadu_epi8(((__mmask64)1 << (end - i)) - 1, bytes + i);
}

AVX512 static inline int32_t code_sum_avx512(const roost_code_query *query, const uint8_t *row) {
  const __m512i nibble = _mm512_set1_epi8(15);
  __m512i a = _mm512_setzero_si512(), b = a;
  for (size_t i = 0; i < query->half; i += 64) {
    __m512i codes = load_masked(row, i, query->half);
    __m512i low = _mm512_and_si512(codes, nibble);
    __m512i high = _mm512_and_si512(_mm512_srli_epi16(codes, 4), nibble);
    a = _mm512_dpbusd_epi32(a, low, load_masked(query->low, i, query->half));
    b = _mm512_dpbusd_epi32(b, high, load_masked(query->high, i, query->half));
  }
  return _mm512_reduce_add_epi32(_mm512_add_epi32(a, b));
}

CODE_KERNEL(codes_avx2, AVX2, code_sum_avx2)
CODE_KERNEL(codes_avx512, AVX512, code_sum_avx512)
#elif defined(__aarch64__)
#include <arm_neon.h>

static inline int32_t code_sum_neon(const roost_code_query *query, const uint8_t *row) {
  int32x4_t total = vdupq_n_s32(0);
  size_t i = 0;
  for (; i + 16 <= query->half; i += 16) {
    uint8x16_t codes = vld1q_u8(row + i);
    int8x16_t low = vreinterpretq_s8_u8(vandq_u8(codes, vdupq_n_u8(15)));
    int8x16_t high = vreinterpretq_s8_u8(vshrq_n_u8(codes, 4));
    int8x16_t x = vld1q_s8(query->low + i), y = vld1q_s8(query->high + i);
    total = vpadalq_s16(total, vmull_s8(vget_low_s8(low), vget_low_s8(x)));
    total = vpadalq_s16(total, vmull_high_s8(low, x));
    total = vpadalq_s16(total, vmull_s8(vget_low_s8(high), vget_low_s8(y)));
    total = vpadalq_s16(total, vmull_high_s8(high, y));
  }
  int32_t sum = vaddvq_s32(total);
  for (; i < query->half; i++) sum += (row[i] & 15) * query->low[i] + (row[i] >> 4) * query->high[i];
  return sum;
}

CODE_KERNEL(codes_neon, ANY_TARGET, code_sum_neon)
#endif

#define BINARY_KERNEL(NAME, LEVEL)                                                                      \
  static void NAME(const roost_code_query *query, const void *const *rows, size_t count,                \
                   float *estimates) {                                                                  \
    roost_hamming_at(LEVEL).batch(query->low, rows, count, query->half * 8, estimates);                 \
    for (size_t i = 0; i < count; i++) estimates[i] *= query->scale_weight;                             \
  }

BINARY_KERNEL(binary_portable, ROOST_PORTABLE)
BINARY_KERNEL(binary_neon, ROOST_NEON)
BINARY_KERNEL(binary_avx2, ROOST_AVX2)
BINARY_KERNEL(binary_avx512, ROOST_AVX512)
BINARY_KERNEL(binary_avx512_bf16, ROOST_AVX512_BF16)

roost_code_kernel roost_binary_code_kernel_at(int level) {
  if (!roost_level_available(level)) return binary_portable;
  switch (level) {
    case ROOST_NEON: return binary_neon;
    case ROOST_AVX2: return binary_avx2;
    case ROOST_AVX512: return binary_avx512;
    case ROOST_AVX512_BF16: return binary_avx512_bf16;
    default: return binary_portable;
  }
}

roost_code_kernel roost_code_kernel_at(int level) {
  if (!roost_level_available(level)) return codes_portable;
#if defined(__x86_64__)
  if (level >= ROOST_AVX512) return codes_avx512;
  if (level == ROOST_AVX2) return codes_avx2;
#elif defined(__aarch64__)
  if (level == ROOST_NEON) return codes_neon;
#endif
  return codes_portable;
}

static inline __attribute__((always_inline)) void round_to_bytes(const float *values, size_t dimension,
                                                                float low, float inverse, uint8_t *bytes) {
  for (size_t i = 0; i < dimension; i++) {
    float level = (values[i] - low) * inverse + 0.5f;
    float clamped = level > 0.0f ? level : 0.0f;
    bytes[i] = (uint8_t)(int)(clamped < 255.0f ? clamped : 255.0f);
  }
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) static void round_to_bytes_avx2(
  const float *values, size_t dimension, float low, float inverse, uint8_t *bytes) {
  round_to_bytes(values, dimension, low, inverse, bytes);
}
#endif

void roost_round_to_bytes(const float *values, size_t dimension, float low, float inverse, uint8_t *bytes) {
#if defined(__x86_64__)
  if (roost_cpu_level() >= ROOST_AVX2) {
    round_to_bytes_avx2(values, dimension, low, inverse, bytes);
    return;
  }
#endif
  round_to_bytes(values, dimension, low, inverse, bytes);
}
