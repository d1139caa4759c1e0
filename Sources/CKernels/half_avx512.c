// Distances of f16 and bf16 with AVX-512, products of bf16 also by its dot-product instruction.
// Tails are masked loads; the batch form scores four rows and sums their lanes jointly.
#include "distance_levels.h"
#if defined(__x86_64__)
#include "lanes_avx512.h"

// The vector extension types of bf16 and masks need both of these on every function that names them.
#define TARGET_BF16 __attribute__((target(AVX512_FEATURES ",avx512bf16")))
#define INLINE_BF16 TARGET_BF16 static inline __attribute__((always_inline))

INLINE __m512 widen16_f16(__m256i halves) { return _mm512_cvtph_ps(halves); }
INLINE __m512 widen16_bf16(__m256i halves) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(halves), 16));
}
// Elements [i, i + 16) of a vector, zeros past its end.
INLINE __m256i load16(const uint16_t *p, size_t i, size_t dimension) {
  if (dimension - i >= 16) return _mm256_loadu_si256((const __m256i *)(p + i));
  return _mm256_maskz_loadu_epi16((__mmask16)((1u << (dimension - i)) - 1), p + i);
}

#define HALF_LANES(SUFFIX)                                                                              \
  INLINE __m512 lanes_l2_##SUFFIX(const uint16_t *a, const uint16_t *b, size_t dimension) {             \
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;                                                           \
    size_t i = 0;                                                                                       \
    for (; i + 32 <= dimension; i += 32) {                                                              \
      __m512 d0 = _mm512_sub_ps(widen16_##SUFFIX(load16(a, i, dimension)),                              \
                                widen16_##SUFFIX(load16(b, i, dimension)));                             \
      __m512 d1 = _mm512_sub_ps(widen16_##SUFFIX(load16(a, i + 16, dimension)),                         \
                                widen16_##SUFFIX(load16(b, i + 16, dimension)));                        \
      s0 = _mm512_fmadd_ps(d0, d0, s0);                                                                 \
      s1 = _mm512_fmadd_ps(d1, d1, s1);                                                                 \
    }                                                                                                   \
    for (; i < dimension; i += 16) {                                                                    \
      __m512 d = _mm512_sub_ps(widen16_##SUFFIX(load16(a, i, dimension)),                               \
                               widen16_##SUFFIX(load16(b, i, dimension)));                              \
      s0 = _mm512_fmadd_ps(d, d, s0);                                                                   \
    }                                                                                                   \
    return _mm512_add_ps(s0, s1);                                                                       \
  }                                                                                                     \
  INLINE __m512 lanes_dot_##SUFFIX(const uint16_t *a, const uint16_t *b, size_t dimension) {            \
    __m512 s0 = _mm512_setzero_ps(), s1 = s0;                                                           \
    size_t i = 0;                                                                                       \
    for (; i + 32 <= dimension; i += 32) {                                                              \
      s0 = _mm512_fmadd_ps(widen16_##SUFFIX(load16(a, i, dimension)),                                   \
                           widen16_##SUFFIX(load16(b, i, dimension)), s0);                              \
      s1 = _mm512_fmadd_ps(widen16_##SUFFIX(load16(a, i + 16, dimension)),                              \
                           widen16_##SUFFIX(load16(b, i + 16, dimension)), s1);                         \
    }                                                                                                   \
    for (; i < dimension; i += 16)                                                                      \
      s0 = _mm512_fmadd_ps(widen16_##SUFFIX(load16(a, i, dimension)),                                   \
                           widen16_##SUFFIX(load16(b, i, dimension)), s0);                              \
    return _mm512_add_ps(s0, s1);                                                                       \
  }

HALF_LANES(f16)
HALF_LANES(bf16)

INLINE_BF16 __m512bh load32(const uint16_t *p, size_t i, size_t dimension) {
  if (dimension - i >= 32) return (__m512bh)_mm512_loadu_si512(p + i);
  return (__m512bh)_mm512_maskz_loadu_epi16(((__mmask32)1 << (dimension - i)) - 1, p + i);
}

// Counts numbers below 2^-126 as zero.
INLINE_BF16 __m512 lanes_dot_bf16_native(const uint16_t *a, const uint16_t *b, size_t dimension) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0;
  size_t i = 0;
  for (; i + 64 <= dimension; i += 64) {
    s0 = _mm512_dpbf16_ps(s0, load32(a, i, dimension), load32(b, i, dimension));
    s1 = _mm512_dpbf16_ps(s1, load32(a, i + 32, dimension), load32(b, i + 32, dimension));
  }
  for (; i < dimension; i += 32)
    s0 = _mm512_dpbf16_ps(s0, load32(a, i, dimension), load32(b, i, dimension));
  return _mm512_add_ps(s0, s1);
}

#define HALF_COSINE_KERNEL(NAME, TARGETS, LANES)                                                        \
  TARGETS static float NAME(const void *a, const void *b, size_t dimension) {                           \
    return cosine_of_sums(_mm512_reduce_add_ps(LANES(a, b, dimension)),                                 \
                          _mm512_reduce_add_ps(LANES(a, a, dimension)),                                 \
                          _mm512_reduce_add_ps(LANES(b, b, dimension)));                                \
  }                                                                                                     \
  TARGETS static void NAME##_batch(const void *query, const void *const *rows, size_t count,            \
                                   size_t dimension, float *distances) {                                \
    const float own = _mm512_reduce_add_ps(LANES(query, query, dimension));                             \
    size_t i = 0;                                                                                       \
    for (; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], dimension * 2);                      \
    for (i = 0; i + 4 <= count; i += 4) {                                                               \
      for (size_t next = i + ROWS_AHEAD; next < i + ROWS_AHEAD + 4 && next < count; next++)             \
        prefetch_row(rows[next], dimension * 2);                                                        \
      const void *r0 = rows[i], *r1 = rows[i + 1], *r2 = rows[i + 2], *r3 = rows[i + 3];                \
      float products[4], norms[4];                                                                      \
      _mm_storeu_ps(products, sum4_ps(LANES(query, r0, dimension), LANES(query, r1, dimension),         \
                                      LANES(query, r2, dimension), LANES(query, r3, dimension)));       \
      _mm_storeu_ps(norms, sum4_ps(LANES(r0, r0, dimension), LANES(r1, r1, dimension),                  \
                                   LANES(r2, r2, dimension), LANES(r3, r3, dimension)));                \
      for (size_t j = 0; j < 4; j++) distances[i + j] = cosine_of_sums(products[j], own, norms[j]);     \
    }                                                                                                   \
    for (; i < count; i++)                                                                              \
      distances[i] = cosine_of_sums(_mm512_reduce_add_ps(LANES(query, rows[i], dimension)), own,        \
                                    _mm512_reduce_add_ps(LANES(rows[i], rows[i], dimension)));          \
  }

FLOAT_KERNEL(l2_f16, TARGET, lanes_l2_f16, 2, AS_IT_IS, AS_IT_IS)
FLOAT_KERNEL(ip_f16, TARGET, lanes_dot_f16, 2, negated, NEGATED4)
HALF_COSINE_KERNEL(cosine_f16, TARGET, lanes_dot_f16)
FLOAT_KERNEL(l2_bf16, TARGET, lanes_l2_bf16, 2, AS_IT_IS, AS_IT_IS)
FLOAT_KERNEL(ip_bf16, TARGET, lanes_dot_bf16, 2, negated, NEGATED4)
HALF_COSINE_KERNEL(cosine_bf16, TARGET, lanes_dot_bf16)
FLOAT_KERNEL(ip_bf16_native, TARGET_BF16, lanes_dot_bf16_native, 2, negated, NEGATED4)
HALF_COSINE_KERNEL(cosine_bf16_native, TARGET_BF16, lanes_dot_bf16_native)

roost_distance_kernel roost_half_avx512(int element, int metric, int has_bf16) {
  if (has_bf16 && element == ROOST_BF16) {
    if (metric == ROOST_INNER_PRODUCT)
      return (roost_distance_kernel){ip_bf16_native, ip_bf16_native_batch};
    if (metric == ROOST_COSINE)
      return (roost_distance_kernel){cosine_bf16_native, cosine_bf16_native_batch};
  }
  SELECT_HALF_KERNEL(element, metric)
}
#endif
