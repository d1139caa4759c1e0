// Distances with AVX2 and FMA: 8 floats or 16 bytes (widened to 16 bits) a step.
#include "distance_levels.h"
#if defined(__x86_64__)
#include <immintrin.h>

#define TARGET __attribute__((target("avx2,fma")))

TARGET static inline float sum_ps(__m256 v) {
  __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
  half = _mm_add_ps(half, _mm_movehl_ps(half, half));
  return _mm_cvtss_f32(_mm_add_ss(half, _mm_movehdup_ps(half)));
}

TARGET static inline int32_t sum_epi32(__m256i v) {
  __m128i half = _mm_add_epi32(_mm256_castsi256_si128(v), _mm256_extracti128_si256(v, 1));
  half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
  return _mm_cvtsi128_si32(_mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1)));
}

TARGET static inline float sum_l2_f32(const float *a, const float *b, size_t dimension) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 32 <= dimension; i += 32) {
    __m256 d0 = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
    __m256 d1 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8));
    __m256 d2 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16));
    __m256 d3 = _mm256_sub_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24));
    s0 = _mm256_fmadd_ps(d0, d0, s0);
    s1 = _mm256_fmadd_ps(d1, d1, s1);
    s2 = _mm256_fmadd_ps(d2, d2, s2);
    s3 = _mm256_fmadd_ps(d3, d3, s3);
  }
  for (; i + 8 <= dimension; i += 8) {
    __m256 d = _mm256_sub_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i));
    s0 = _mm256_fmadd_ps(d, d, s0);
  }
  float sum = sum_ps(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
  for (; i < dimension; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

TARGET static inline float sum_dot_f32(const float *a, const float *b, size_t dimension) {
  __m256 s0 = _mm256_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 32 <= dimension; i += 32) {
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
    s1 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 8), _mm256_loadu_ps(b + i + 8), s1);
    s2 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 16), _mm256_loadu_ps(b + i + 16), s2);
    s3 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i + 24), _mm256_loadu_ps(b + i + 24), s3);
  }
  for (; i + 8 <= dimension; i += 8)
    s0 = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), s0);
  float sum = sum_ps(_mm256_add_ps(_mm256_add_ps(s0, s1), _mm256_add_ps(s2, s3)));
  for (; i < dimension; i++) sum += a[i] * b[i];
  return sum;
}

TARGET static float l2_f32(const void *a, const void *b, size_t dimension) {
  return sum_l2_f32(a, b, dimension);
}
TARGET static float ip_f32(const void *a, const void *b, size_t dimension) {
  return negated(sum_dot_f32(a, b, dimension));
}
TARGET static float cosine_f32(const void *a, const void *b, size_t dimension) {
  return one_minus(sum_dot_f32(a, b, dimension));
}

TARGET static inline __m256i widen_u8(const uint8_t *p) {
  return _mm256_cvtepu8_epi16(_mm_loadu_si128((const __m128i *)p));
}
TARGET static inline __m256i widen_i8(const int8_t *p) {
  return _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)p));
}

#define INTEGER_KERNELS(SUFFIX, TYPE, WIDEN)                                                            \
  TARGET static float l2_##SUFFIX(const void *first, const void *second, size_t dimension) {            \
    const TYPE *a = first, *b = second;                                                                 \
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;                                                       \
    size_t i = 0;                                                                                       \
    for (; i + 32 <= dimension; i += 32) {                                                              \
      __m256i d0 = _mm256_sub_epi16(WIDEN(a + i), WIDEN(b + i));                                        \
      __m256i d1 = _mm256_sub_epi16(WIDEN(a + i + 16), WIDEN(b + i + 16));                              \
      s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(d0, d0));                                             \
      s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(d1, d1));                                             \
    }                                                                                                   \
    int32_t sum = sum_epi32(_mm256_add_epi32(s0, s1));                                                  \
    for (; i < dimension; i++) {                                                                        \
      int32_t difference = (int32_t)a[i] - b[i];                                                        \
      sum += difference * difference;                                                                   \
    }                                                                                                   \
    return (float)sum;                                                                                  \
  }                                                                                                     \
  TARGET static inline int32_t dot_##SUFFIX(const TYPE *a, const TYPE *b, size_t dimension) {           \
    __m256i s0 = _mm256_setzero_si256(), s1 = s0;                                                       \
    size_t i = 0;                                                                                       \
    for (; i + 32 <= dimension; i += 32) {                                                              \
      s0 = _mm256_add_epi32(s0, _mm256_madd_epi16(WIDEN(a + i), WIDEN(b + i)));                         \
      s1 = _mm256_add_epi32(s1, _mm256_madd_epi16(WIDEN(a + i + 16), WIDEN(b + i + 16)));               \
    }                                                                                                   \
    int32_t sum = sum_epi32(_mm256_add_epi32(s0, s1));                                                  \
    for (; i < dimension; i++) sum += (int32_t)a[i] * b[i];                                             \
    return sum;                                                                                         \
  }                                                                                                     \
  TARGET static float ip_##SUFFIX(const void *a, const void *b, size_t dimension) {                     \
    return negated((float)dot_##SUFFIX(a, b, dimension));                                               \
  }                                                                                                     \
  TARGET static float cosine_##SUFFIX(const void *a, const void *b, size_t dimension) {                 \
    return cosine_distance(dot_##SUFFIX(a, b, dimension), dot_##SUFFIX(a, a, dimension),                \
                           dot_##SUFFIX(b, b, dimension));                                              \
  }

INTEGER_KERNELS(u8, uint8_t, widen_u8)
INTEGER_KERNELS(i8, int8_t, widen_i8)

BATCH_OF(l2_f32_batch, TARGET, l2_f32, 4)
BATCH_OF(ip_f32_batch, TARGET, ip_f32, 4)
BATCH_OF(cosine_f32_batch, TARGET, cosine_f32, 4)
BATCH_OF(l2_u8_batch, TARGET, l2_u8, 1)
BATCH_OF(ip_u8_batch, TARGET, ip_u8, 1)
BATCH_OF(cosine_u8_batch, TARGET, cosine_u8, 1)
BATCH_OF(l2_i8_batch, TARGET, l2_i8, 1)
BATCH_OF(ip_i8_batch, TARGET, ip_i8, 1)
BATCH_OF(cosine_i8_batch, TARGET, cosine_i8, 1)

roost_distance_kernel roost_distance_avx2(int element, int metric) { SELECT_KERNEL(element, metric) }
#endif
