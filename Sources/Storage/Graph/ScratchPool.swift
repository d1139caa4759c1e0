// Scratch memory that queries borrow, so that a query in a warm system allocates none.

import Core
import Synchronization

/// A stack of idle scratches; grows to as many as were ever in use at once.
final class ScratchPool: Sendable {
  private let idle = Mutex<[GraphScratch]>([])

  func with<T, Failure: Error>(_ body: (GraphScratch) throws(Failure) -> T) throws(Failure) -> T {
    let scratch = borrow()
    defer { giveBack(scratch) }
    return try body(scratch)
  }

  /// For use across suspensions; every scratch borrowed goes back once.
  func borrow() -> GraphScratch { idle.withLock { $0.popLast() } ?? GraphScratch() }

  func giveBack(_ scratch: GraphScratch) { idle.withLock { $0.append(scratch) } }
}
