import Core
import Glibc
import Synchronization
import Testing

@Suite struct SeededExecutorTests {
  /// Lets several tasks, actors and sleeps write down in what order they came.
  private func trace(seed: UInt64, order: SeededExecutor.Order) throws -> ([String], Int, UInt64) {
    let executor = SeededExecutor(seed: seed, order: order)
    let clock = VirtualClock(executor)
    let log = Log()
    try executor.run {
      let counter = Counter()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<10 {
          group.addTask {
            for round in 0..<5 {
              log.add("\(index).\(round)")
              let count = await counter.next()
              log.add("count \(count)")
              try await clock.sleep(nanos: UInt64(index % 3) * 100)
            }
          }
        }
        try await group.waitForAll()
      }
      async let left: Void = clock.sleep(nanos: 5)
      async let right: Void = clock.sleep(nanos: 7)
      _ = try await (left, right)
    }
    #expect(executor.strayJobs == 0)
    return (log.lines, executor.jobCount, executor.nowNanos)
  }

  private actor Counter {
    private var value = 0
    func next() -> Int {
      value += 1
      return value
    }
  }

  private final class Log: Sendable {
    private let content = Mutex<[String]>([])
    func add(_ line: String) { content.withLock { $0.append(line) } }
    var lines: [String] { content.withLock { $0 } }
  }

  @Test func oneSeedOneRun() throws {
    for order in [SeededExecutor.Order.random, .fifo] {
      let first = try trace(seed: 3, order: order)
      #expect(first.0.count == 100)
      for _ in 0..<5 { #expect(try trace(seed: 3, order: order) == first) }
    }
    #expect(try trace(seed: 3, order: .random).0 != trace(seed: 4, order: .random).0)
    #expect(try trace(seed: 3, order: .fifo).0 == trace(seed: 4, order: .fifo).0)
  }

  @Test func timePassesOnlyWhenIdle() throws {
    let executor = SeededExecutor(seed: 1)
    let clock = VirtualClock(executor, wallMicros: 1_000)
    let elapsed = try executor.run {
      let start = clock.monotonicNanos()
      try await withThrowingTaskGroup(of: Void.self) { group in
        for hours in 1...100 as ClosedRange<UInt64> {
          group.addTask { try await clock.sleep(nanos: hours * 3_600_000_000_000) }
        }
        try await group.waitForAll()
      }
      return clock.monotonicNanos() - start
    }
    #expect(elapsed == 100 * 3_600_000_000_000)
    #expect(clock.wallMicros() == 1_000 + 100 * 3_600_000_000)
    clock.jump(wallMicros: -5_000_000)
    #expect(clock.wallMicros() == 1_000 + 100 * 3_600_000_000 - 5_000_000)
    executor.run(forNanos: 10)
    #expect(clock.monotonicNanos() == elapsed + 10)
  }

  @Test func sleepersWakeInOrder() throws {
    let executor = SeededExecutor(seed: 1)
    let clock = VirtualClock(executor)
    let log = Log()
    var random = SplitMix64(seed: 9)
    for _ in 0..<200 {
      let nanos = random.next() % 10_000
      executor.schedule(afterNanos: nanos) { log.add("\(nanos) \(clock.monotonicNanos())") }
    }
    executor.runUntilIdle()
    let times = log.lines.map { $0.split(separator: " ").map { UInt64($0)! } }
    #expect(times.count == 200)
    #expect(times.allSatisfy { $0[0] == $0[1] })
    #expect(times.map { $0[0] } == times.map { $0[0] }.sorted())
  }

  @Test func cancellingASleep() throws {
    let executor = SeededExecutor(seed: 1)
    let clock = VirtualClock(executor)
    try executor.run {
      let sleeping = Task(executorPreference: executor) { () -> Bool in
        do {
          try await clock.sleep(nanos: 1_000_000_000)
          return false
        } catch { return (error as? RoostError)?.kind == .cancelled }
      }
      try await clock.sleep(nanos: 10)
      sleeping.cancel()
      #expect(await sleeping.value)
      #expect(clock.monotonicNanos() == 10)
      // Cancelled before it begins.
      let never = Task(executorPreference: executor) { try await clock.sleep(nanos: 1_000_000_000) }
      never.cancel()
      _ = await never.result
      #expect(clock.monotonicNanos() == 10)
    }
    executor.runUntilIdle()
    #expect(clock.monotonicNanos() == 10)
  }

  @Test func aTaskThatWaitsForEverIsReported() throws {
    let executor = SeededExecutor(seed: 1)
    #expect(throws: RoostError.self) {
      try executor.run {
        let (stream, continuation) = AsyncStream<Int>.makeStream()
        for await _ in stream {}
        continuation.finish()
      }
    }
  }

  @Test func yieldingStaysOnTheExecutor() throws {
    let executor = SeededExecutor(seed: 1)
    try executor.run { for _ in 0..<10 { await Task.yield() } }
    #expect(executor.strayJobs == 0)
  }

  @Test func jobsFromOtherThreadsAreCounted() throws {
    let executor = SeededExecutor(seed: 1)
    let isDone = try executor.run { () -> Bool in
      var handle = pthread_t()
      let request = Unmanaged.passRetained(executor)
      pthread_create(
        &handle, nil,
        { raw in
          guard let raw else { return nil }
          let executor = Unmanaged<SeededExecutor>.fromOpaque(raw).takeRetainedValue()
          Task(executorPreference: executor) {}
          return nil
        }, request.toOpaque())
      return pthread_join(handle, nil) == 0
    }
    #expect(isDone)
    #expect(executor.strayJobs == 1)
  }

  @Test func workersAndRandom() async {
    #expect(await InlineWorkers(width: 3).run { 42 } == 42)
    #expect(InlineWorkers(width: 3).width == 3)
    let (left, right) = (SeededRandom(seed: 1), SeededRandom(seed: 1))
    #expect((0..<10).map { _ in left.next() } == (0..<10).map { _ in right.next() })
  }
}
