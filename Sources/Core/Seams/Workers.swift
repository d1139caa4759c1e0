// CPU-bound work off the ring threads.

/// Runs long computations (graph builds, verification) where they do not delay I/O.
/// The node uses threads of low priority; simulation runs the work in place.
public protocol Workers: Sendable {
  /// How many pieces run side by side.
  var width: Int { get }
  /// Runs `body` on a worker thread; `body` must not suspend and should last less than minutes.
  func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T
}
