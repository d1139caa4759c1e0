// Hamming distance of packed bits at every level.
#include "distance_levels.h"

#define ANY_TARGET
// Bytes [i, end) of a vector, fewer than 8, as a number.
static inline uint64_t rest_of(const uint8_t *p, size_t i, size_t end) {
  uint64_t word = 0;
  for (size_t shift = 0; i < end; i++, shift += 8) word |= (uint64_t)p[i] << shift;
  return word;
}

#define WORD_KERNEL(NAME, TARGET)                                                                       \
  TARGET static inline uint32_t NAME(const uint8_t *a, const uint8_t *b, size_t i, size_t bytes) {      \
    uint64_t sum = 0;                                                                                   \
    for (; i + 8 <= bytes; i += 8) {                                                                    \
      uint64_t x, y;                                                                                    \
      memcpy(&x, a + i, 8);                                                                             \
      memcpy(&y, b + i, 8);                                                                             \
      sum += (uint64_t)__builtin_popcountll(x ^ y);                                                     \
    }                                                                                                   \
    if (i < bytes) sum += (uint64_t)__builtin_popcountll(rest_of(a, i, bytes) ^ rest_of(b, i, bytes));  \
    return (uint32_t)sum;                                                                               \
  }

#define BATCH_OF_BITS(NAME, TARGET, ONE)                                                                \
  TARGET static void NAME(const void *query, const void *const *rows, size_t count, size_t dimension,   \
                          float *distances) {                                                           \
    for (size_t i = 0; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], dimension / 8);          \
    for (size_t i = 0; i < count; i++) {                                                                \
      if (i + ROWS_AHEAD < count) prefetch_row(rows[i + ROWS_AHEAD], dimension / 8);                    \
      distances[i] = ONE(query, rows[i], dimension);                                                    \
    }                                                                                                   \
  }

WORD_KERNEL(words_portable, ANY_TARGET)
static float hamming_portable(const void *a, const void *b, size_t dimension) {
  return (float)words_portable(a, b, 0, dimension / 8);
}
BATCH_OF_BITS(hamming_portable_batch, ANY_TARGET, hamming_portable)

#if defined(__x86_64__)
#include "lanes_avx512.h"
#define AVX2 __attribute__((target("avx2,popcnt")))
#define POPCNT __attribute__((target(AVX512_FEATURES ",avx512vpopcntdq")))

WORD_KERNEL(words_avx2, AVX2)
AVX2 static float hamming_avx2(const void *first, const void *second, size_t dimension) {
  const uint8_t *a = first, *b = second;
  const size_t bytes = dimension / 8;
  const __m256i nibble = _mm256_set1_epi8(15), zero = _mm256_setzero_si256();
  const __m256i ones = _mm256_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4,  //
                                        0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4);
  __m256i total = zero;
  size_t i = 0;
  for (; i + 32 <= bytes; i += 32) {
    __m256i x = _mm256_xor_si256(_mm256_loadu_si256((const __m256i *)(a + i)),
                                 _mm256_loadu_si256((const __m256i *)(b + i)));
    __m256i low = _mm256_shuffle_epi8(ones, _mm256_and_si256(x, nibble));
    __m256i high = _mm256_shuffle_epi8(ones, _mm256_and_si256(_mm256_srli_epi16(x, 4), nibble));
    total = _mm256_add_epi64(total, _mm256_sad_epu8(_mm256_add_epi8(low, high), zero));
  }
  __m128i half = _mm_add_epi64(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
  uint64_t sum = (uint64_t)_mm_cvtsi128_si64(half) + (uint64_t)_mm_extract_epi64(half, 1);
  return (float)((uint32_t)sum + words_avx2(a, b, i, bytes));
}
BATCH_OF_BITS(hamming_avx2_batch, AVX2, hamming_avx2)

// Bytes [i, i + 64) of a vector, zeros past its end.
INLINE __m512i load_bits(const uint8_t *p, size_t i, size_t bytes) {
  if (bytes - i >= 64) return _mm512_loadu_si512(p + i);
  return _mm512_maskz_loadu_epi8(((__mmask64)1 << (bytes - i)) - 1, p + i);
}

// Both leave counts in the lower halves of 64-bit lanes.
INLINE __m512i lanes_shuffled(const uint8_t *a, const uint8_t *b, size_t bytes) {
  const __m512i nibble = _mm512_set1_epi8(15), zero = _mm512_setzero_si512();
  const __m512i ones = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  __m512i total = zero;
  for (size_t i = 0; i < bytes; i += 64) {
    __m512i x = _mm512_xor_si512(load_bits(a, i, bytes), load_bits(b, i, bytes));
    __m512i low = _mm512_shuffle_epi8(ones, _mm512_and_si512(x, nibble));
    __m512i high = _mm512_shuffle_epi8(ones, _mm512_and_si512(_mm512_srli_epi16(x, 4), nibble));
    total = _mm512_add_epi64(total, _mm512_sad_epu8(_mm512_add_epi8(low, high), zero));
  }
  return total;
}
POPCNT static inline __attribute__((always_inline)) __m512i lanes_counted(const uint8_t *a,
                                                                          const uint8_t *b, size_t bytes) {
  __m512i total = _mm512_setzero_si512();
  for (size_t i = 0; i < bytes; i += 64)
    total = _mm512_add_epi64(
        total, _mm512_popcnt_epi64(_mm512_xor_si512(load_bits(a, i, bytes), load_bits(b, i, bytes))));
  return total;
}

#define LANE_KERNEL(NAME, TARGETS, LANES)                                                               \
  TARGETS static float NAME(const void *a, const void *b, size_t dimension) {                           \
    return (float)_mm512_reduce_add_epi32(LANES(a, b, dimension / 8));                                  \
  }                                                                                                     \
  TARGETS static void NAME##_batch(const void *query, const void *const *rows, size_t count,            \
                                   size_t dimension, float *distances) {                                \
    const size_t bytes = dimension / 8;                                                                 \
    size_t i = 0;                                                                                       \
    for (; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], bytes);                              \
    for (i = 0; i + 4 <= count; i += 4) {                                                               \
      for (size_t next = i + ROWS_AHEAD; next < i + ROWS_AHEAD + 4 && next < count; next++)             \
        prefetch_row(rows[next], bytes);                                                                \
      __m128i sums = sum4_epi32(LANES(query, rows[i], bytes), LANES(query, rows[i + 1], bytes),         \
                                LANES(query, rows[i + 2], bytes), LANES(query, rows[i + 3], bytes));    \
      _mm_storeu_ps(distances + i, _mm_cvtepi32_ps(sums));                                              \
    }                                                                                                   \
    for (; i < count; i++) distances[i] = NAME(query, rows[i], dimension);                              \
  }

LANE_KERNEL(hamming_avx512, TARGET, lanes_shuffled)
LANE_KERNEL(hamming_popcnt, POPCNT, lanes_counted)
#elif defined(__aarch64__)
#include <arm_neon.h>

static float hamming_neon(const void *first, const void *second, size_t dimension) {
  const uint8_t *a = first, *b = second;
  const size_t bytes = dimension / 8;
  // A lane gains at most 16 a step, and there are at most 32 steps.
  uint16x8_t total = vdupq_n_u16(0);
  size_t i = 0;
  for (; i + 16 <= bytes; i += 16)
    total = vpadalq_u8(total, vcntq_u8(veorq_u8(vld1q_u8(a + i), vld1q_u8(b + i))));
  return (float)(vaddlvq_u16(total) + words_portable(a, b, i, bytes));
}
BATCH_OF_BITS(hamming_neon_batch, ANY_TARGET, hamming_neon)
#endif

roost_distance_kernel roost_hamming_at(int level) {
  switch (level) {
#if defined(__x86_64__)
    case ROOST_AVX512_BF16: return (roost_distance_kernel){hamming_popcnt, hamming_popcnt_batch};
    case ROOST_AVX512: return (roost_distance_kernel){hamming_avx512, hamming_avx512_batch};
    case ROOST_AVX2: return (roost_distance_kernel){hamming_avx2, hamming_avx2_batch};
#elif defined(__aarch64__)
    case ROOST_NEON: return (roost_distance_kernel){hamming_neon, hamming_neon_batch};
#endif
    default: return (roost_distance_kernel){hamming_portable, hamming_portable_batch};
  }
}
