// The growing graph: recall against brute force, filters, duplicates, deletes, concurrency.

import Core
import Synchronization
import Testing

@testable import Storage

@Suite struct GrowingGraphTests {
  @Test(arguments: vectorPairs)
  func recallIsHigh(element: VectorElement, metric: Metric) throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 24, element: element, metric: metric), count: 500, seed: 1)
    let graph = try data.graph()
    let scratch = GraphScratch()
    for row in 0..<500 { graph.insert(row: UInt32(row), scratch: scratch) }
    #expect(graph.count == 500)
    for row in 0..<500 {
      let list = graph.neighbourArray(row)
      #expect(
        Set(list).count == list.count && !list.contains(UInt32(row)) && list.count <= graph.neighboursMax)
    }
    let recall = try data.recall(k: 10) { try graph.find($0, k: 10, effort: 50) }
    #expect(recall >= 0.95, "recall@10 \(recall)")
    let half: (UInt32) -> Bool = { $0 % 2 == 0 }
    let filtered = try data.recall(k: 10, where: half) {
      try graph.find($0, k: 10, effort: 50, ClosureAcceptor(passes: half))
    }
    #expect(filtered >= 0.95, "filtered recall@10 \(filtered)")
    let rare: (UInt32) -> Bool = { $0 % 50 == 3 }
    let narrow = try data.recall(k: 10, where: rare) {
      try graph.find($0, k: 10, effort: 50, ClosureAcceptor(passes: rare))
    }
    #expect(narrow >= 0.95, "narrow recall@10 \(narrow)")
  }

  @Test func resultsAscendAndMatchExactSearch() throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 5, element: .f32, metric: .l2), count: 300, seed: 2)
    let graph = try data.graph()
    let scratch = GraphScratch()
    for row in 0..<300 { graph.insert(row: UInt32(row), scratch: scratch) }
    for query in data.queries {
      let found = try graph.find(query, k: 20, effort: 100)
      #expect(zip(found, found.dropFirst()).allSatisfy { ($0.distance, $0.row) < ($1.distance, $1.row) })
      var exact: [Candidate] = []
      var all = AcceptAll()
      try query.withUnsafeBufferPointer { (raw) throws(RoostError) in
        guard let base = UnsafeRawBufferPointer(raw).baseAddress else { return }
        try graph.exactSearch(
          rows: 0..<UInt32(300), query: base, k: 20, acceptor: &all, scratch: scratch, results: &exact)
      }
      #expect(exact.map(\.row) == data.exact(query, k: 20).map(\.row))
    }
  }

  @Test func tinyGraphs() throws {
    let shape = VectorShape(dimension: 3, element: .f32, metric: .l2)
    for count in 0...3 {
      let data = ClusteredVectors(shape: shape, count: count, seed: 3)
      let graph = try data.graph()
      for row in 0..<count { graph.insert(row: UInt32(row), scratch: GraphScratch()) }
      #expect(graph.entry == (count == 0 ? nil : 0))
      for query in data.queries {
        #expect(try graph.find(query, k: 10, effort: 1).map(\.row) == data.exact(query, k: 10).map(\.row))
      }
    }
  }

  @Test(arguments: VectorElement.f32.metrics)
  func duplicatesStayReachable(metric: Metric) async throws {
    let shape = VectorShape(dimension: 8, element: .f32, metric: metric)
    let base = ClusteredVectors(shape: shape, count: 120, seed: 4)
    let graph = try GrowingGraph(shape: shape, degree: 16, buildEffort: 40, capacity: 1000)
    // 880 copies of one vector among 120 others.
    for row in 0..<1000 {
      base.rows[row % 25 == 0 || row < 80 ? row % 120 : 7].withUnsafeBytes {
        graph.vectors.set(row, from: $0)
      }
    }
    let scratch = GraphScratch()
    for row in 0..<1000 { graph.insert(row: UInt32(row), scratch: scratch) }
    await graph.finish(workers: InlineWorkers())
    #expect(graph.reachable().count == 1000)
    #expect((0..<1000).allSatisfy { graph.neighbourArray($0).count <= 16 })
    let found = try graph.find(base.rows[7], k: 100, effort: 100)
    #expect(found.count == 100)
    // Under inner product, others than a vector's twins may be nearest to it.
    if metric != .innerProduct { #expect(found.allSatisfy { abs($0.distance - found[0].distance) < 1e-5 }) }
    for row in 0..<80 where metric == .l2 {
      #expect(try graph.find(base.rows[row], k: 1, effort: 40).first?.distance == 0)
    }
  }

  @Test func allDuplicates() async throws {
    let shape = VectorShape(dimension: 16, element: .u8, metric: .l2)
    let graph = try GrowingGraph(shape: shape, degree: 16, buildEffort: 40, capacity: 1500)
    let vector = [UInt8](repeating: 9, count: 16)
    for row in 0..<1500 { vector.withUnsafeBytes { graph.vectors.set(row, from: $0) } }
    await graph.insertAll(rows: 0..<1500, workers: TaskWorkers())
    #expect(graph.count == 1500)
    #expect(graph.reachable().count == 1500)
    #expect(try graph.find(vector, k: 200, effort: 200).count == 200)
    await graph.finish(workers: TaskWorkers())
    #expect(graph.reachable().count == 1500)
    // Half of them deleted, the rest is still found.
    let alive: (UInt32) -> Bool = { $0 % 2 == 1 }
    #expect(try graph.find(vector, k: 100, effort: 100, ClosureAcceptor(passes: alive)).count == 100)
    await graph.removeDead(workers: InlineWorkers()) { $0 % 2 == 0 }
    #expect(graph.count == 750)
    #expect(graph.reachable().count == 750)
  }

  @Test func bulkBuildSearchesWhileItGrows() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 16, element: .i8, metric: .cosine), count: 900, seed: 5)
    let graph = try data.graph()
    let clock = VirtualClock(SeededExecutor(seed: 1))
    let control = WorkControl(.merge, place: "test", clock: clock, load: SearchLoad())
    control.begin(records: 0, linking: 900)
    await withTaskGroup(of: Void.self) { group in
      group.addTask {
        await graph.insertAll(rows: 0..<900, workers: TaskWorkers(), control: control)
      }
      for reader in 0..<2 {
        group.addTask {
          var round = 0
          while graph.count < 900 && round < 100_000 {
            let query = data.queries[(round + reader) % data.queries.count]
            let found = (try? graph.find(query, k: 5, effort: 20)) ?? []
            #expect(found.allSatisfy { Int($0.row) < 900 && $0.distance.isFinite })
            #expect(Set(found.map(\.row)).count == found.count)
            round += 1
          }
        }
      }
    }
    #expect(graph.count == 900 && control.progress.fraction == 1)
    let before = try data.recall(k: 10) { try graph.find($0, k: 10, effort: 50) }
    #expect(before >= 0.95, "recall@10 \(before)")
    await graph.finish(workers: TaskWorkers())
    #expect((0..<900).allSatisfy { graph.neighbourArray($0).count <= graph.degree })
    #expect(graph.reachable().count == 900)
    let after = try data.recall(k: 10) { try graph.find($0, k: 10, effort: 50) }
    #expect(after >= 0.95, "recall@10 \(after)")
  }

  @Test func removingTheDeadKeepsRecall() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 16, element: .f32, metric: .l2), count: 700, seed: 6)
    let graph = try data.graph()
    await graph.insertAll(rows: 0..<700, workers: InlineWorkers())
    let entry = try #require(graph.entry)
    let isDead: @Sendable (UInt32) -> Bool = { $0 % 5 < 2 || $0 == entry }
    await graph.removeDead(workers: InlineWorkers(), isDead: isDead)
    let alive = (0..<UInt32(700)).filter { !isDead($0) }
    #expect(graph.count == alive.count)
    #expect(graph.reachable() == Set(alive))
    let recall = try data.recall(k: 10, where: { !isDead($0) }) { try graph.find($0, k: 10, effort: 50) }
    #expect(recall >= 0.95, "recall@10 \(recall)")
    await graph.removeDead(workers: InlineWorkers()) { _ in true }
    #expect(graph.count == 0 && graph.entry == nil)
    #expect(try graph.find(data.queries[0], k: 3, effort: 10).isEmpty)
  }

  @Test(arguments: [InsertionOrder.spread, .asStored])
  func loadedGraphTakesTheRest(order: InsertionOrder) async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 16, element: .u8, metric: .l2), count: 600, seed: 8)
    let first = try data.graph()
    await first.insertAll(rows: 0..<350, workers: InlineWorkers())
    let merged = try data.graph()
    for row in 0..<350 {
      first.neighbourArray(row).withUnsafeBufferPointer { merged.load($0, row: UInt32(row)) }
    }
    merged.improveEntry()
    await merged.insertAll(rows: 350..<600, order: order, workers: InlineWorkers())
    await merged.finish(workers: InlineWorkers())
    #expect(merged.count == 600 && merged.reachable().count == 600)
    let recall = try data.recall(k: 10) { try merged.find($0, k: 10, effort: 50) }
    #expect(recall >= 0.95, "recall@10 \(recall)")
  }

  @Test func acceptorErrorsComeThrough() throws {
    struct Refusing: RowAcceptor {
      func accept(
        rows: UnsafeBufferPointer<UInt32>, verdicts: UnsafeMutableBufferPointer<Bool>
      ) throws(RoostError) { throw RoostError(.moduleFailed, "no") }
    }
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 4, element: .u8, metric: .l2), count: 10, seed: 9)
    let graph = try data.graph()
    for row in 0..<10 { graph.insert(row: UInt32(row), scratch: GraphScratch()) }
    #expect(throws: RoostError(.moduleFailed, "no")) {
      try graph.find(data.queries[0], k: 3, effort: 10, Refusing())
    }
  }
}
