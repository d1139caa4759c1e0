// liburing with the few inline functions and constants that do not import into Swift.
#ifndef ROOST_CURING_SHIM_H
#define ROOST_CURING_SHIM_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <liburing.h>
#include <fcntl.h>
#include <sys/eventfd.h>

static inline struct io_uring_sqe *roost_get_sqe(struct io_uring *ring) { return io_uring_get_sqe(ring); }

#endif
