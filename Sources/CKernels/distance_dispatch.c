// Chooses the distance kernels that this CPU can run.
#include "distance_levels.h"

int roost_level_available(int level) {
  switch (level) {
    case ROOST_PORTABLE: return 1;
#if defined(__x86_64__)
    case ROOST_AVX2: return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    case ROOST_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vnni");
#elif defined(__aarch64__)
    case ROOST_NEON: return 1;
#endif
    default: return 0;
  }
}

int roost_cpu_level(void) {
  for (int level = ROOST_AVX512; level > ROOST_PORTABLE; level--)
    if (roost_level_available(level)) return level;
  return ROOST_PORTABLE;
}

roost_distance_kernel roost_distance_kernel_at(int element, int metric, int level) {
  if (!roost_level_available(level)) level = ROOST_PORTABLE;
#if defined(__x86_64__)
  if (level == ROOST_AVX512) return roost_distance_avx512(element, metric);
  if (level == ROOST_AVX2) return roost_distance_avx2(element, metric);
#elif defined(__aarch64__)
  if (level == ROOST_NEON) return roost_distance_neon(element, metric);
#endif
  return roost_distance_portable(element, metric);
}
