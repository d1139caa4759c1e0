// What runs Roost on a real machine: one ring per core, the file system and network on them, worker threads.

import CURing
import Core
import Glibc

/// Owns the threads behind a `Runtime`.
public final class SystemRuntime: Sendable {
  /// The seams, for everything that takes a `Runtime`.
  public let runtime: Runtime
  public let rings: [Ring]
  private let workers: ThreadWorkers
  private let threads: ThreadPool

  /// How long a ring that serves connections looks for the next request or reply before it sleeps: long enough
  /// for a search in memory. On a single core whoever would bring the news could not run meanwhile.
  public static var pollMicrosDefault: Int { onlineCores() > 1 ? 200 : 0 }

  /// Starts `cores` rings; by default one for each core that this process may use.
  /// Throws `.unavailable` when io_uring cannot be used.
  /// - Parameter pollMicros: as in `Ring.init`; it saves two wake-ups a request for some processor time.
  public init(
    cores: Int = onlineCores(), pollMicros: Int = SystemRuntime.pollMicrosDefault
  ) throws(RoostError) {
    precondition(cores > 0)
    var rings: [Ring] = []
    for _ in 0..<cores { rings.append(try Ring(pollMicros: pollMicros)) }
    self.rings = rings
    threads = ThreadPool(width: 4, name: "roost-blocking")
    workers = ThreadWorkers()
    runtime = Runtime(
      clock: SystemClock(ring: rings[0]), random: SystemRandom(),
      files: RingFileSystem(rings: rings, threads: threads),
      transport: RingTransport(rings: rings, threads: threads), workers: workers, executors: rings)
  }

  /// Cancels what has no end (accept, receive, sleep), finishes everything else and joins all threads. File
  /// operations begun later fail with `.cancelled`.
  public func shutdown() async {
    for ring in rings { await ring.shutdown() }
    workers.shutdown()
    threads.shutdown()
  }

  /// Runs `body` on the first ring and blocks the calling thread, which must not be a ring's or a task's,
  /// until it has ended; for the `main` of executables.
  public func run<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
    let outcome = BlockingValue<Result<T, any Error>>()
    Task(executorPreference: rings[0]) {
      do { outcome.set(.success(try await body())) } catch { outcome.set(.failure(error)) }
    }
    return try outcome.wait().get()
  }

  /// One for the whole process, started when first used and never ended: for embedded use.
  public static func shared() throws(RoostError) -> SystemRuntime { try sharedResult.get() }

  private static let sharedResult: Result<SystemRuntime, RoostError> = {
    do throws(RoostError) { return .success(try SystemRuntime()) } catch { return .failure(error) }
  }()
}

extension Runtime {
  /// The real machine, process-wide.
  public static func system() throws(RoostError) -> Runtime { try SystemRuntime.shared().runtime }
}

/// The cores that this process may use (its affinity mask), at least 1.
public func onlineCores() -> Int {
  var mask = cpu_set_t()
  guard sched_getaffinity(0, MemoryLayout<cpu_set_t>.size, &mask) == 0 else {
    return max(1, sysconf(Int32(_SC_NPROCESSORS_ONLN)))
  }
  return max(1, withUnsafeBytes(of: &mask) { $0.reduce(0) { $0 + $1.nonzeroBitCount } })
}
