// Computation off the ring threads, on threads of low priority: a graph build must not slow a query.

import Core

/// As many threads as cores, at nice +5.
public struct ThreadWorkers: Workers {
  private let pool: ThreadPool

  public init(width: Int = onlineCores()) {
    pool = ThreadPool(width: width, name: "roost-worker", niceness: 5)
  }

  public var width: Int { pool.width }

  public func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T { await pool.run(body) }

  /// Finishes what is queued and joins the threads.
  func shutdown() { pool.shutdown() }
}
