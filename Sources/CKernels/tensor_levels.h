// The tensor kernels of each level; not part of the module.
#ifndef ROOST_TENSOR_LEVELS_H
#define ROOST_TENSOR_LEVELS_H
#include "tensor.h"

const roost_tensor_kernel *roost_tensor_portable(void);
#if defined(__x86_64__)
const roost_tensor_kernel *roost_tensor_avx2(void);
const roost_tensor_kernel *roost_tensor_avx512(void);
#endif

#endif
