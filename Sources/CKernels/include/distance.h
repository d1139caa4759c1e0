#ifndef ROOST_DISTANCE_H
#define ROOST_DISTANCE_H
#include <stddef.h>
#include <stdint.h>

// Distances between vectors of 1 to 4096 elements; smaller is nearer. Integer sums are exact and
// rounded once, when they become a float. No alignment is needed; 64 bytes is fastest.

#pragma clang assume_nonnull begin

// The numbers are those of Core's VectorElement and Metric.
enum roost_element { ROOST_F32 = 1, ROOST_U8 = 2, ROOST_I8 = 3 };
enum roost_metric {
  ROOST_L2 = 1,             // squared Euclidean distance
  ROOST_INNER_PRODUCT = 2,  // 0 - dot
  ROOST_COSINE = 3          // f32: 1 - dot, for normalised vectors; u8, i8: 1 - cosine, 1 for a zero vector
};
// What the instructions at hand allow, ascending.
enum roost_level { ROOST_PORTABLE = 0, ROOST_NEON = 1, ROOST_AVX2 = 2, ROOST_AVX512 = 3 };

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

static inline void roost_prefetch(const void *address) { __builtin_prefetch(address, 0, 3); }

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
