// A file descriptor that is closed exactly once, and not while an operation uses it: the kernel hands the
// number out again at once, and an operation still on its way would then hit a stranger's file.

import CURing
import Core
import Glibc
import Synchronization

/// A counted descriptor. Operations `acquire` and `release`; `close` takes effect after the last release.
final class Descriptor: Sendable {
  let number: Int32
  /// Operations in flight; the top bit says that no new one may begin.
  private let state = Atomic<UInt32>(0)
  private static let closedBit: UInt32 = 1 << 31

  /// Owns `number` from now on.
  init(_ number: Int32) {
    precondition(number >= 0)
    self.number = number
  }

  deinit {
    // Nobody holds us, so no operation is in flight.
    if state.load(ordering: .acquiring) & Descriptor.closedBit == 0 { Glibc.close(number) }
  }

  var isClosed: Bool { state.load(ordering: .acquiring) & Descriptor.closedBit != 0 }

  /// False when the descriptor is closed.
  @inline(__always)
  func acquire() -> Bool {
    var old = state.load(ordering: .relaxed)
    while true {
      if old & Descriptor.closedBit != 0 { return false }
      let (done, seen) = state.weakCompareExchange(
        expected: old, desired: old + 1, ordering: .acquiringAndReleasing)
      if done { return true }
      old = seen
    }
  }

  @inline(__always)
  func release() {
    let (_, new) = state.subtract(1, ordering: .acquiringAndReleasing)
    if new == Descriptor.closedBit { Glibc.close(number) }
  }

  /// Lets no new operation begin. True when the caller must close the number now; otherwise the last
  /// operation does it, or somebody has closed it before.
  func beginClose() -> Bool {
    let (old, _) = state.bitwiseOr(Descriptor.closedBit, ordering: .acquiringAndReleasing)
    return old == 0
  }
}
