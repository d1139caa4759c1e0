// Distances of f16 and bf16 in plain C, and the way of all types of numbers to floats.
#include "distance_levels.h"

#define LANES 8
#define ANY_TARGET

void roost_to_floats(int element, const void *vector, size_t dimension, float *floats) {
  const uint16_t *halves = vector;
  switch (element) {
    case ROOST_U8:
      for (size_t i = 0; i < dimension; i++) floats[i] = ((const uint8_t *)vector)[i];
      return;
    case ROOST_I8:
      for (size_t i = 0; i < dimension; i++) floats[i] = ((const int8_t *)vector)[i];
      return;
    case ROOST_F16:
      for (size_t i = 0; i < dimension; i++) floats[i] = widen_f16(halves[i]);
      return;
    case ROOST_BF16:
      for (size_t i = 0; i < dimension; i++) floats[i] = widen_bf16(halves[i]);
      return;
    case ROOST_BINARY:
      for (size_t i = 0; i < dimension; i++)
        floats[i] = (float)(((const uint8_t *)vector)[i / 8] >> (7 - i % 8) & 1);
      return;
    default: memcpy(floats, vector, dimension * sizeof(float));
  }
}

#define HALF_KERNELS(SUFFIX, WIDEN)                                                                     \
  static float l2_##SUFFIX(const void *first, const void *second, size_t dimension) {                   \
    const uint16_t *a = first, *b = second;                                                             \
    float lanes[LANES] = {0}, sum = 0;                                                                  \
    size_t i = 0;                                                                                       \
    for (; i + LANES <= dimension; i += LANES)                                                          \
      for (size_t lane = 0; lane < LANES; lane++) {                                                     \
        float difference = WIDEN(a[i + lane]) - WIDEN(b[i + lane]);                                     \
        lanes[lane] += difference * difference;                                                         \
      }                                                                                                 \
    for (; i < dimension; i++) {                                                                        \
      float difference = WIDEN(a[i]) - WIDEN(b[i]);                                                     \
      sum += difference * difference;                                                                   \
    }                                                                                                   \
    for (size_t lane = 0; lane < LANES; lane++) sum += lanes[lane];                                     \
    return sum;                                                                                         \
  }                                                                                                     \
  static float dot_##SUFFIX(const uint16_t *a, const uint16_t *b, size_t dimension) {                   \
    float lanes[LANES] = {0}, sum = 0;                                                                  \
    size_t i = 0;                                                                                       \
    for (; i + LANES <= dimension; i += LANES)                                                          \
      for (size_t lane = 0; lane < LANES; lane++) lanes[lane] += WIDEN(a[i + lane]) * WIDEN(b[i + lane]); \
    for (; i < dimension; i++) sum += WIDEN(a[i]) * WIDEN(b[i]);                                        \
    for (size_t lane = 0; lane < LANES; lane++) sum += lanes[lane];                                     \
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

HALF_KERNELS(f16, widen_f16)
HALF_KERNELS(bf16, widen_bf16)

roost_distance_kernel roost_half_portable(int element, int metric) { SELECT_HALF_KERNEL(element, metric) }
