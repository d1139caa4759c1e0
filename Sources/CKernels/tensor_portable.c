// Tensor kernels for any CPU; on aarch64 the compiler makes NEON of them.
#define TENSOR_ROWS 3
#define TENSOR_COLUMNS 16
#define TENSOR_VNNI 0
#define TENSOR_MADD 0
#include "tensor_body.h"
#include "tensor_levels.h"

const roost_tensor_kernel *roost_tensor_portable(void) { return &kernel; }
