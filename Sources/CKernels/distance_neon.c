// Distances with NEON, which every aarch64 has.
#include "distance_levels.h"
#if defined(__aarch64__)
#include <arm_neon.h>

#define ANY_TARGET

static inline float sum_l2_f32(const float *a, const float *b, size_t dimension) {
  float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 16 <= dimension; i += 16) {
    float32x4_t d0 = vsubq_f32(vld1q_f32(a + i), vld1q_f32(b + i));
    float32x4_t d1 = vsubq_f32(vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
    float32x4_t d2 = vsubq_f32(vld1q_f32(a + i + 8), vld1q_f32(b + i + 8));
    float32x4_t d3 = vsubq_f32(vld1q_f32(a + i + 12), vld1q_f32(b + i + 12));
    s0 = vfmaq_f32(s0, d0, d0);
    s1 = vfmaq_f32(s1, d1, d1);
    s2 = vfmaq_f32(s2, d2, d2);
    s3 = vfmaq_f32(s3, d3, d3);
  }
  float sum = vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
  for (; i < dimension; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  return sum;
}

static inline float sum_dot_f32(const float *a, const float *b, size_t dimension) {
  float32x4_t s0 = vdupq_n_f32(0), s1 = s0, s2 = s0, s3 = s0;
  size_t i = 0;
  for (; i + 16 <= dimension; i += 16) {
    s0 = vfmaq_f32(s0, vld1q_f32(a + i), vld1q_f32(b + i));
    s1 = vfmaq_f32(s1, vld1q_f32(a + i + 4), vld1q_f32(b + i + 4));
    s2 = vfmaq_f32(s2, vld1q_f32(a + i + 8), vld1q_f32(b + i + 8));
    s3 = vfmaq_f32(s3, vld1q_f32(a + i + 12), vld1q_f32(b + i + 12));
  }
  float sum = vaddvq_f32(vaddq_f32(vaddq_f32(s0, s1), vaddq_f32(s2, s3)));
  for (; i < dimension; i++) sum += a[i] * b[i];
  return sum;
}

static float l2_f32(const void *a, const void *b, size_t dimension) { return sum_l2_f32(a, b, dimension); }
static float ip_f32(const void *a, const void *b, size_t dimension) {
  return negated(sum_dot_f32(a, b, dimension));
}
static float cosine_f32(const void *a, const void *b, size_t dimension) {
  return one_minus(sum_dot_f32(a, b, dimension));
}

static float l2_u8(const void *first, const void *second, size_t dimension) {
  const uint8_t *a = first, *b = second;
  uint32x4_t s0 = vdupq_n_u32(0), s1 = s0;
  size_t i = 0;
  for (; i + 16 <= dimension; i += 16) {
    uint8x16_t d = vabdq_u8(vld1q_u8(a + i), vld1q_u8(b + i));
    s0 = vpadalq_u16(s0, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
    s1 = vpadalq_u16(s1, vmull_high_u8(d, d));
  }
  int32_t sum = (int32_t)vaddvq_u32(vaddq_u32(s0, s1));
  for (; i < dimension; i++) sum += ((int32_t)a[i] - b[i]) * ((int32_t)a[i] - b[i]);
  return (float)sum;
}

static float l2_i8(const void *first, const void *second, size_t dimension) {
  const int8_t *a = first, *b = second;
  uint32x4_t s0 = vdupq_n_u32(0), s1 = s0;
  size_t i = 0;
  for (; i + 16 <= dimension; i += 16) {
    uint8x16_t d = vreinterpretq_u8_s8(vabdq_s8(vld1q_s8(a + i), vld1q_s8(b + i)));
    s0 = vpadalq_u16(s0, vmull_u8(vget_low_u8(d), vget_low_u8(d)));
    s1 = vpadalq_u16(s1, vmull_high_u8(d, d));
  }
  int32_t sum = (int32_t)vaddvq_u32(vaddq_u32(s0, s1));
  for (; i < dimension; i++) sum += ((int32_t)a[i] - b[i]) * ((int32_t)a[i] - b[i]);
  return (float)sum;
}

static inline int32_t dot_u8(const uint8_t *a, const uint8_t *b, size_t dimension) {
  uint32x4_t s0 = vdupq_n_u32(0), s1 = s0;
  size_t i = 0;
  for (; i + 16 <= dimension; i += 16) {
    uint8x16_t x = vld1q_u8(a + i), y = vld1q_u8(b + i);
    s0 = vpadalq_u16(s0, vmull_u8(vget_low_u8(x), vget_low_u8(y)));
    s1 = vpadalq_u16(s1, vmull_high_u8(x, y));
  }
  int32_t sum = (int32_t)vaddvq_u32(vaddq_u32(s0, s1));
  for (; i < dimension; i++) sum += (int32_t)a[i] * b[i];
  return sum;
}

static inline int32_t dot_i8(const int8_t *a, const int8_t *b, size_t dimension) {
  int32x4_t s0 = vdupq_n_s32(0), s1 = s0;
  size_t i = 0;
  for (; i + 16 <= dimension; i += 16) {
    int8x16_t x = vld1q_s8(a + i), y = vld1q_s8(b + i);
    s0 = vpadalq_s16(s0, vmull_s8(vget_low_s8(x), vget_low_s8(y)));
    s1 = vpadalq_s16(s1, vmull_high_s8(x, y));
  }
  int32_t sum = vaddvq_s32(vaddq_s32(s0, s1));
  for (; i < dimension; i++) sum += (int32_t)a[i] * b[i];
  return sum;
}

#define DOT_KERNELS(SUFFIX)                                                                             \
  static float ip_##SUFFIX(const void *a, const void *b, size_t dimension) {                            \
    return negated((float)dot_##SUFFIX(a, b, dimension));                                               \
  }                                                                                                     \
  static float cosine_##SUFFIX(const void *a, const void *b, size_t dimension) {                        \
    return cosine_distance(dot_##SUFFIX(a, b, dimension), dot_##SUFFIX(a, a, dimension),                \
                           dot_##SUFFIX(b, b, dimension));                                              \
  }

DOT_KERNELS(u8)
DOT_KERNELS(i8)

BATCH_OF(l2_f32_batch, ANY_TARGET, l2_f32, 4)
BATCH_OF(ip_f32_batch, ANY_TARGET, ip_f32, 4)
BATCH_OF(cosine_f32_batch, ANY_TARGET, cosine_f32, 4)
BATCH_OF(l2_u8_batch, ANY_TARGET, l2_u8, 1)
BATCH_OF(ip_u8_batch, ANY_TARGET, ip_u8, 1)
BATCH_OF(cosine_u8_batch, ANY_TARGET, cosine_u8, 1)
BATCH_OF(l2_i8_batch, ANY_TARGET, l2_i8, 1)
BATCH_OF(ip_i8_batch, ANY_TARGET, ip_i8, 1)
BATCH_OF(cosine_i8_batch, ANY_TARGET, cosine_i8, 1)

roost_distance_kernel roost_distance_neon(int element, int metric) { SELECT_KERNEL(element, metric) }
#endif
