// Distances of f16 and bf16 with NEON: widened to 4 floats a step.
#include "distance_levels.h"
#if defined(__aarch64__)
#include <arm_neon.h>

#define ANY_TARGET

static inline float32x4_t load_f16(const uint16_t *p) {
  return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)));
}
static inline float32x4_t load_bf16(const uint16_t *p) {
  return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p), 16));
}

#define HALF_KERNELS(SUFFIX)                                                                            \
  static float l2_##SUFFIX(const void *first, const void *second, size_t dimension) {                   \
    const uint16_t *a = first, *b = second;                                                             \
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0;                                                           \
    size_t i = 0;                                                                                       \
    for (; i + 8 <= dimension; i += 8) {                                                                \
      float32x4_t d0 = vsubq_f32(load_##SUFFIX(a + i), load_##SUFFIX(b + i));                           \
      float32x4_t d1 = vsubq_f32(load_##SUFFIX(a + i + 4), load_##SUFFIX(b + i + 4));                   \
      s0 = vfmaq_f32(s0, d0, d0);                                                                       \
      s1 = vfmaq_f32(s1, d1, d1);                                                                       \
    }                                                                                                   \
    float sum = vaddvq_f32(vaddq_f32(s0, s1));                                                          \
    for (; i < dimension; i++) {                                                                        \
      float difference = widen_##SUFFIX(a[i]) - widen_##SUFFIX(b[i]);                                   \
      sum += difference * difference;                                                                   \
    }                                                                                                   \
    return sum;                                                                                         \
  }                                                                                                     \
  static inline float dot_##SUFFIX(const uint16_t *a, const uint16_t *b, size_t dimension) {            \
    float32x4_t s0 = vdupq_n_f32(0), s1 = s0;                                                           \
    size_t i = 0;                                                                                       \
    for (; i + 8 <= dimension; i += 8) {                                                                \
      s0 = vfmaq_f32(s0, load_##SUFFIX(a + i), load_##SUFFIX(b + i));                                   \
      s1 = vfmaq_f32(s1, load_##SUFFIX(a + i + 4), load_##SUFFIX(b + i + 4));                           \
    }                                                                                                   \
    float sum = vaddvq_f32(vaddq_f32(s0, s1));                                                          \
    for (; i < dimension; i++) sum += widen_##SUFFIX(a[i]) * widen_##SUFFIX(b[i]);                      \
    return sum;                                                                                         \
  }                                                                                                     \
  static float ip_##SUFFIX(const void *a, const void *b, size_t dimension) {                            \
    return negated(dot_##SUFFIX(a, b, dimension));                                                      \
  }                                                                                                     \
  static float cosine_##SUFFIX(const void *a, const void *b, size_t dimension) {                        \
    return cosine_of_sums(dot_##SUFFIX(a, b, dimension), dot_##SUFFIX(a, a, dimension),                 \
                          dot_##SUFFIX(b, b, dimension));                                               \
  }                                                                                                     \
  BATCH_OF(l2_##SUFFIX##_batch, ANY_TARGET, l2_##SUFFIX, 2)                                             \
  BATCH_OF(ip_##SUFFIX##_batch, ANY_TARGET, ip_##SUFFIX, 2)                                             \
  BATCH_OF(cosine_##SUFFIX##_batch, ANY_TARGET, cosine_##SUFFIX, 2)

HALF_KERNELS(f16)
HALF_KERNELS(bf16)

roost_distance_kernel roost_half_neon(int element, int metric) { SELECT_HALF_KERNEL(element, metric) }
#endif
