// Tensor kernels for AVX-512 with VNNI.
#if defined(__x86_64__)
#include "tensor_levels.h"
#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,fma"))), \
                             apply_to = function)
#define TENSOR_ROWS 12
#define TENSOR_COLUMNS 32
#define TENSOR_VNNI 1
#define TENSOR_MADD 0
#include "tensor_body.h"

const roost_tensor_kernel *roost_tensor_avx512(void) { return &kernel; }
#pragma clang attribute pop
#endif
