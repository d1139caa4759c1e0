#ifndef ROOST_DISTANCE_H
#define ROOST_DISTANCE_H
#include <stddef.h>
#include <stdint.h>
#include <string.h>

// Distances between vectors of 1 to 4096 elements; smaller is nearer. Integer sums are exact and
// rounded once, when they become a float. No alignment is needed; 64 bytes is fastest. Infinities and NaN are
// not expected in f16 and bf16. The dimension of binary vectors counts bits and is a multiple of 8.

#pragma clang assume_nonnull begin

// The numbers are those of Core's VectorElement and Metric.
enum roost_element {
  ROOST_F32 = 1,
  ROOST_U8 = 2,
  ROOST_I8 = 3,
  ROOST_F16 = 4,     // IEEE 754 binary16
  ROOST_BF16 = 5,    // the upper half of a binary32
  ROOST_BINARY = 6   // bits, eight a byte
};
enum roost_metric {
  ROOST_L2 = 1,             // squared Euclidean distance
  ROOST_INNER_PRODUCT = 2,  // 0 - dot
  ROOST_COSINE = 3,         // f32: 1 - dot, for normalised vectors; others: 1 - cosine, 1 for a zero vector
  ROOST_HAMMING = 4         // bits that differ; for binary, which has no other
};
// What the instructions at hand allow, ascending. AVX2 stands for FMA, F16C and POPCNT, too; AVX512 for VNNI;
// AVX512_BF16 also for VPOPCNTDQ: the CPUs since Zen 4 and Sapphire Rapids.
enum roost_level {
  ROOST_PORTABLE = 0,
  ROOST_NEON = 1,
  ROOST_AVX2 = 2,
  ROOST_AVX512 = 3,
  ROOST_AVX512_BF16 = 4
};

typedef float (*roost_distance)(const void *a, const void *b, size_t dimension);
// One query against `count` rows; fetches rows ahead of their use.
typedef void (*roost_distance_batch)(const void *query, const void *_Nonnull const *_Nonnull rows,
                                     size_t count, size_t dimension, float *distances);
typedef struct {
  roost_distance one;
  roost_distance_batch batch;
} roost_distance_kernel;

// The best level of this CPU.
int roost_cpu_level(void);
// Whether this CPU can run `level`.
int roost_level_available(int level);
// The kernel at an available level; portable when the level is not available.
roost_distance_kernel roost_distance_kernel_at(int element, int metric, int level);

// The elements of a vector as floats, bits as 0 and 1.
void roost_to_floats(int element, const void *vector, size_t dimension, float *floats);

static inline void roost_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

// Inserts `key` into `count` ascending keys, moving the larger ones up by one; returns its position. The
// memory has room for one more. Blocks of eight move at once, which makes the scan from the end cheaper
// than a binary search, whose branches are all unpredictable.
static inline size_t roost_insert_key(uint64_t *keys, size_t count, uint64_t key) {
  size_t i = count;
  while (i >= 8 && keys[i - 8] > key) {
    uint64_t block[8];
    memcpy(block, keys + i - 8, sizeof block);
    memcpy(keys + i - 7, block, sizeof block);
    i -= 8;
  }
  while (i > 0 && keys[i - 1] > key) {
    keys[i] = keys[i - 1];
    i--;
  }
  keys[i] = key;
  return i;
}

// Keeps those of `count` rows whose bit in `words` is clear, and sets it; returns how many. Kept rows are
// also written to `noted`. Without branches, since which rows are new cannot be predicted.
static inline size_t roost_keep_unmarked(uint32_t *rows, size_t count, uint64_t *words, uint32_t *noted) {
  size_t kept = 0;
  for (size_t i = 0; i < count; i++) {
    uint32_t row = rows[i];
    uint64_t word = words[row >> 6];
    rows[kept] = row;
    noted[kept] = row;
    kept += (~word >> (row & 63)) & 1;
    words[row >> 6] = word | (uint64_t)1 << (row & 63);
  }
  return kept;
}

// Tells the CPU that this is a spin loop.
static inline void roost_pause(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

#pragma clang assume_nonnull end
#endif
