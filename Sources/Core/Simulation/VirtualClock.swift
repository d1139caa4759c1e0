// Time that passes only when nothing else is left to do.

import Synchronization

/// A clock over a `SeededExecutor`. Every simulated machine may have its own: they share the flow of time
/// and differ in what their wall clocks say.
public final class VirtualClock: Clock {
  private let executor: SeededExecutor
  private let wallOffsetMicros: Atomic<Int64>

  /// 2030-01-01T00:00:00Z.
  public static let defaultWallMicros: Int64 = 1_893_456_000_000_000

  /// - Parameter wallMicros: what the wall clock shows at virtual time 0.
  public init(_ executor: SeededExecutor, wallMicros: Int64 = VirtualClock.defaultWallMicros) {
    self.executor = executor
    wallOffsetMicros = Atomic(wallMicros)
  }

  public func wallMicros() -> Int64 {
    wallOffsetMicros.load(ordering: .sequentiallyConsistent) + Int64(executor.nowNanos / 1_000)
  }

  public func monotonicNanos() -> UInt64 { executor.nowNanos }

  /// The wall clock jumps, forward or back, as clocks that are set do.
  public func jump(wallMicros: Int64) {
    wallOffsetMicros.add(wallMicros, ordering: .sequentiallyConsistent)
  }

  public func sleep(nanos: UInt64) async throws(RoostError) {
    let state = SleepState()
    let isWhole = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in state.start(continuation, executor, nanos) }
    } onCancel: {
      state.cancel(executor)
    }
    guard isWhole else { throw RoostError(.cancelled, "the sleep was cancelled", at: "clock") }
  }
}

/// One sleep, which its timer or its cancellation ends, whichever comes first.
private final class SleepState: Sendable {
  private enum Phase {
    case notStarted
    case waiting(UnsafeContinuation<Bool, Never>, timer: UInt64)
    case over
  }

  private let phase = Mutex(Phase.notStarted)

  func start(_ continuation: UnsafeContinuation<Bool, Never>, _ executor: SeededExecutor, _ nanos: UInt64) {
    let isCancelled = phase.withLock { phase in
      if case .over = phase { return true }
      phase = .waiting(continuation, timer: executor.schedule(afterNanos: nanos) { self.finish(true) })
      return false
    }
    if isCancelled { continuation.resume(returning: false) }
  }

  func cancel(_ executor: SeededExecutor) {
    if let timer = finish(false) { executor.cancelTimer(timer) }
  }

  @discardableResult
  private func finish(_ isWhole: Bool) -> UInt64? {
    let waiting: (UnsafeContinuation<Bool, Never>, UInt64)? = phase.withLock { phase in
      defer { phase = .over }
      if case .waiting(let continuation, let timer) = phase { return (continuation, timer) }
      return nil
    }
    waiting?.0.resume(returning: isWhole)
    return waiting?.1
  }
}
