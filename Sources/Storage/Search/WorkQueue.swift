// Pieces of work by number, taken by whoever is free.

import Synchronization

final class WorkQueue: Sendable {
  private let count: Int
  private let taken = Atomic<Int>(0)

  init(_ count: Int) { self.count = count }

  /// The next piece; nil when none is left, or the task was cancelled.
  func next() -> Int? {
    if Task.isCancelled { return nil }
    let piece = taken.wrappingAdd(1, ordering: .relaxed).oldValue
    return piece < count ? piece : nil
  }

  /// No more pieces are given out.
  func stop() { taken.store(count, ordering: .relaxed) }
}
