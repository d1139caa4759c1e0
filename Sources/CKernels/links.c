// Estimates for all neighbours of a row from interleaved 2-bit codes, at every level, and their coding.
#include "links.h"
#include "distance_levels.h"
#include <string.h>

#define NO_ROW 0xffffffffu

typedef struct {
  const float *offsets, *scales;
  const uint8_t *codes;
  size_t set_bytes;
} block_view;

static inline block_view view_of(const roost_link_query *query, const void *block, size_t degree) {
  const size_t lanes = (degree + ROOST_LINK_SET - 1) / ROOST_LINK_SET * ROOST_LINK_SET;
  const float *offsets = block;
  return (block_view){offsets, offsets + lanes, (const uint8_t *)(offsets + 2 * lanes),
                      query->chunks * ROOST_LINK_CHUNK_BYTES};
}

// Takes the lanes of one set whose estimate is not above the bound.
static inline size_t keep_near(const int32_t *sums, const roost_link_query *query, const block_view *view,
                               size_t first, size_t count, const uint8_t *ids, float own, float bound,
                               uint32_t *rows, float *estimates, size_t kept) {
  for (size_t lane = 0; lane < count; lane++) {
    uint32_t row;
    memcpy(&row, ids + (first + lane) * 4, 4);
    float along = ((float)sums[lane] - query->shift) * query->step;
    float estimate = own + view->offsets[first + lane] + view->scales[first + lane] * along;
    rows[kept] = row;
    estimates[kept] = estimate;
    kept += row != NO_ROW && !(estimate > bound);
  }
  return kept;
}

// One kernel from the function that sums a set.
#define LINK_KERNEL(NAME, TARGET, SUM)                                                                  \
  TARGET static size_t NAME(const roost_link_query *query, const void *block, const void *ids,          \
                            size_t degree, float own, float bound, uint32_t *rows, float *estimates) {  \
    const block_view view = view_of(query, block, degree);                                              \
    size_t kept = 0;                                                                                    \
    for (size_t first = 0; first < degree; first += ROOST_LINK_SET) {                                   \
      int32_t sums[ROOST_LINK_SET];                                                                     \
      SUM(query, view.codes + first / ROOST_LINK_SET * view.set_bytes, sums);                           \
      size_t count = degree - first < ROOST_LINK_SET ? degree - first : ROOST_LINK_SET;                 \
      kept = keep_near(sums, query, &view, first, count, ids, own, bound, rows, estimates, kept);       \
    }                                                                                                   \
    return kept;                                                                                        \
  }

static void link_sums_portable(const roost_link_query *query, const uint8_t *codes, int32_t *sums) {
  memset(sums, 0, ROOST_LINK_SET * sizeof *sums);
  for (size_t chunk = 0; chunk < query->chunks; chunk++)
    for (size_t byte = 0; byte < ROOST_LINK_CHUNK_BYTES; byte++) {
      const int8_t *levels = query->levels + chunk * ROOST_LINK_CHUNK + byte % 4;
      unsigned code = codes[chunk * ROOST_LINK_CHUNK_BYTES + byte];
      sums[byte / 4] += (int32_t)(code & 3) * levels[0] + (int32_t)(code >> 2 & 3) * levels[4] +
                        (int32_t)(code >> 4 & 3) * levels[8] + (int32_t)(code >> 6) * levels[12];
    }
}

#define ANY_TARGET
LINK_KERNEL(links_portable, ANY_TARGET, link_sums_portable)

#if defined(__x86_64__)
#include <immintrin.h>
#define AVX2 __attribute__((target("avx2,fma")))
#define AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni")))

AVX2 static inline __m256i four_levels(const int8_t *levels) {
  int32_t four;
  memcpy(&four, levels, 4);
  return _mm256_set1_epi32(four);
}

AVX2 static inline void link_sums_avx2(const roost_link_query *query, const uint8_t *codes, int32_t *sums) {
  const __m256i two_bits = _mm256_set1_epi8(3), ones = _mm256_set1_epi16(1);
  __m256i total0 = _mm256_setzero_si256(), total1 = total0;
  for (size_t chunk = 0; chunk < query->chunks; chunk++) {
    __m256i x0 = _mm256_loadu_si256((const __m256i *)(codes + chunk * 64));
    __m256i x1 = _mm256_loadu_si256((const __m256i *)(codes + chunk * 64 + 32));
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;
    for (int group = 0; group < 4; group++) {
      // 3 * 127 * 2 for each of four groups fits 16 bits.
      __m256i levels = four_levels(query->levels + chunk * 16 + group * 4);
      s0 = _mm256_add_epi16(s0, _mm256_maddubs_epi16(_mm256_and_si256(x0, two_bits), levels));
      s1 = _mm256_add_epi16(s1, _mm256_maddubs_epi16(_mm256_and_si256(x1, two_bits), levels));
      x0 = _mm256_srli_epi16(x0, 2);
      x1 = _mm256_srli_epi16(x1, 2);
    }
    total0 = _mm256_add_epi32(total0, _mm256_madd_epi16(s0, ones));
    total1 = _mm256_add_epi32(total1, _mm256_madd_epi16(s1, ones));
  }
  _mm256_storeu_si256((__m256i *)sums, total0);
  _mm256_storeu_si256((__m256i *)(sums + 8), total1);
}

LINK_KERNEL(links_avx2, AVX2, link_sums_avx2)

AVX512 static inline __m512i levels_at(const int8_t *levels, int group) {
  int32_t four;
  memcpy(&four, levels + group * 4, 4);
  return _mm512_set1_epi32(four);
}

// Estimates of one set; keeps the near ones.
AVX512 static inline size_t keep_near_avx512(__m512i sums, const roost_link_query *query,
                                             const block_view *view, size_t first, size_t degree,
                                             const uint8_t *ids, float own, float bound, uint32_t *rows,
                                             float *estimates, size_t kept) {
  const __mmask16 used = degree - first >= 16 ? 0xffff : (__mmask16)((1u << (degree - first)) - 1);
  __m512 along = _mm512_mul_ps(_mm512_sub_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(query->shift)),
                               _mm512_set1_ps(query->step));
  __m512 base = _mm512_add_ps(_mm512_set1_ps(own), _mm512_loadu_ps(view->offsets + first));
  __m512 estimate = _mm512_fmadd_ps(_mm512_loadu_ps(view->scales + first), along, base);
  __m512i row = _mm512_maskz_loadu_epi32(used, ids + first * 4);
  __mmask16 near = _mm512_mask_cmp_ps_mask(used, estimate, _mm512_set1_ps(bound), _CMP_NGT_UQ);
  near = _mm512_mask_cmpneq_epi32_mask(near, row, _mm512_set1_epi32(-1));
  // Compressing in registers; a compressing store is slow on some CPUs.
  _mm512_storeu_si512(rows + kept, _mm512_maskz_compress_epi32(near, row));
  _mm512_storeu_ps(estimates + kept, _mm512_maskz_compress_ps(near, estimate));
  return kept + (size_t)__builtin_popcount(near);
}

AVX512 static size_t links_avx512(const roost_link_query *query, const void *block, const void *ids,
                                  size_t degree, float own, float bound, uint32_t *rows, float *estimates) {
  const block_view view = view_of(query, block, degree);
  const __m512i two_bits = _mm512_set1_epi8(3);
  size_t kept = 0, first = 0;
  // Two sets at once share the query's registers.
  for (; first + 16 < degree; first += 32) {
    const uint8_t *low = view.codes + first / 16 * view.set_bytes, *high = low + view.set_bytes;
    __m512i a0 = _mm512_setzero_si512(), a1 = a0, b0 = a0, b1 = a0;
    for (size_t chunk = 0; chunk < query->chunks; chunk++) {
      const int8_t *levels = query->levels + chunk * 16;
      __m512i x = _mm512_loadu_si512(low + chunk * 64), y = _mm512_loadu_si512(high + chunk * 64);
      __m512i q0 = levels_at(levels, 0), q1 = levels_at(levels, 1);
      __m512i q2 = levels_at(levels, 2), q3 = levels_at(levels, 3);
      a0 = _mm512_dpbusd_epi32(a0, _mm512_and_si512(x, two_bits), q0);
      b0 = _mm512_dpbusd_epi32(b0, _mm512_and_si512(y, two_bits), q0);
      a1 = _mm512_dpbusd_epi32(a1, _mm512_and_si512(_mm512_srli_epi16(x, 2), two_bits), q1);
      b1 = _mm512_dpbusd_epi32(b1, _mm512_and_si512(_mm512_srli_epi16(y, 2), two_bits), q1);
      a0 = _mm512_dpbusd_epi32(a0, _mm512_and_si512(_mm512_srli_epi16(x, 4), two_bits), q2);
      b0 = _mm512_dpbusd_epi32(b0, _mm512_and_si512(_mm512_srli_epi16(y, 4), two_bits), q2);
      a1 = _mm512_dpbusd_epi32(a1, _mm512_and_si512(_mm512_srli_epi16(x, 6), two_bits), q3);
      b1 = _mm512_dpbusd_epi32(b1, _mm512_and_si512(_mm512_srli_epi16(y, 6), two_bits), q3);
    }
    kept = keep_near_avx512(_mm512_add_epi32(a0, a1), query, &view, first, degree, ids, own, bound, rows,
                            estimates, kept);
    kept = keep_near_avx512(_mm512_add_epi32(b0, b1), query, &view, first + 16, degree, ids, own, bound,
                            rows, estimates, kept);
  }
  if (first < degree) {
    const uint8_t *codes = view.codes + first / 16 * view.set_bytes;
    __m512i sums = _mm512_setzero_si512();
    for (size_t chunk = 0; chunk < query->chunks; chunk++) {
      __m512i x = _mm512_loadu_si512(codes + chunk * 64);
      for (int group = 0; group < 4; group++) {
        sums = _mm512_dpbusd_epi32(sums, _mm512_and_si512(x, two_bits),
                                   levels_at(query->levels + chunk * 16, group));
        x = _mm512_srli_epi16(x, 2);
      }
    }
    kept = keep_near_avx512(sums, query, &view, first, degree, ids, own, bound, rows, estimates, kept);
  }
  return kept;
}
#elif defined(__aarch64__)
#include <arm_neon.h>

static inline void link_sums_neon(const roost_link_query *query, const uint8_t *codes, int32_t *sums) {
  const uint8x16_t two_bits = vdupq_n_u8(3);
  int32x4_t total[4] = {vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0), vdupq_n_s32(0)};
  for (size_t chunk = 0; chunk < query->chunks; chunk++)
    for (int part = 0; part < 4; part++) {
      uint8x16_t x = vld1q_u8(codes + chunk * 64 + part * 16);
      // 3 * 127 for each of four groups fits 16 bits.
      int16x8_t low = vdupq_n_s16(0), high = low;
      for (int group = 0; group < 4; group++) {
        int32_t four;
        memcpy(&four, query->levels + chunk * 16 + group * 4, 4);
        int8x16_t levels = vreinterpretq_s8_s32(vdupq_n_s32(four));
        int8x16_t code = vreinterpretq_s8_u8(vandq_u8(x, two_bits));
        low = vmlal_s8(low, vget_low_s8(code), vget_low_s8(levels));
        high = vmlal_high_s8(high, code, levels);
        x = vshrq_n_u8(x, 2);
      }
      total[part] = vpadalq_s16(total[part], vpaddq_s16(low, high));
    }
  for (int part = 0; part < 4; part++) vst1q_s32(sums + part * 4, total[part]);
}

LINK_KERNEL(links_neon, ANY_TARGET, link_sums_neon)
#endif

roost_link_kernel roost_link_kernel_at(int level) {
  if (!roost_level_available(level)) return links_portable;
#if defined(__x86_64__)
  if (level >= ROOST_AVX512) return links_avx512;
  if (level == ROOST_AVX2) return links_avx2;
#elif defined(__aarch64__)
  if (level == ROOST_NEON) return links_neon;
#endif
  return links_portable;
}

// Steps that are tried, as parts of the root mean square. A Gaussian element is rounded best by steps of 1.
static const float link_steps[] = {0.8f, 1.0f, 1.25f};

static inline __attribute__((always_inline)) roost_link_factors encode_link(
  const float *y, const float *centre, size_t dimension, size_t lane, uint8_t *codes) {
  double norm = 0;
  for (size_t start = 0; start < dimension; start += 256) {
    const size_t end = dimension - start < 256 ? dimension : start + 256;
    float part[16] = {0};
    size_t i = start;
    for (; i + 16 <= end; i += 16)
      for (int j = 0; j < 16; j++) part[j] += y[i + j] * y[i + j];
    for (; i < end; i++) part[0] += y[i] * y[i];
    for (int j = 0; j < 16; j++) norm += part[j];
  }
  roost_link_factors factors = {(float)norm, 0, 0};
  const float root = (float)sqrt(norm / (double)dimension);
  const float smallest = 1e-30f;
  if (!(root > smallest && root < INFINITY)) return factors;
  float best_cosine = 0, best_product = 0, best_inverse = 1 / root;
  for (size_t s = 0; s < sizeof link_steps / sizeof *link_steps; s++) {
    const float inverse = 1 / (root * link_steps[s]);
    float products[16] = {0}, lengths[16] = {0};
    size_t i = 0;
    for (; i + 16 <= dimension; i += 16)
      for (int j = 0; j < 16; j++) {
        float raw = y[i + j] * inverse + 2.0f;
        float clamped = raw < 0.0f ? 0.0f : raw > 3.0f ? 3.0f : raw;
        float level = (float)(int)clamped - 1.5f;
        products[j] += level * (y[i + j] * inverse);
        lengths[j] += level * level;
      }
    for (; i < dimension; i++) {
      float raw = y[i] * inverse + 2.0f;
      float clamped = raw < 0.0f ? 0.0f : raw > 3.0f ? 3.0f : raw;
      float level = (float)(int)clamped - 1.5f;
      products[0] += level * (y[i] * inverse);
      lengths[0] += level * level;
    }
    float product = 0, length = 0;
    for (int j = 0; j < 16; j++) {
      product += products[j];
      length += lengths[j];
    }
    // The product is in steps of its own; undone before the directions are compared.
    const float cosine = product * link_steps[s] / sqrtf(length);
    if (cosine > best_cosine) {
      best_cosine = cosine;
      best_inverse = inverse;
      best_product = product;
    }
  }
  if (!(best_product > 0)) return factors;
  float along[16] = {0};
  for (size_t chunk = 0; chunk * 16 < dimension; chunk++) {
    uint8_t level[16] = {0};
    const size_t count = dimension - chunk * 16 < 16 ? dimension - chunk * 16 : 16;
    for (size_t j = 0; j < count; j++) {
      float raw = y[chunk * 16 + j] * best_inverse + 2.0f;
      float clamped = raw < 0.0f ? 0.0f : raw > 3.0f ? 3.0f : raw;
      int code = (int)clamped;
      level[j] = (uint8_t)code;
      along[j] += ((float)code - 1.5f) * centre[chunk * 16 + j];
    }
    uint32_t group[4];
    memcpy(group, level, 16);
    const uint32_t packed = group[0] | group[1] << 2 | group[2] << 4 | group[3] << 6;
    memcpy(codes + chunk * ROOST_LINK_CHUNK_BYTES + lane * 4, &packed, 4);
  }
  double sum = 0;
  for (int j = 0; j < 16; j++) sum += along[j];
  factors.scale = (float)(norm * best_inverse / best_product);
  factors.along = (float)(factors.scale * sum);
  return factors;
}

#if defined(__x86_64__)
AVX2 static roost_link_factors encode_link_avx2(const float *y, const float *centre, size_t dimension,
                                                size_t lane, uint8_t *codes) {
  return encode_link(y, centre, dimension, lane, codes);
}
__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,prefer-256-bit")))
static roost_link_factors encode_link_avx512(
  const float *y, const float *centre, size_t dimension, size_t lane, uint8_t *codes) {
  return encode_link(y, centre, dimension, lane, codes);
}
#endif

roost_link_factors roost_encode_link(const float *y, const float *centre, size_t dimension, size_t lane,
                                     uint8_t *codes) {
#if defined(__x86_64__)
  if (roost_cpu_level() >= ROOST_AVX512) return encode_link_avx512(y, centre, dimension, lane, codes);
  if (roost_cpu_level() == ROOST_AVX2) return encode_link_avx2(y, centre, dimension, lane, codes);
#endif
  return encode_link(y, centre, dimension, lane, codes);
}

int32_t roost_round_query(const float *values, size_t dimension, int8_t *levels, float *step) {
  float largest = 0;
  for (size_t i = 0; i < dimension; i++) {
    float size = fabsf(values[i]);
    if (size > largest) largest = size;
  }
  const float wanted = largest / 127;
  *step = wanted > 0 && wanted < INFINITY ? wanted : 1;
  const float inverse = 1 / *step;
  int32_t sum = 0;
  if (!(inverse < INFINITY)) {
    // All elements are next to nothing.
    memset(levels, 0, dimension);
    return 0;
  }
  for (size_t i = 0; i < dimension; i++) {
    // Not a number and what is too large for the step end at the edge; halves go away from zero.
    float level = values[i] * inverse;
    float clamped = level > 127.0f ? 127.0f : level > -127.0f ? level : -127.0f;
    int rounded = (int)(clamped < 0 ? clamped - 0.5f : clamped + 0.5f);
    levels[i] = (int8_t)rounded;
    sum += rounded;
  }
  return sum;
}
