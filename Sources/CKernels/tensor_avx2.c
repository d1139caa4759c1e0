// Tensor kernels for AVX2 with FMA.
#if defined(__x86_64__)
#include "tensor_levels.h"
#include <immintrin.h>
#include <math.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define TENSOR_ROWS 6
#define TENSOR_COLUMNS 16
#define TENSOR_VNNI 0
#define TENSOR_MADD 1
#include "tensor_body.h"

const roost_tensor_kernel *roost_tensor_avx2(void) { return &kernel; }
#pragma clang attribute pop
#endif
