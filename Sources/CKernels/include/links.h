#ifndef ROOST_LINKS_H
#define ROOST_LINKS_H
#include <stddef.h>
#include <stdint.h>

// Distances to all neighbours of a row, estimated in one sweep from 2-bit codes that lie together. A link
// block holds `lanes` offsets and `lanes` scales (f32), then the codes, 16 neighbours interleaved so that
// one register holds four dimensions of each and nothing has to be summed across. See spec/graph.md, "Links".

#pragma clang assume_nonnull begin

enum { ROOST_LINK_SET = 16, ROOST_LINK_CHUNK = 16, ROOST_LINK_CHUNK_BYTES = 64 };

typedef struct {
  const int8_t *levels;  // [chunks * 16]: the rotated query, zeros past its dimension
  size_t chunks;         // of 16 dimensions
  float step;            // estimate = own + offset + scale * step * (sum - shift)
  float shift;           // 1.5 * sum of levels
} roost_link_query;

// Writes those of `degree` neighbours `ids` (ending at the first 0xffffffff) whose estimate is not above
// `bound` to `rows` and `estimates`, in their order, and returns how many. Both have room for 16 more than
// `degree`. `own` is the distance of the query to the row whose links these are.
typedef size_t (*roost_link_kernel)(const roost_link_query *query, const void *block, const void *ids,
                                    size_t degree, float own, float bound, uint32_t *rows,
                                    float *estimates);
// The kernel at an available level (see distance.h); portable when the level is not available.
roost_link_kernel roost_link_kernel_at(int level);

typedef struct {
  float squared;  // |y|²
  float scale;    // scale * level stands for an element of y, so that the product with y itself is right
  float along;    // scale * (levels · centre)
} roost_link_factors;

// Codes the rotated difference `y` from a row to one neighbour as lane `lane` (below 16) of a set, whose
// codes are zeros so far in that lane. `centre` is the rotated row itself. A level is a code − 1.5.
roost_link_factors roost_encode_link(const float *y, const float *centre, size_t dimension, size_t lane,
                                     uint8_t *codes);

// Rounds a rotated query to levels from -127 to 127; returns their sum. A level stands for `step`.
int32_t roost_round_query(const float *values, size_t dimension, int8_t *levels, float *step);

// Fetches the first `bytes` of a block.
static inline void roost_prefetch_block(const void *block, size_t bytes) {
  for (size_t i = 0; i < bytes; i += 64) __builtin_prefetch((const char *)block + i, 0, 3);
}

#pragma clang assume_nonnull end
#endif
