// Plain threads for what would hold up a ring: long computations, and the few system calls that io_uring
// does not have.

import CURing
import Glibc
import Synchronization

/// A fixed number of threads and a queue. Threads start with the first piece of work.
///
/// Safety of `@unchecked Sendable`: all mutable state is in `state`; the semaphore is made for sharing.
final class ThreadPool: @unchecked Sendable {
  private struct State {
    var work: [@Sendable () -> Void] = []
    var taken = 0
    var threads: [pthread_t] = []
    var idle = 0
    var isStopping = false
  }

  let width: Int
  private let name: String
  private let niceness: Int32
  private let state = Mutex(State())
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)

  /// - Parameters:
  ///   - name: at most 15 characters, as the system shows them.
  ///   - niceness: added to the threads' priority; 0 leaves it alone.
  init(width: Int, name: String, niceness: Int32 = 0) {
    precondition(width > 0 && name.utf8.count <= 15)
    self.width = width
    self.name = name
    self.niceness = niceness
    sem_init(semaphore, 0, 0)
  }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  /// Runs `body` on one of the threads; after `shutdown` on the caller's.
  func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await withUnsafeContinuation { continuation in
      let work: @Sendable () -> Void = { continuation.resume(returning: body()) }
      let isAccepted = state.withLock { state in
        guard !state.isStopping else { return false }
        state.work.append(work)
        if state.idle < state.work.count - state.taken && state.threads.count < width {
          startThread(&state)
        }
        return !state.threads.isEmpty
      }
      if isAccepted { sem_post(semaphore) } else { work() }
    }
  }

  /// Finishes what is queued, then ends and joins the threads. Not to be called from one of them.
  func shutdown() {
    let threads = state.withLock { state in
      state.isStopping = true
      defer { state.threads = [] }
      return state.threads
    }
    for _ in threads { sem_post(semaphore) }
    for thread in threads { pthread_join(thread, nil) }
  }

  private func startThread(_ state: inout State) {
    var handle = pthread_t()
    let pool = Unmanaged.passRetained(self)
    let code = pthread_create(
      &handle, nil,
      { raw in
        guard let raw else { return nil }
        Unmanaged<ThreadPool>.fromOpaque(raw).takeRetainedValue().work()
        return nil
      }, pool.toOpaque())
    if code == 0 { state.threads.append(handle) } else { pool.release() }
  }

  private func work() {
    pthread_setname_np(pthread_self(), name)
    if niceness != 0 { roost_set_thread_niceness(niceness) }
    while true {
      state.withLock { $0.idle += 1 }
      while sem_wait(semaphore) != 0 {}
      let (work, isDone): ((@Sendable () -> Void)?, Bool) = state.withLock { state in
        state.idle -= 1
        guard state.taken < state.work.count else { return (nil, state.isStopping) }
        let work = state.work[state.taken]
        state.taken += 1
        if state.taken == state.work.count {
          state.work.removeAll(keepingCapacity: true)
          state.taken = 0
        }
        return (work, false)
      }
      work?()
      if isDone { return }
    }
  }
}
