// Distances in plain C: eight partial sums, so that the compiler may use whatever vectors it has.
#include "distance_levels.h"

#define LANES 8
#define ANY_TARGET

static float sum_l2_f32(const float *a, const float *b, size_t dimension) {
  float lanes[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= dimension; i += LANES)
    for (size_t lane = 0; lane < LANES; lane++) {
      float difference = a[i + lane] - b[i + lane];
      lanes[lane] += difference * difference;
    }
  for (; i < dimension; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
  for (size_t lane = 0; lane < LANES; lane++) sum += lanes[lane];
  return sum;
}

static float sum_dot_f32(const float *a, const float *b, size_t dimension) {
  float lanes[LANES] = {0}, sum = 0;
  size_t i = 0;
  for (; i + LANES <= dimension; i += LANES)
    for (size_t lane = 0; lane < LANES; lane++) lanes[lane] += a[i + lane] * b[i + lane];
  for (; i < dimension; i++) sum += a[i] * b[i];
  for (size_t lane = 0; lane < LANES; lane++) sum += lanes[lane];
  return sum;
}

static float l2_f32(const void *a, const void *b, size_t dimension) { return sum_l2_f32(a, b, dimension); }
static float ip_f32(const void *a, const void *b, size_t dimension) {
  return negated(sum_dot_f32(a, b, dimension));
}
static float cosine_f32(const void *a, const void *b, size_t dimension) {
  return one_minus(sum_dot_f32(a, b, dimension));
}

#define INTEGER_KERNELS(SUFFIX, TYPE)                                                                   \
  static float l2_##SUFFIX(const void *first, const void *second, size_t dimension) {                   \
    const TYPE *a = first, *b = second;                                                                 \
    int32_t sum = 0;                                                                                    \
    for (size_t i = 0; i < dimension; i++) {                                                            \
      int32_t difference = (int32_t)a[i] - b[i];                                                        \
      sum += difference * difference;                                                                   \
    }                                                                                                   \
    return (float)sum;                                                                                  \
  }                                                                                                     \
  static int32_t dot_##SUFFIX(const TYPE *a, const TYPE *b, size_t dimension) {                         \
    int32_t sum = 0;                                                                                    \
    for (size_t i = 0; i < dimension; i++) sum += (int32_t)a[i] * b[i];                                 \
    return sum;                                                                                         \
  }                                                                                                     \
  static float ip_##SUFFIX(const void *a, const void *b, size_t dimension) {                            \
    return negated((float)dot_##SUFFIX(a, b, dimension));                                               \
  }                                                                                                     \
  static float cosine_##SUFFIX(const void *a, const void *b, size_t dimension) {                        \
    return cosine_distance(dot_##SUFFIX(a, b, dimension), dot_##SUFFIX(a, a, dimension),                \
                           dot_##SUFFIX(b, b, dimension));                                              \
  }

INTEGER_KERNELS(u8, uint8_t)
INTEGER_KERNELS(i8, int8_t)

BATCH_OF(l2_f32_batch, ANY_TARGET, l2_f32, 4)
BATCH_OF(ip_f32_batch, ANY_TARGET, ip_f32, 4)
BATCH_OF(cosine_f32_batch, ANY_TARGET, cosine_f32, 4)
BATCH_OF(l2_u8_batch, ANY_TARGET, l2_u8, 1)
BATCH_OF(ip_u8_batch, ANY_TARGET, ip_u8, 1)
BATCH_OF(cosine_u8_batch, ANY_TARGET, cosine_u8, 1)
BATCH_OF(l2_i8_batch, ANY_TARGET, l2_i8, 1)
BATCH_OF(ip_i8_batch, ANY_TARGET, ip_i8, 1)
BATCH_OF(cosine_i8_batch, ANY_TARGET, cosine_i8, 1)

roost_distance_kernel roost_distance_portable(int element, int metric) { SELECT_KERNEL(element, metric) }
