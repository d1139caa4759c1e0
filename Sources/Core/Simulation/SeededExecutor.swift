// A single-threaded executor whose order of jobs and whose time are decided by a seed. Code that keeps to
// the seams runs on it exactly as in the node, and every run with one seed is the same run.
//
// What breaks the spell: `Task {}` and `Task.detached` without `executorPreference` run on the global
// executor's threads. What comes back from there is counted in `strayJobs`.

import Glibc
import Synchronization

/// Drives tasks, virtual time and timers on the thread that calls `run`.
public final class SeededExecutor: TaskExecutor {
  public enum Order: Sendable {
    /// The next job is drawn from all that are ready.
    case random
    /// First come, first served.
    case fifo
  }

  private struct State {
    var ready: [UnownedJob] = []
    /// Of a first-come queue: jobs before this have run.
    var taken = 0
    var random: SplitMix64
    var nowNanos: UInt64 = 0
    var timers = EventQueue<@Sendable () -> Void>()
    var cancelledTimers: Set<UInt64> = []
    var jobCount = 0
    var strayJobs = 0
    var driver: pthread_t?
  }

  public let order: Order
  private let state: Mutex<State>

  public init(seed: UInt64, order: Order = .random) {
    self.order = order
    state = Mutex(State(random: SplitMix64(seed: seed)))
  }

  /// Virtual nanoseconds since the start.
  public var nowNanos: UInt64 { state.withLock { $0.nowNanos } }
  /// Jobs run so far: equal in two runs that are the same run.
  public var jobCount: Int { state.withLock { $0.jobCount } }
  /// Jobs that came from other threads while running; anything but 0 means that the run cannot be repeated.
  public var strayJobs: Int { state.withLock { $0.strayJobs } }

  public func enqueue(_ job: consuming ExecutorJob) {
    let job = UnownedJob(job)
    state.withLock { state in
      if let driver = state.driver, pthread_equal(driver, pthread_self()) == 0 { state.strayJobs += 1 }
      state.ready.append(job)
    }
  }

  // MARK: - Driving

  /// Runs jobs and lets time pass until `isDone` or until nothing can happen any more; returns whether
  /// `isDone`. It is asked after every job.
  @discardableResult
  public func drive(until isDone: () -> Bool) -> Bool {
    let before = state.withLock { state in
      defer { state.driver = pthread_self() }
      return state.driver
    }
    defer { state.withLock { $0.driver = before } }
    let executor = asUnownedTaskExecutor()
    while !isDone() {
      if let job = nextJob() {
        job.runSynchronously(on: executor)
      } else if let timer = nextTimer() {
        timer()
      } else {
        return false
      }
    }
    return true
  }

  /// Runs until no job is ready and no timer is set.
  public func runUntilIdle() { drive(until: { false }) }

  /// Lets `nanos` of virtual time pass.
  public func run(forNanos nanos: UInt64) {
    let flag = Flag()
    schedule(afterNanos: nanos) { flag.set() }
    drive(until: { flag.isSet })
  }

  /// Runs `body` as a task on this executor to its end and returns what it returns. Throws `.internalFailure`
  /// when the task waits for something that nobody will ever do.
  public func run<T: Sendable>(_ body: @escaping @Sendable () async throws -> T) throws -> T {
    let box = OutcomeBox<T>()
    Task(executorPreference: self) {
      do { box.set(.success(try await body())) } catch { box.set(.failure(error)) }
    }
    drive(until: { box.isSet })
    guard let result = box.value else {
      throw RoostError(
        .internalFailure, "the task waits, and nothing is left that could wake it", at: "simulation",
        remedy: "look for a lost continuation or for a task that does not prefer the simulation's executor")
    }
    return try result.get()
  }

  private func nextJob() -> UnownedJob? {
    state.withLock { state in
      let waiting = state.ready.count - state.taken
      guard waiting > 0 else { return nil }
      state.jobCount += 1
      switch order {
      case .random:
        let index = Int.random(in: 0..<waiting, using: &state.random)
        state.ready.swapAt(index, waiting - 1)
        return state.ready.removeLast()
      case .fifo:
        let job = state.ready[state.taken]
        state.taken += 1
        if state.taken == state.ready.count {
          state.ready.removeAll(keepingCapacity: true)
          state.taken = 0
        }
        return job
      }
    }
  }

  // MARK: - Time

  /// Runs `body` on the driving thread, between jobs, when `nanos` have passed. Returns a number for
  /// `cancelTimer`.
  @discardableResult
  public func schedule(afterNanos nanos: UInt64, _ body: @escaping @Sendable () -> Void) -> UInt64 {
    state.withLock { state in
      let (sum, overflow) = state.nowNanos.addingReportingOverflow(nanos)
      return state.timers.add(body, atNanos: overflow ? .max : sum)
    }
  }

  /// The timer will not fire; it must not have fired yet.
  public func cancelTimer(_ number: UInt64) { _ = state.withLock { $0.cancelledTimers.insert(number) } }

  /// The earliest timer; time jumps to it.
  private func nextTimer() -> (@Sendable () -> Void)? {
    state.withLock { state in
      while let timer = state.timers.pop() {
        if state.cancelledTimers.remove(timer.number) != nil { continue }
        state.nowNanos = max(state.nowNanos, timer.nanos)
        return timer.event
      }
      return nil
    }
  }
}

private final class Flag: Sendable {
  private let value = Atomic<Bool>(false)
  var isSet: Bool { value.load(ordering: .sequentiallyConsistent) }
  func set() { value.store(true, ordering: .sequentiallyConsistent) }
}

private final class OutcomeBox<T: Sendable>: Sendable {
  private let result = Mutex<Result<T, any Error>?>(nil)
  var isSet: Bool { value != nil }
  var value: Result<T, any Error>? { result.withLock { $0 } }
  func set(_ value: Result<T, any Error>) { result.withLock { $0 = value } }
}
