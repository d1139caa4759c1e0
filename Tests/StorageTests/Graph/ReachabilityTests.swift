// A row that was inserted is within reach from then on, whatever is pruned around it and whoever reads meanwhile.

import Core
import Foundation
import Synchronization
import Testing

@testable import Storage

@Suite struct ReachabilityTests {
  enum Shape: CaseIterable { case line, star, twins, clusters, shrinking }

  /// Vectors that make pruning drop edges: neighbours of neighbours, one centre for all, equals, far groups,
  /// and lengths that fall from row to row.
  private static func vectors(_ shape: Shape, count: Int, seed: UInt64) -> [[Float]] {
    var random = SplitMix64(seed: seed)
    return (0..<count).map { row in
      var values = (0..<6).map { _ in random.unitFloat() }
      switch shape {
      case .line: values = [Float(row) + values[0] / 10, 0, 0, 0, 0, 0]
      case .star:
        let length = row == 0 ? 0 : 1 / values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        for index in values.indices { values[index] *= length }
      case .twins: values = values.map { ($0 * 1.2).rounded() }
      case .clusters: values[row % 3] += Float(row % 5) * 1000
      case .shrinking: for index in values.indices { values[index] *= 1000 / Float(row + 1) }
      }
      return values
    }
  }

  private static func graph(_ rows: [[Float]], metric: Metric, degree: Int) throws -> GrowingGraph {
    let graph = try GrowingGraph(
      shape: VectorShape(dimension: 6, element: .f32, metric: metric), degree: degree, buildEffort: 16,
      capacity: rows.count, keepsReachable: true)
    for (row, values) in rows.enumerated() { values.withUnsafeBytes { graph.vectors.set(row, from: $0) } }
    return graph
  }

  @Test(arguments: Shape.allCases, [Metric.l2, .innerProduct])
  func everyRowAtEveryMoment(shape: Shape, metric: Metric) async throws {
    let count = 500
    for degree in [2, 5, 16] {
      let graph = try Self.graph(Self.vectors(shape, count: count, seed: 1), metric: metric, degree: degree)
      var done = 0
      var random = SplitMix64(seed: 2)
      while done < count {
        // As the commit loop does it: a few rows in place, many on the workers.
        let batch = min(count - done, [1, 3, 40, 100][random.below(4)])
        if batch < 8 {
          for row in done..<done + batch { graph.insert(row: UInt32(row), scratch: GraphScratch()) }
        } else {
          await graph.insertAll(rows: done..<done + batch, workers: TaskWorkers())
        }
        done += batch
        let reached = graph.reachable().count
        #expect(reached == done, "\(shape), \(metric), degree \(degree): \(reached) of \(done) rows")
        if reached != done { return }
      }
      let copy = GrowingGraph(
        copying: graph, rows: count,
        memory: try AnonymousMemory(count: GraphMemory.listBytes(degree: degree, capacity: count)))
      await copy.removeDead(workers: TaskWorkers()) { $0 % 3 == 0 }
      await copy.finish(workers: TaskWorkers())
      #expect(copy.reachable() == Set((0..<UInt32(count)).filter { $0 % 3 != 0 }))
      #expect((0..<count).allSatisfy { copy.neighbourArray($0).count <= degree })
      #expect(graph.reachable().count == count, "repairing the copy has changed the original")
    }
  }

  private final class Shared: Sendable {
    let inserted = Atomic<Int>(0)
    let missed = Atomic<Int>(0)
    let tries = Atomic<Int>(0)
  }

  /// Threads of their own, as tasks would be switched at the same points each time.
  @Test func readersMissNothingWhileListsAreRewritten() async throws {
    let count = 1200
    let graph = try Self.graph(Self.vectors(.clusters, count: count, seed: 3), metric: .l2, degree: 4)
    let shared = Shared()
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        await Self.onThread {
          let scratch = GraphScratch()
          for row in 0..<count {
            graph.insert(row: UInt32(row), scratch: scratch)
            shared.inserted.store(row + 1, ordering: .releasing)
          }
        }
      }
      for seed in 1...2 as ClosedRange<UInt64> {
        group.addTask {
          await Self.onThread {
            var random = SplitMix64(seed: seed)
            while true {
              let inserted = shared.inserted.load(ordering: .acquiring)
              if inserted == count { return }
              if inserted == 0 { continue }
              // Nothing else is accepted, so the search ends when it has seen all there is.
              let row = UInt32(random.below(inserted))
              let query = [UInt8](
                UnsafeRawBufferPointer(start: graph.vector(row), count: graph.shape.rowBytes))
              let found = try? graph.find(query, k: 1, effort: 1, ClosureAcceptor { $0 == row })
              if found?.first?.row != row { shared.missed.add(1, ordering: .relaxed) }
              shared.tries.add(1, ordering: .relaxed)
            }
          }
        }
      }
    }
    let (missed, tries) = (shared.missed.load(ordering: .relaxed), shared.tries.load(ordering: .relaxed))
    #expect(missed == 0, "\(missed) of \(tries) searches missed a row")
    #expect(tries > 0)
  }

  private static func onThread(_ body: @escaping @Sendable () -> Void) async {
    await withCheckedContinuation { continuation in
      Thread {
        body()
        continuation.resume()
      }.start()
    }
  }
}
