// What the AVX-512 kernels share: their targets, joint sums over lanes, and the form of a kernel.
#ifndef ROOST_LANES_AVX512_H
#define ROOST_LANES_AVX512_H
#include "distance_levels.h"
#include <immintrin.h>

#define AVX512_FEATURES "avx512f,avx512bw,avx512vl,avx512dq,avx512vnni"
#define TARGET __attribute__((target(AVX512_FEATURES)))
#define INLINE TARGET static inline __attribute__((always_inline))

// Lane sums of four vectors at once.
INLINE __m128 sum4_ps(__m512 p0, __m512 p1, __m512 p2, __m512 p3) {
  __m512 p01 = _mm512_add_ps(_mm512_unpacklo_ps(p0, p1), _mm512_unpackhi_ps(p0, p1));
  __m512 p23 = _mm512_add_ps(_mm512_unpacklo_ps(p2, p3), _mm512_unpackhi_ps(p2, p3));
  __m512d lo = _mm512_unpacklo_pd(_mm512_castps_pd(p01), _mm512_castps_pd(p23));
  __m512d hi = _mm512_unpackhi_pd(_mm512_castps_pd(p01), _mm512_castps_pd(p23));
  __m512 all = _mm512_add_ps(_mm512_castpd_ps(lo), _mm512_castpd_ps(hi));
  __m256 half = _mm256_add_ps(_mm512_castps512_ps256(all), _mm512_extractf32x8_ps(all, 1));
  return _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
}

INLINE __m128i sum4_epi32(__m512i p0, __m512i p1, __m512i p2, __m512i p3) {
  __m512i p01 = _mm512_add_epi32(_mm512_unpacklo_epi32(p0, p1), _mm512_unpackhi_epi32(p0, p1));
  __m512i p23 = _mm512_add_epi32(_mm512_unpacklo_epi32(p2, p3), _mm512_unpackhi_epi32(p2, p3));
  __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(p01, p23), _mm512_unpackhi_epi64(p01, p23));
  __m256i half = _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti32x8_epi32(all, 1));
  return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

#define AS_IT_IS(x) (x)
#define NEGATED4(x) _mm_sub_ps(_mm_setzero_ps(), (x))
#define ONE_MINUS4(x) _mm_sub_ps(_mm_set1_ps(1.0f), (x))

// A pair of functions from one that leaves the terms of a sum in lanes of floats.
#define FLOAT_KERNEL(NAME, TARGETS, LANES, ELEMENT_BYTES, FINISH, FINISH4)                              \
  TARGETS static float NAME(const void *a, const void *b, size_t dimension) {                           \
    return FINISH(_mm512_reduce_add_ps(LANES(a, b, dimension)));                                        \
  }                                                                                                     \
  TARGETS static void NAME##_batch(const void *query, const void *const *rows, size_t count,            \
                                   size_t dimension, float *distances) {                                \
    size_t i = 0;                                                                                       \
    for (; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], dimension * (ELEMENT_BYTES));        \
    for (i = 0; i + 4 <= count; i += 4) {                                                               \
      for (size_t next = i + ROWS_AHEAD; next < i + ROWS_AHEAD + 4 && next < count; next++)             \
        prefetch_row(rows[next], dimension * (ELEMENT_BYTES));                                          \
      __m512 p0 = LANES(query, rows[i], dimension), p1 = LANES(query, rows[i + 1], dimension);          \
      __m512 p2 = LANES(query, rows[i + 2], dimension), p3 = LANES(query, rows[i + 3], dimension);      \
      _mm_storeu_ps(distances + i, FINISH4(sum4_ps(p0, p1, p2, p3)));                                   \
    }                                                                                                   \
    for (; i < count; i++) distances[i] = NAME(query, rows[i], dimension);                              \
  }

#endif
