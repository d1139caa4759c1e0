// Refuses work early when there is too much of it, so that what is accepted finishes in time.

import Core
import Synchronization

/// A bound on how much of something is going on.
final class Admission: Sendable {
  private let used = Atomic<Int>(0)
  private let limit: Int
  private let what: StaticString

  init(_ what: StaticString, limit: Int) {
    self.what = what
    self.limit = limit
  }

  var current: Int { used.load(ordering: .relaxed) }

  /// Takes `amount`; throws `.overloaded` when that is too much. Something larger than the whole limit is
  /// let in alone: refusing it for ever would help nobody.
  func enter(_ amount: Int = 1) throws(RoostError) {
    let before = used.add(amount, ordering: .relaxed).oldValue
    guard before == 0 || before + amount <= limit else {
      used.subtract(amount, ordering: .relaxed)
      throw RoostError(
        .overloaded, "the node has \(before) \(what) in progress, the limit is \(limit)", at: "node",
        remedy: "try again shortly")
    }
  }

  func leave(_ amount: Int = 1) { used.subtract(amount, ordering: .relaxed) }
}
