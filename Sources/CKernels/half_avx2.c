// Distances of f16 and bf16 with AVX2, FMA and F16C: widened to 8 floats a step.
#include "distance_levels.h"
#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma,f16c")))
#define INLINE TARGET static inline __attribute__((always_inline))

INLINE float sum_ps(__m256 v) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

INLINE __m256 load_f16(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
INLINE __m256 load_bf16(const uint16_t *p) {
  __m256i wide = _mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)p));
  return _mm256_castsi256_ps(_mm256_slli_epi32(wide, 16));
}

#define HALF_KERNELS(SUFFIX)                                                                            \
  TARGET static float l2_##SUFFIX(const void *first, const void *second, size_t dimension) {            \
    const uint16_t *a = first, *b = second;                                                             \
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;                                                           \
    size_t i = 0;                                                                                       \
    for (; i + 16 <= dimension; i += 16) {                                                              \
      __m256 d0 = _mm256_sub_ps(load_##SUFFIX(a + i), load_##SUFFIX(b + i));                            \
      __m256 d1 = _mm256_sub_ps(load_##SUFFIX(a + i + 8), load_##SUFFIX(b + i + 8));                    \
      s0 = _mm256_fmadd_ps(d0, d0, s0);                                                                 \
      s1 = _mm256_fmadd_ps(d1, d1, s1);                                                                 \
    }                                                                                                   \
    float sum = sum_ps(_mm256_add_ps(s0, s1));                                                          \
    for (; i < dimension; i++) {                                                                        \
      float difference = widen_##SUFFIX(a[i]) - widen_##SUFFIX(b[i]);                                   \
      sum += difference * difference;                                                                   \
    }                                                                                                   \
    return sum;                                                                                         \
  }                                                                                                     \
  TARGET static inline float dot_##SUFFIX(const uint16_t *a, const uint16_t *b, size_t dimension) {     \
    __m256 s0 = _mm256_setzero_ps(), s1 = s0;                                                           \
    size_t i = 0;                                                                                       \
    for (; i + 16 <= dimension; i += 16) {                                                              \
      s0 = _mm256_fmadd_ps(load_##SUFFIX(a + i), load_##SUFFIX(b + i), s0);                             \
      s1 = _mm256_fmadd_ps(load_##SUFFIX(a + i + 8), load_##SUFFIX(b + i + 8), s1);                     \
    }                                                                                                   \
    float sum = sum_ps(_mm256_add_ps(s0, s1));                                                          \
    for (; i < dimension; i++) sum += widen_##SUFFIX(a[i]) * widen_##SUFFIX(b[i]);                      \
    return sum;                                                                                         \
  }                                                                                                     \
  TARGET static float ip_##SUFFIX(const void *a, const void *b, size_t dimension) {                     \
    return negated(dot_##SUFFIX(a, b, dimension));                                                      \
  }                                                                                                     \
  TARGET static float cosine_##SUFFIX(const void *a, const void *b, size_t dimension) {                 \
    return cosine_of_sums(dot_##SUFFIX(a, b, dimension), dot_##SUFFIX(a, a, dimension),                 \
                          dot_##SUFFIX(b, b, dimension));                                               \
  }                                                                                                     \
  BATCH_OF(l2_##SUFFIX##_batch, TARGET, l2_##SUFFIX, 2)                                                 \
  BATCH_OF(ip_##SUFFIX##_batch, TARGET, ip_##SUFFIX, 2)                                                 \
  TARGET static void cosine_##SUFFIX##_batch(const void *query, const void *const *rows, size_t count,  \
                                             size_t dimension, float *distances) {                      \
    const float own = dot_##SUFFIX(query, query, dimension);                                            \
    for (size_t i = 0; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], dimension * 2);          \
    for (size_t i = 0; i < count; i++) {                                                                \
      if (i + ROWS_AHEAD < count) prefetch_row(rows[i + ROWS_AHEAD], dimension * 2);                    \
      distances[i] = cosine_of_sums(dot_##SUFFIX(query, rows[i], dimension), own,                       \
                                    dot_##SUFFIX(rows[i], rows[i], dimension));                         \
    }                                                                                                   \
  }

HALF_KERNELS(f16)
HALF_KERNELS(bf16)

roost_distance_kernel roost_half_avx2(int element, int metric) { SELECT_HALF_KERNEL(element, metric) }
#endif
