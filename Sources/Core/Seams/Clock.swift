// Time as a parameter. Nothing outside a shell reads a clock of the operating system.

public protocol Clock: Sendable {
  /// Microseconds since 1970-01-01T00:00:00Z; may jump.
  func wallMicros() -> Int64
  /// Nanoseconds since some fixed instant; never goes back.
  func monotonicNanos() -> UInt64
  /// Suspends for at least `nanos`; throws `.cancelled` when the task is cancelled meanwhile.
  func sleep(nanos: UInt64) async throws(RoostError)
}
