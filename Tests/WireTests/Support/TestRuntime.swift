// The seams for tests of the wire: real time, threads as executors, a network in memory.

import Core
import Glibc
import Synchronization

struct TestClock: Clock {
  func wallMicros() -> Int64 { Int64(monotonicNanos() / 1000) }
  func monotonicNanos() -> UInt64 {
    var time = timespec()
    clock_gettime(CLOCK_MONOTONIC, &time)
    return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
  }
  func sleep(nanos: UInt64) async throws(RoostError) {
    do { try await Task.sleep(nanoseconds: nanos) } catch {
      throw RoostError(.cancelled, "the sleep was cancelled")
    }
  }
}

final class TestRandom: RandomSource {
  private let state: Mutex<SplitMix64>
  init(seed: UInt64) { state = Mutex(SplitMix64(seed: seed)) }
  func next() -> UInt64 { state.withLock { $0.next() } }
}

/// One thread that runs jobs in order.
///
/// Safety of `@unchecked Sendable`: the queue is touched only while `mutex` is held; the pthread objects
/// have stable addresses and live as long as the process.
final class ThreadExecutor: TaskExecutor, @unchecked Sendable {
  private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
  private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)
  private var jobs: [UnownedJob] = []

  init() {
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
    var thread = pthread_t()
    let context = Unmanaged.passRetained(self).toOpaque()
    pthread_create(
      &thread, nil,
      { context in
        guard let context else { return nil }
        Unmanaged<ThreadExecutor>.fromOpaque(context).takeUnretainedValue().run()
        return nil
      }, context)
  }

  func enqueue(_ job: consuming ExecutorJob) {
    pthread_mutex_lock(mutex)
    jobs.append(UnownedJob(job))
    pthread_cond_signal(condition)
    pthread_mutex_unlock(mutex)
  }

  private func run() {
    while true {
      pthread_mutex_lock(mutex)
      while jobs.isEmpty { pthread_cond_wait(condition, mutex) }
      let batch = jobs
      jobs = []
      pthread_mutex_unlock(mutex)
      for job in batch { job.runSynchronously(on: asUnownedTaskExecutor()) }
    }
  }
}

struct NoFiles: FileSystem {
  private var refused: RoostError { RoostError(.io, "tests of the wire have no files") }
  func open(_ path: String, _ options: OpenOptions) async throws(RoostError) -> any File { throw refused }
  func exists(_ path: String) async throws(RoostError) -> Bool { throw refused }
  func list(_ directory: String) async throws(RoostError) -> [String] { throw refused }
  func makeDirectory(_ path: String) async throws(RoostError) { throw refused }
  func rename(_ source: String, to target: String) async throws(RoostError) { throw refused }
  func link(_ source: String, to target: String) async throws(RoostError) { throw refused }
  func remove(_ path: String) async throws(RoostError) { throw refused }
  func removeDirectory(_ path: String) async throws(RoostError) { throw refused }
  func syncDirectory(_ path: String) async throws(RoostError) { throw refused }
  func lock(_ path: String) async throws(RoostError) -> any FileLock { throw refused }
}

struct InlineWorkers: Workers {
  let width = 1
  func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T { body() }
}

enum TestRuntime {
  private static let executors = [ThreadExecutor(), ThreadExecutor()]

  static func make(transport: any Transport) -> Runtime {
    Runtime(
      clock: TestClock(), random: TestRandom(seed: 1), files: NoFiles(), transport: transport,
      workers: InlineWorkers(), executors: executors)
  }
}
