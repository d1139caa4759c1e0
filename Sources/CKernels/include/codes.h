#ifndef ROOST_CODES_H
#define ROOST_CODES_H
#include <stddef.h>
#include <stdint.h>

// Distances estimated from 4-bit codes. A coded row is `half` bytes of codes, byte i with dimension i in
// its low and dimension half + i in its high four bits, then two f32: scale and, for l2 and cosine, the
// squared norm. A code c stands for scale * (c - 7.5). See spec/graph.md, "Codes".

#pragma clang assume_nonnull begin

typedef struct {
  const int8_t *low;    // [half]: the query's dimensions 0 ..< half
  const int8_t *high;   // [half]: its dimensions half ..< 2 * half, 0 past the end
  size_t half;
  float base;           // estimate = base + norm_weight * norm + scale_weight * scale * (sum - offset)
  float norm_weight;
  float scale_weight;
  float offset;         // 7.5 * (sum of low + sum of high)
} roost_code_query;

// Estimates for `count` coded rows; fetches rows ahead of their use.
typedef void (*roost_code_kernel)(const roost_code_query *query, const void *_Nonnull const *_Nonnull rows,
                                  size_t count, float *estimates);
// The kernel at an available level (see distance.h); portable when the level is not available.
roost_code_kernel roost_code_kernel_at(int level);

// The same for coded rows of binary vectors, which are `half` bytes of their bits and nothing else:
// estimate = scale_weight * bits that differ from those at `low`.
roost_code_kernel roost_binary_code_kernel_at(int level);

// Rotates a vector in place: four rounds of random signs and a Walsh-Hadamard transform of the largest
// power of two that fits, in turn over the first and the last dimensions. Lengths are preserved.
// `signs` holds 4 * dimension bits, set for minus.
void roost_rotate(float *vector, size_t dimension, const uint64_t *signs);

// Codes a rotated vector: writes `(dimension + 1) / 2` bytes of codes, scale and squared norm. The scale is
// the one of several that keeps the direction best, then set so that products with the row are unbiased
// (as in RaBitQ, arXiv:2405.12497).
void roost_encode_codes(const float *vector, size_t dimension, uint8_t *row);

// bytes[i] = (values[i] - low) * inverse, rounded, between 0 and 255; 0 for what is not a number.
void roost_round_to_bytes(const float *values, size_t dimension, float low, float inverse, uint8_t *bytes);

#pragma clang assume_nonnull end
#endif
