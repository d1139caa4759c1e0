import Core
import Synchronization
import Testing
import Wire

@testable import Node

private final class Gate: Sendable {
  let runs = Atomic<Int>(0)
  let gate = Atomic<Bool>(false)
}

@Suite struct RecentWritesTests {
  private let key = IdempotencyKey(high: 1, low: 2)

  @Test func aRepeatedWriteHappensOnce() async throws {
    let recent = RecentWrites()
    let count = Mutex(0)
    for _ in 0..<3 {
      let response = try await recent.perform(key) { () async throws(RoostError) in
        .delete(
          UInt64(
            count.withLock {
              $0 += 1; return $0
            }))
      }
      #expect(response == .delete(1))
    }
    _ = try await recent.perform(nil) { () async throws(RoostError) in
      count.withLock { $0 += 1 }
      return .delete(0)
    }
    #expect(count.withLock { $0 } == 2)
  }

  @Test func aRepetitionWaitsForTheFirst() async throws {
    let recent = RecentWrites()
    let shared = Gate()
    let responses = try await withThrowingTaskGroup(of: Response.self) { group in
      for _ in 0..<5 {
        group.addTask {
          try await recent.perform(IdempotencyKey(high: 3, low: 4)) { () async throws(RoostError) in
            shared.runs.add(1, ordering: .relaxed)
            while !shared.gate.load(ordering: .acquiring) { await Task.yield() }
            return .delete(7)
          }
        }
      }
      while shared.runs.load(ordering: .relaxed) == 0 { await Task.yield() }
      shared.gate.store(true, ordering: .releasing)
      return try await group.reduce(into: []) { $0.append($1) }
    }
    #expect(responses == [Response](repeating: .delete(7), count: 5))
    #expect(shared.runs.load(ordering: .relaxed) == 1)
  }

  @Test func aFailedWriteMayBeTriedAgain() async throws {
    let recent = RecentWrites()
    let error = await #expect(throws: RoostError.self) {
      try await recent.perform(key) { () async throws(RoostError) in throw RoostError(.noSpace, "full") }
    }
    #expect(error?.kind == .noSpace)
    #expect(try await recent.perform(key) { () async throws(RoostError) in .delete(1) } == .delete(1))
  }

  @Test func memoryIsBounded() async throws {
    let recent = RecentWrites(entriesMax: 10, costMax: 100)
    for number in 0..<50 {
      _ = try await recent.perform(IdempotencyKey(high: 0, low: UInt64(number))) {
        () async throws(RoostError) in
        .put([Version](repeating: .zero, count: 20))
      }
    }
    let again = Mutex(0)
    for number in 0..<50 {
      _ = try await recent.perform(IdempotencyKey(high: 0, low: UInt64(number))) {
        () async throws(RoostError) in
        again.withLock { $0 += 1 }
        return .put([Version](repeating: .zero, count: 20))
      }
    }
    #expect(again.withLock { $0 } >= 46, "only the newest few are remembered")
  }

  @Test func histogramsAreRoughlyRight() {
    let histogram = LatencyHistogram()
    #expect(histogram.percentileNanos(0.5) == 0)
    for value in 1...1_000 { histogram.record(nanos: UInt64(value) * 1_000) }
    let median = Double(histogram.percentileNanos(0.5))
    #expect(median >= 500_000 && median < 800_000)
    for bucket in 2..<79 {
      let end = LatencyHistogram.nanos(bucket)
      if end < 1 << 38 {
        #expect(LatencyHistogram.bucket(end - 1) == bucket && LatencyHistogram.bucket(end) == bucket + 1)
      }
    }
  }

  @Test func admissionLetsTheLargeInAlone() throws {
    let admission = Admission("bytes", limit: 100)
    try admission.enter(500)
    #expect(throws: RoostError.self) { try admission.enter(1) }
    admission.leave(500)
    try admission.enter(60)
    #expect(throws: RoostError.self) { try admission.enter(60) }
    try admission.enter(40)
    #expect(admission.current == 100)
  }
}
