// Chooses the distance kernels that this CPU can run.
#include "distance_levels.h"

int roost_level_available(int level) {
  switch (level) {
    case ROOST_PORTABLE: return 1;
#if defined(__x86_64__)
    case ROOST_AVX2:
      return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
             __builtin_cpu_supports("f16c") && __builtin_cpu_supports("popcnt");
    case ROOST_AVX512:
      return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
             __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
             __builtin_cpu_supports("avx512vnni");
    case ROOST_AVX512_BF16:
      return roost_level_available(ROOST_AVX512) && __builtin_cpu_supports("avx512bf16") &&
             __builtin_cpu_supports("avx512vpopcntdq");
#elif defined(__aarch64__)
    case ROOST_NEON: return 1;
#endif
    default: return 0;
  }
}

int roost_cpu_level(void) {
  for (int level = ROOST_AVX512_BF16; level > ROOST_PORTABLE; level--)
    if (roost_level_available(level)) return level;
  return ROOST_PORTABLE;
}

roost_distance_kernel roost_distance_kernel_at(int element, int metric, int level) {
  if (!roost_level_available(level)) level = ROOST_PORTABLE;
  if (element == ROOST_BINARY) return roost_hamming_at(level);
  const int is_half = element == ROOST_F16 || element == ROOST_BF16;
#if defined(__x86_64__)
  if (is_half && level >= ROOST_AVX512)
    return roost_half_avx512(element, metric, level == ROOST_AVX512_BF16);
  if (is_half && level == ROOST_AVX2) return roost_half_avx2(element, metric);
  if (level >= ROOST_AVX512) return roost_distance_avx512(element, metric);
  if (level == ROOST_AVX2) return roost_distance_avx2(element, metric);
#elif defined(__aarch64__)
  if (level == ROOST_NEON)
    return is_half ? roost_half_neon(element, metric) : roost_distance_neon(element, metric);
#endif
  if (is_half) return roost_half_portable(element, metric);
  return roost_distance_portable(element, metric);
}
