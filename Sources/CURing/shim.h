// liburing with the few inline functions that do not import into Swift, and the GNU extensions of the C
// library that Swift's own Glibc module leaves out.
#ifndef ROOST_CURING_SHIM_H
#define ROOST_CURING_SHIM_H
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
// _GNU_SOURCE renames a field of fd_set and adds a case to __rusage_who, and two modules must agree on a
// type: take these as Glibc has them.
#include <features.h>
#pragma push_macro("__USE_XOPEN")
#undef __USE_XOPEN
#include <sys/select.h>
#pragma pop_macro("__USE_XOPEN")
#pragma push_macro("__USE_GNU")
#undef __USE_GNU
#include <sys/resource.h>
#pragma pop_macro("__USE_GNU")
#include <fcntl.h>
#include <liburing.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/syscall.h>
#include <unistd.h>

static inline struct io_uring_sqe *roost_get_sqe(struct io_uring *ring) { return io_uring_get_sqe(ring); }

// Whether the kernel waits for the ring's thread to call and finish something in its name.
static inline _Bool roost_has_task_work(struct io_uring *ring) {
  return (__atomic_load_n(ring->sq.kflags, __ATOMIC_ACQUIRE) & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) != 0;
}

// setpriority(2) on the calling thread. <sys/resource.h> would bring a second, differing `enum __rusage_who`.
static inline int roost_set_thread_niceness(int niceness) {
  return (int)syscall(SYS_setpriority, 0 /* PRIO_PROCESS */, 0, niceness);
}

#endif
