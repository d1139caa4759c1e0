// A value that one thread sets and another waits for, where nobody can suspend.

import Glibc

/// Safety of `@unchecked Sendable`: `value` is written once, before the semaphore is posted, and read only
/// after it was waited for; the semaphore itself is made for sharing.
final class BlockingValue<T: Sendable>: @unchecked Sendable {
  private let semaphore = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
  private var value: T?

  init() { sem_init(semaphore, 0, 0) }

  deinit {
    sem_destroy(semaphore)
    semaphore.deallocate()
  }

  /// To be called once.
  func set(_ value: T) {
    self.value = value
    sem_post(semaphore)
  }

  /// Blocks the thread; to be called once.
  func wait() -> T {
    while sem_wait(semaphore) != 0 {}
    guard let value else { preconditionFailure("the semaphore was posted without a value") }
    return value
  }
}
