// What a module's calls cost, and the bound that the operator has set for it.

import Core
import Glibc
import Synchronization

/// Figures of one version of a module, counted by the threads that call it.
public final class WasmMeter: Sendable {
  /// Batches handed to the guest.
  public let calls = Atomic<UInt64>(0)
  /// Candidates or inputs in them.
  public let items = Atomic<UInt64>(0)
  /// Nanoseconds within guest code.
  public let nanos = Atomic<UInt64>(0)
  /// Calls that ended in a trap or in nonsense.
  public let failures = Atomic<UInt64>(0)
  /// Calls that ran past their deadline.
  public let deadlineMisses = Atomic<UInt64>(0)
  /// What bounds it, together with the other versions of the module.
  let budget: WasmBudget

  public init(budget: WasmBudget = WasmBudget()) { self.budget = budget }

  static func now() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
}

/// A share of the processors' time, kept by the generic cell rate algorithm (ITU-T I.371): one number, the time at
/// which all that has been spent is paid for. It may lie ahead of now by `burstNanos`; beyond, calls are refused.
///
/// So in any interval of `t` a module's calls take at most `share × (t + burst)` and, for each of those that had begun
/// when the share was used up, its deadline.
public final class WasmBudget: Sendable {
  private let paidNanos = Atomic<UInt64>(0)
  /// Cost of a nanosecond in thousandths of nanoseconds of `paidNanos`; 0 when there is no bound.
  private let price = Atomic<UInt64>(0)
  /// Calls that were refused.
  public let refused = Atomic<UInt64>(0)

  static let burstNanos: UInt64 = 100_000_000

  public init() {}

  /// Sets the share, 1 to 100 percent of `cores`; 100 is no bound.
  public func set(percent: Int, cores: Int) {
    precondition((1...100).contains(percent) && cores > 0)
    price.store(percent == 100 ? 0 : UInt64(100_000 / (percent * cores)), ordering: .relaxed)
  }

  @inline(__always)
  var isBounded: Bool { price.load(ordering: .relaxed) != 0 }

  /// Whether a call may begin.
  func admits(now: UInt64) -> Bool {
    guard isBounded, paidNanos.load(ordering: .relaxed) > now + WasmBudget.burstNanos else { return true }
    refused.add(1, ordering: .relaxed)
    return false
  }

  func spend(_ nanos: UInt64, now: UInt64) {
    let price = price.load(ordering: .relaxed)
    guard price != 0 else { return }
    var paid = paidNanos.load(ordering: .relaxed)
    while true {
      let (changed, current) = paidNanos.compareExchange(
        expected: paid, desired: max(paid, now) + nanos * price / 1_000, ordering: .relaxed)
      if changed { return }
      paid = current
    }
  }
}
