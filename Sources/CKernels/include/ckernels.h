// Arithmetic kernels with run-time CPU dispatch. No allocation, no I/O, no state but the dispatch.
#ifndef ROOST_CKERNELS_H
#define ROOST_CKERNELS_H

#include "codes.h"
#include "crc32c.h"
#include "distance.h"
#include "links.h"
#include "tensor.h"

#endif
