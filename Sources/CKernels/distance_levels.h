// Shared by the distance kernels of all levels; not part of the module.
#ifndef ROOST_DISTANCE_LEVELS_H
#define ROOST_DISTANCE_LEVELS_H
#include "distance.h"
#include <math.h>

// Of f32, u8 and i8 by level; f16 and bf16; binary at a level that is available.
roost_distance_kernel roost_distance_portable(int element, int metric);
roost_distance_kernel roost_half_portable(int element, int metric);
roost_distance_kernel roost_hamming_at(int level);
#if defined(__x86_64__)
roost_distance_kernel roost_distance_avx2(int element, int metric);
roost_distance_kernel roost_distance_avx512(int element, int metric);
roost_distance_kernel roost_half_avx2(int element, int metric);
roost_distance_kernel roost_half_avx512(int element, int metric, int has_bf16);
#elif defined(__aarch64__)
roost_distance_kernel roost_distance_neon(int element, int metric);
roost_distance_kernel roost_half_neon(int element, int metric);
#endif

// Rows fetched ahead of the one being scored, and lines per row: beyond these the CPU's own stream
// detection has taken over.
#define ROWS_AHEAD 8
#define LINES_AHEAD 8

static inline void prefetch_row(const void *row, size_t bytes) {
  const char *line = row;
  size_t count = (bytes + 63) / 64;
  if (count > LINES_AHEAD) count = LINES_AHEAD;
  for (size_t i = 0; i < count; i++) __builtin_prefetch(line + i * 64, 0, 3);
}

static inline float negated(float dot) { return 0.0f - dot; }
static inline float one_minus(float dot) { return 1.0f - dot; }

static inline float cosine_distance(int64_t ab, int64_t aa, int64_t bb) {
  if (aa == 0 || bb == 0) return 1.0f;
  return (float)(1.0 - (double)ab / sqrt((double)aa * (double)bb));
}

static inline float cosine_of_sums(float ab, float aa, float bb) {
  if (aa == 0 || bb == 0) return 1.0f;
  return (float)(1.0 - (double)ab / sqrt((double)aa * (double)bb));
}

static inline float widen_f16(uint16_t half) {
  // The exponent is moved by a multiplication, which is right for subnormal numbers, too.
  uint32_t bits = (uint32_t)(half & 0x7fff) << 13;
  float size;
  memcpy(&size, &bits, 4);
  size *= 0x1p112f;
  return half & 0x8000 ? -size : size;
}

static inline float widen_bf16(uint16_t half) {
  uint32_t bits = (uint32_t)half << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

// A batch function from a one-to-one function, for levels where scoring rows jointly gains nothing.
#define BATCH_OF(NAME, TARGET, ONE, ELEMENT_BYTES)                                                      \
  TARGET static void NAME(const void *query, const void *const *rows, size_t count, size_t dimension,   \
                          float *distances) {                                                           \
    const size_t bytes = dimension * (ELEMENT_BYTES);                                                   \
    for (size_t i = 0; i < count && i < ROWS_AHEAD; i++) prefetch_row(rows[i], bytes);                  \
    for (size_t i = 0; i < count; i++) {                                                                \
      if (i + ROWS_AHEAD < count) prefetch_row(rows[i + ROWS_AHEAD], bytes);                            \
      distances[i] = ONE(query, rows[i], dimension);                                                    \
    }                                                                                                   \
  }

// The table of one level: KERNEL(element, metric) names a pair of functions.
#define SELECT_KERNEL(element, metric)                                                                  \
  switch ((element)*8 + (metric)) {                                                                     \
    case ROOST_F32 * 8 + ROOST_L2: return (roost_distance_kernel){l2_f32, l2_f32_batch};                \
    case ROOST_F32 * 8 + ROOST_INNER_PRODUCT: return (roost_distance_kernel){ip_f32, ip_f32_batch};     \
    case ROOST_F32 * 8 + ROOST_COSINE: return (roost_distance_kernel){cosine_f32, cosine_f32_batch};    \
    case ROOST_U8 * 8 + ROOST_L2: return (roost_distance_kernel){l2_u8, l2_u8_batch};                   \
    case ROOST_U8 * 8 + ROOST_INNER_PRODUCT: return (roost_distance_kernel){ip_u8, ip_u8_batch};        \
    case ROOST_U8 * 8 + ROOST_COSINE: return (roost_distance_kernel){cosine_u8, cosine_u8_batch};       \
    case ROOST_I8 * 8 + ROOST_L2: return (roost_distance_kernel){l2_i8, l2_i8_batch};                   \
    case ROOST_I8 * 8 + ROOST_INNER_PRODUCT: return (roost_distance_kernel){ip_i8, ip_i8_batch};        \
    default: return (roost_distance_kernel){cosine_i8, cosine_i8_batch};                                \
  }

#define SELECT_HALF_KERNEL(element, metric)                                                             \
  switch ((element)*8 + (metric)) {                                                                     \
    case ROOST_F16 * 8 + ROOST_L2: return (roost_distance_kernel){l2_f16, l2_f16_batch};                \
    case ROOST_F16 * 8 + ROOST_INNER_PRODUCT: return (roost_distance_kernel){ip_f16, ip_f16_batch};     \
    case ROOST_F16 * 8 + ROOST_COSINE: return (roost_distance_kernel){cosine_f16, cosine_f16_batch};    \
    case ROOST_BF16 * 8 + ROOST_L2: return (roost_distance_kernel){l2_bf16, l2_bf16_batch};             \
    case ROOST_BF16 * 8 + ROOST_INNER_PRODUCT: return (roost_distance_kernel){ip_bf16, ip_bf16_batch};  \
    default: return (roost_distance_kernel){cosine_bf16, cosine_bf16_batch};                            \
  }

#endif
