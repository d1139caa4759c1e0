// Filtered walks by estimates and coded scans of mapped segments, against comparing with every row.

import Core
import Testing

@testable import Storage

@Suite struct LinkedFilteredSearchTests {
  @Test func reachGrowsWithEffort() {
    let reach = WalkReach(k: 10, effort: 64, metric: .l2)
    #expect(reach.width == 96 && abs(reach.slack - 1.15) < 1e-6)
    #expect(reach.bound(2) == 2 * reach.slack && reach.bound(-1) == 0 && reach.bound(.infinity) == .infinity)
    #expect(WalkReach(k: 10, effort: 128, metric: .cosine).slack > reach.slack)
    #expect(WalkReach(k: 100, effort: 10, metric: .l2).width >= 100)
    let product = WalkReach(k: 10, effort: 64, metric: .innerProduct)
    #expect(product.width == 64 && product.bound(-5) == .infinity && product.bound(0) == .infinity)
  }

  private static let metrics: [Metric] = [.l2, .innerProduct, .cosine]

  /// Filters that go with the rows' order in space, against it, and neither; few and many rows.
  private func filters(_ data: ClusteredVectors, _ query: [UInt8]) -> [(name: String, rows: [UInt32])] {
    let all = (0..<UInt32(data.rows.count)).map { $0 }
    let byDistance = all.sorted {
      data.distance(query, data.rows[Int($0)]) < data.distance(query, data.rows[Int($1)])
    }
    return [
      ("all", all), ("none", []), ("one", [all[7]]), ("every third", all.filter { $0 % 3 == 1 }),
      ("every 8th", all.filter { $0 % 8 == 1 }),
      ("nearest half", byDistance.prefix(all.count / 2).sorted()),
      ("farthest half", byDistance.suffix(all.count / 2).sorted()),
      ("farthest tenth", byDistance.suffix(all.count / 10).sorted()),
    ]
  }

  @Test(arguments: metrics) func findsTheNearestOfThoseThatPass(_ metric: Metric) async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 40, element: .f32, metric: metric), count: 600, queryCount: 12, seed: 31)
    let graph = try await Sealed(data).open(mapped: true)
    var found: [String: Int] = [:]
    var possible: [String: Int] = [:]
    for query in data.queries {
      for (name, passing) in filters(data, query) {
        for acceptor in [nil, ClosureAcceptor { $0 % 5 != 0 }] {
          let expected = passing.filter { acceptor == nil || $0 % 5 != 0 }
            .map { Candidate(distance: data.distance(query, data.rows[Int($0)]), row: $0) }
            .sorted { ($0.distance, $0.row) < ($1.distance, $1.row) }.prefix(10)
          for isScan in [false, true] {
            let hits = try await search(graph, query, passing, acceptor, isScan: isScan)
            #expect(zip(hits, hits.dropFirst()).allSatisfy { ($0.distance, $0.row) < ($1.distance, $1.row) })
            for hit in hits {
              #expect(passing.contains(hit.row) && (acceptor == nil || hit.row % 5 != 0), "\(name)")
              let exact = data.distance(query, data.rows[Int(hit.row)])
              #expect(abs(hit.distance - exact) < 1e-4 * abs(exact) + 1e-5, "\(name)")
            }
            let bound = (expected.last?.distance ?? 0) + 1e-5
            found["\(name) \(isScan)", default: 0] += hits.filter { $0.distance <= bound }.count
            possible["\(name) \(isScan)", default: 0] += expected.count
          }
        }
      }
    }
    for (name, count) in possible {
      #expect(Double(found[name] ?? 0) >= 0.95 * Double(count), "\(metric) \(name)")
    }
  }

  private func search(
    _ graph: SegmentGraph, _ query: [UInt8], _ passing: [UInt32], _ acceptor: ClosureAcceptor?, isScan: Bool
  ) async throws -> [Candidate] {
    if let acceptor { return try await search(graph, query, passing, judging: acceptor, isScan: isScan) }
    return try await search(graph, query, passing, judging: AcceptAll(), isScan: isScan)
  }

  private func search<A: RowAcceptor>(
    _ graph: SegmentGraph, _ query: [UInt8], _ passing: [UInt32], judging acceptor: A, isScan: Bool
  ) async throws -> [Candidate] {
    var acceptor = acceptor
    var results: [Candidate] = []
    let bytes = IOBuffer(query)
    if isScan {
      _ = try await graph.codedSearch(
        among: passing, query: bytes.base, k: 10, keep: 60, acceptor: &acceptor, results: &results)
    } else {
      _ = try graph.filteredSearch(
        among: RowBitmap(rows: passing, rowCount: graph.count), query: bytes.base, k: 10, effort: 64,
        acceptor: &acceptor, results: &results)
    }
    return results
  }

  @Test func damagedCodesAndLinksAreRefused() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 40, element: .f32, metric: .l2), count: 600, queryCount: 1, seed: 32)
    let sealed = try await Sealed(data)
    for section in [sealed.codes, sealed.sections.links] {
      let graph = try await sealed.open(mapped: true) { bytes in
        let start = (section.firstPage + 1) * PagedFile.pageBytes
        for page in 0..<(section.pageCount - 1) { bytes[start + page * PagedFile.pageBytes + 9] ^= 1 }
      }
      await #expect(throws: RoostError.self) {
        try await search(
          graph, data.queries[0], (0..<600).filter { $0 % 3 == 0 }, judging: AcceptAll(), isScan: false)
      }
    }
  }

  @Test func impossibleNeighboursAreRefused() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 40, element: .f32, metric: .l2), count: 300, queryCount: 1, seed: 33)
    let sealed = try await Sealed(data)
    let layout = sealed.encoder.layout
    let graph = try await sealed.open(
      mapped: true,
      damage: { bytes in
        for row in 0..<UInt32(300) {
          let run = layout.run(of: row)
          let list =
            (sealed.nodes.firstPage * PagedFile.pageBytes) + run * layout.runBytes
            + layout.offset(of: row, inRun: run) + layout.listOffset
          bytes.replaceSubrange(list..<list + 4, with: [0x40, 0x42, 0x0f, 0])
        }
      }, sealAnew: true)
    await #expect(throws: RoostError.self) {
      try await search(
        graph, data.queries[0], (0..<300).filter { $0 % 3 == 0 }, judging: AcceptAll(), isScan: false)
    }
  }
}
