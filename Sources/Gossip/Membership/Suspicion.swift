// How long a suspect has to contradict (Dadgar, Phillips, Currey: Lifeguard, DSN 2018, "LHA-Suspicion").

import Glibc

/// The timeout begins long and falls with each independent confirmation: a slow observer alone does not get
/// anybody declared dead soon.
struct Suspicion: Sendable {
  private let startNanos: UInt64
  private let minNanos: Double
  private let maxNanos: Double
  private let wanted: Int
  private var accusers: Set<MemberID>
  /// When the member counts as dead.
  private(set) var deadlineNanos: UInt64

  /// - Parameter wanted: confirmations after which the shortest time holds; 0 if there is nobody to confirm.
  init(by accuser: MemberID, wanted: Int, minNanos: Double, maxNanos: Double, nowNanos: UInt64) {
    startNanos = nowNanos
    self.minNanos = minNanos
    self.maxNanos = maxNanos
    self.wanted = wanted
    accusers = [accuser]
    deadlineNanos = nowNanos &+ UInt64(wanted > 0 ? maxNanos : minNanos)
  }

  /// Returns whether this accusation is news worth passing on.
  mutating func confirm(by accuser: MemberID) -> Bool {
    guard accusers.count <= wanted, accusers.insert(accuser).inserted else { return false }
    let share = log(Double(accusers.count)) / log(Double(wanted + 1))
    let timeout = max(minNanos, maxNanos - (maxNanos - minNanos) * share)
    deadlineNanos = startNanos &+ UInt64(timeout)
    return true
  }
}
