// Distances with AVX-512 and VNNI. Tails are masked loads; the batch form scores four rows and sums
// their lanes jointly, which costs a third of four separate reductions.
#include "distance_levels.h"
#if defined(__x86_64__)
#include "lanes_avx512.h"

INLINE __m512 lanes_l2_f32(const float *a, const float *b, size_t dimension) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 64 <= dimension; i += 64) {
    __m512 d0 = _mm512_sub_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i));
    __m512 d1 = _mm512_sub_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16));
    __m512 d2 = _mm512_sub_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32));
    __m512 d3 = _mm512_sub_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48));
    s0 = _mm512_fmadd_ps(d0, d0, s0);
    s1 = _mm512_fmadd_ps(d1, d1, s1);
    s2 = _mm512_fmadd_ps(d2, d2, s2);
    s3 = _mm512_fmadd_ps(d3, d3, s3);
  }
  for (; i < dimension; i += 16) {
    __mmask16 mask = dimension - i >= 16 ? 0xffff : (__mmask16)((1u << (dimension - i)) - 1);
    __m512 d = _mm512_sub_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i));
    s0 = _mm512_fmadd_ps(d, d, s0);
  }
  return _mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3));
}

INLINE __m512 lanes_dot_f32(const float *a, const float *b, size_t dimension) {
  __m512 s0 = _mm512_setzero_ps(), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 64 <= dimension; i += 64) {
    s0 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i), _mm512_loadu_ps(b + i), s0);
    s1 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 16), _mm512_loadu_ps(b + i + 16), s1);
    s2 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 32), _mm512_loadu_ps(b + i + 32), s2);
    s3 = _mm512_fmadd_ps(_mm512_loadu_ps(a + i + 48), _mm512_loadu_ps(b + i + 48), s3);
  }
  for (; i < dimension; i += 16) {
    __mmask16 mask = dimension - i >= 16 ? 0xffff : (__mmask16)((1u << (dimension - i)) - 1);
    s0 = _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, a + i), _mm512_maskz_loadu_ps(mask, b + i), s0);
  }
  return _mm512_add_ps(_mm512_add_ps(s0, s1), _mm512_add_ps(s2, s3));
}

FLOAT_KERNEL(l2_f32, TARGET, lanes_l2_f32, 4, AS_IT_IS, AS_IT_IS)
FLOAT_KERNEL(ip_f32, TARGET, lanes_dot_f32, 4, negated, NEGATED4)
FLOAT_KERNEL(cosine_f32, TARGET, lanes_dot_f32, 4, one_minus, ONE_MINUS4)

// Bytes [i, i + 64) of a vector, zeros past its end.
INLINE __m512i load_bytes(const uint8_t *p, size_t i, size_t dimension) {
  if (dimension - i >= 64) return _mm512_loadu_si512(p + i);
  return _mm512_maskz_loadu_epi8(((__mmask64)1 << (dimension - i)) - 1, p + i);
}

// Squared differences: |a - b| fits a byte, its square a 16-bit multiply-add.
INLINE __m512i lanes_l2_u8(const uint8_t *a, const uint8_t *b, size_t dimension) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i s0 = zero, s1 = zero;
  for (size_t i = 0; i < dimension; i += 64) {
    __m512i x = load_bytes(a, i, dimension), y = load_bytes(b, i, dimension);
    __m512i d = _mm512_sub_epi8(_mm512_max_epu8(x, y), _mm512_min_epu8(x, y));
    __m512i lo = _mm512_unpacklo_epi8(d, zero), hi = _mm512_unpackhi_epi8(d, zero);
    s0 = _mm512_dpwssd_epi32(s0, lo, lo);
    s1 = _mm512_dpwssd_epi32(s1, hi, hi);
  }
  return _mm512_add_epi32(s0, s1);
}

INLINE __m512i lanes_l2_i8(const uint8_t *a, const uint8_t *b, size_t dimension) {
  const __m512i zero = _mm512_setzero_si512();
  __m512i s0 = zero, s1 = zero;
  for (size_t i = 0; i < dimension; i += 64) {
    __m512i x = load_bytes(a, i, dimension), y = load_bytes(b, i, dimension);
    __m512i d = _mm512_sub_epi8(_mm512_max_epi8(x, y), _mm512_min_epi8(x, y));
    __m512i lo = _mm512_unpacklo_epi8(d, zero), hi = _mm512_unpackhi_epi8(d, zero);
    s0 = _mm512_dpwssd_epi32(s0, lo, lo);
    s1 = _mm512_dpwssd_epi32(s1, hi, hi);
  }
  return _mm512_add_epi32(s0, s1);
}

// VNNI multiplies unsigned by signed bytes, so one side moves by 128 and the product is put right:
// a·b = a·(b − 128) + 128·Σa for unsigned, (a + 128)·b − 128·Σb for signed.
INLINE __m512i lanes_dot_u8(const uint8_t *a, const uint8_t *b, size_t dimension) {
  const __m512i bias = _mm512_set1_epi8((char)0x80), ones = _mm512_set1_epi8(1);
  __m512i moved = _mm512_setzero_si512(), sums = moved;
  for (size_t i = 0; i < dimension; i += 64) {
    __m512i x = load_bytes(a, i, dimension), y = load_bytes(b, i, dimension);
    moved = _mm512_dpbusd_epi32(moved, x, _mm512_xor_si512(y, bias));
    sums = _mm512_dpbusd_epi32(sums, x, ones);
  }
  return _mm512_add_epi32(moved, _mm512_slli_epi32(sums, 7));
}

INLINE __m512i lanes_dot_i8(const uint8_t *a, const uint8_t *b, size_t dimension) {
  const __m512i bias = _mm512_set1_epi8((char)0x80);
  __m512i moved = _mm512_setzero_si512(), biased = moved;
  for (size_t i = 0; i < dimension; i += 64) {
    __m512i x = load_bytes(a, i, dimension), y = load_bytes(b, i, dimension);
    moved = _mm512_dpbusd_epi32(moved, _mm512_xor_si512(x, bias), y);
    biased = _mm512_dpbusd_epi32(biased, bias, y);
  }
  return _mm512_sub_epi32(moved, biased);
}

#define INTEGER_KERNEL(NAME, LANES, FINISH, FINISH4)                                                    \
  TARGET static float NAME(const void *a, const void *b, size_t dimension) {                            \
    return FINISH((float)_mm512_reduce_add_epi32(LANES(a, b, dimension)));                              \
  }                                                                                                     \
  TARGET static void NAME##_batch(const void *query, const void *const *rows, size_t count,             \
                                  size_t dimension, float *distances) {                                 \
    size_t i = 0;                                                                                       \
    for (; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], dimension);                          \
    for (i = 0; i + 4 <= count; i += 4) {                                                               \
      for (size_t next = i + ROWS_AHEAD; next < i + ROWS_AHEAD + 4 && next < count; next++)             \
        prefetch_row(rows[next], dimension);                                                            \
      __m512i p0 = LANES(query, rows[i], dimension), p1 = LANES(query, rows[i + 1], dimension);         \
      __m512i p2 = LANES(query, rows[i + 2], dimension), p3 = LANES(query, rows[i + 3], dimension);     \
      _mm_storeu_ps(distances + i, FINISH4(_mm_cvtepi32_ps(sum4_epi32(p0, p1, p2, p3))));               \
    }                                                                                                   \
    for (; i < count; i++) distances[i] = NAME(query, rows[i], dimension);                              \
  }

INTEGER_KERNEL(l2_u8, lanes_l2_u8, AS_IT_IS, AS_IT_IS)
INTEGER_KERNEL(l2_i8, lanes_l2_i8, AS_IT_IS, AS_IT_IS)
INTEGER_KERNEL(ip_u8, lanes_dot_u8, negated, NEGATED4)
INTEGER_KERNEL(ip_i8, lanes_dot_i8, negated, NEGATED4)

#define COSINE_KERNEL(NAME, LANES)                                                                      \
  TARGET static float NAME(const void *a, const void *b, size_t dimension) {                            \
    return cosine_distance(_mm512_reduce_add_epi32(LANES(a, b, dimension)),                             \
                           _mm512_reduce_add_epi32(LANES(a, a, dimension)),                             \
                           _mm512_reduce_add_epi32(LANES(b, b, dimension)));                            \
  }                                                                                                     \
  TARGET static void NAME##_batch(const void *query, const void *const *rows, size_t count,             \
                                  size_t dimension, float *distances) {                                 \
    const int64_t own = _mm512_reduce_add_epi32(LANES(query, query, dimension));                        \
    for (size_t i = 0; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], dimension);              \
    for (size_t i = 0; i < count; i++) {                                                                \
      if (i + ROWS_AHEAD < count) prefetch_row(rows[i + ROWS_AHEAD], dimension);                        \
      distances[i] = cosine_distance(_mm512_reduce_add_epi32(LANES(query, rows[i], dimension)), own,    \
                                     _mm512_reduce_add_epi32(LANES(rows[i], rows[i], dimension)));      \
    }                                                                                                   \
  }

COSINE_KERNEL(cosine_u8, lanes_dot_u8)
COSINE_KERNEL(cosine_i8, lanes_dot_i8)

roost_distance_kernel roost_distance_avx512(int element, int metric) { SELECT_KERNEL(element, metric) }
#endif
