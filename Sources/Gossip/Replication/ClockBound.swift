// How far ahead a version may be: a node whose clock is years ahead must not make every later write lose.

import Core

/// Correctness never depends on clocks, but a version from the far future would win for years.
public struct ClockBound: Sendable {
  /// Versions so far ahead of the own clock are refused.
  public var aheadMaxMs: UInt64

  public init(aheadMaxMs: UInt64 = 60_000) { self.aheadMaxMs = aheadMaxMs }

  /// Throws `.invalidArgument` for a version that is too far ahead of this node's wall clock; the clock of
  /// one of the two is wrong.
  public func check(_ version: Version, wallMicros: Int64) throws(RoostError) {
    let wallMs = UInt64(max(0, wallMicros)) / 1_000
    let ms = version.time >> 16
    guard ms > wallMs, ms - wallMs > aheadMaxMs else { return }
    throw RoostError(
      .invalidArgument, "a version \(ms - wallMs) ms ahead of this node's clock, \(aheadMaxMs) are allowed",
      at: "node \(version.node)", remedy: "set the clocks of both nodes")
  }
}
