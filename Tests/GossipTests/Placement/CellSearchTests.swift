// Routing by cells: exact when asked to be, and nearly so with a quarter of the nodes on clustered data.

import Core
import Testing

@testable import Gossip

@Suite struct CellSearchTests {
  /// Vectors around random centres, a table of them, and the cells dealt out to nodes.
  private struct World {
    var vectors: [[Float]] = []
    var table: CellTable
    var cells: [Int] = []
    var random: SplitMix64

    init(
      seed: UInt64, count: Int, dimension: Int, clusters: Int, cells cellCount: Int, nodes: Int, copies: Int
    ) {
      var random = SplitMix64(seed: seed)
      func normal() -> Float {
        (0..<6).reduce(Float(-3)) { sum, _ in sum + Float(random.next() >> 40) / 0x1p24 } * 1.4
      }
      let centres = (0..<clusters).map { _ in (0..<dimension).map { _ in normal() * 2 } }
      vectors = (0..<count).map { _ in
        let centre = centres[Int(random.next() % UInt64(clusters))]
        return centre.map { $0 + normal() }
      }
      table = CellTable(clustering: vectors, cells: cellCount, steps: 4, version: 1, seed: seed)
      for index in table.cells.indices {
        table.cells[index].nodes = (0..<copies).map { MemberID(UInt64((index + $0 * 3) % nodes)) }
      }
      let built = table
      cells = vectors.map { built.cell(of: $0) }
      self.random = random
    }

    func distance(_ query: [Float], _ index: Int) -> Float {
      CellTable.squared(query, vectors[index]).squareRoot()
    }

    func nearest(_ query: [Float], _ k: Int, among ids: [Int]) -> [Int] {
      Array(ids.map { (distance(query, $0), $0) }.sorted { $0 < $1 }.prefix(k).map(\.1))
    }

    /// Hits and how many nodes were asked.
    func search(_ query: [Float], k: Int, spread: Float, down: Set<MemberID> = []) -> ([Int], CellSearch) {
      var search = CellSearch(query: query, table: table, spread: spread)
      var served: Set<MemberID> = []
      var hits: [Int] = []
      while true {
        let batch = search.step()
        if batch.isEmpty { break }
        for node in batch {
          if down.contains(node) {
            search.failed(node)
            continue
          }
          served.insert(node)
          let own = vectors.indices.filter { table.cells[cells[$0]].nodes.contains(node) }
          hits = nearest(query, k, among: Array(Set(hits + nearest(query, k, among: own))))
          search.answered(node, kthDistance: hits.count == k ? distance(query, hits[k - 1]) : .infinity)
        }
      }
      return (hits, search)
    }
  }

  @Test func wholeRadiusIsExact() {
    for seed in 1...6 as ClosedRange<UInt64> {
      var world = World(seed: seed, count: 400, dimension: 4, clusters: 8, cells: 16, nodes: 16, copies: 1)
      for _ in 0..<10 {
        let query = world.vectors[Int(world.random.next() % 400)].map {
          $0 + Float(world.random.next() % 100) / 100
        }
        let (hits, search) = world.search(query, k: 5, spread: 1)
        #expect(hits == world.nearest(query, 5, among: Array(world.vectors.indices)), "seed \(seed)")
        #expect(search.isDone && search.uncovered.isEmpty)
      }
    }
  }

  @Test func aQuarterOfTheNodesFindsNearlyAll() {
    var world = World(seed: 9, count: 1_500, dimension: 16, clusters: 24, cells: 32, nodes: 16, copies: 1)
    var (found, asked, queries) = (0, 0, 0)
    for _ in 0..<40 {
      let query = world.vectors[Int(world.random.next() % 1_500)].map {
        $0 + Float(world.random.next() % 100) / 200
      }
      let (hits, search) = world.search(query, k: 10, spread: 0)
      found += Set(hits).intersection(world.nearest(query, 10, among: Array(world.vectors.indices))).count
      asked += search.askedCount
      queries += 1
    }
    let (recall, share) = (Double(found) / Double(10 * queries), Double(asked) / Double(16 * queries))
    print("cells: recall \(recall) with \(share) of the nodes")
    #expect(recall >= 0.95 && share <= 0.25)
  }

  @Test func othersServeForThoseWhoAreDown() {
    var world = World(seed: 4, count: 300, dimension: 4, clusters: 6, cells: 12, nodes: 6, copies: 2)
    for _ in 0..<20 {
      let query = world.vectors[Int(world.random.next() % 300)]
      let (hits, search) = world.search(query, k: 5, spread: 1, down: [MemberID(0)])
      #expect(
        hits == world.nearest(query, 5, among: Array(world.vectors.indices)) && search.uncovered.isEmpty)
      let (_, lonely) = world.search(query, k: 300, spread: 1, down: [MemberID(0), MemberID(3)])
      #expect(!lonely.uncovered.isEmpty, "cells whose nodes are all down are told")
    }
  }

  @Test func cellsPartTheVectors() {
    let world = World(seed: 2, count: 500, dimension: 3, clusters: 5, cells: 10, nodes: 5, copies: 1)
    #expect(world.table.cells.reduce(0) { $0 + $1.count } == 500)
    for (vector, cell) in zip(world.vectors, world.cells) {
      let square = CellTable.squared(vector, world.table.cells[cell].centroid)
      #expect(square.squareRoot() <= world.table.cells[cell].radius * 1.000_01)
    }
    // Equal vectors fall into one cell, however many are asked for.
    #expect(
      CellTable(clustering: Array(repeating: [1, 2], count: 9), cells: 4, version: 1, seed: 1).cells.count
        == 1)
  }
}
