// Sealed graphs: the same answers as in memory when mapped, recall by page reads, and damage refused.

import Core
import Synchronization
import Testing

@testable import Storage

/// A sealed graph over a file in memory.
struct Sealed {
  let data: ClusteredVectors
  let graph: GrowingGraph
  let encoder: NodeSectionEncoder
  let file: MemoryFile
  var sections: GraphSections
  let pageCount: Int
  var nodes: Section { sections.nodes }
  var codes: Section { sections.codes }
  let order: [UInt32]
  /// Small, so that searches look through several of them.
  private static let cellRows = 16

  init(_ data: ClusteredVectors, order: [UInt32]? = nil, hasLinks: Bool = true) async throws {
    self.data = data
    graph = try data.graph()
    await graph.insertAll(rows: 0..<data.rows.count, workers: InlineWorkers())
    await graph.finish(workers: InlineWorkers())
    self.order = order ?? (0..<UInt32(data.rows.count)).map { $0 }
    encoder = NodeSectionEncoder(graph: graph, order: self.order)
    let files = MemoryFiles()
    let writer = try await PagedFileWriter.create("sealed", files: files)
    _ = try await writer.section([1, 2, 3])
    let cells = stride(from: 0, to: self.order.count, by: Self.cellRows).map { UInt32($0) }
    sections = try await GraphSectionWriter.write(
      graph, order: RowOrder(rows: self.order, cells: cells), entries: nil,
      layout: hasLinks ? .fast : .compact, to: writer, workers: InlineWorkers()
    ).sections
    pageCount = writer.bytesWritten / PagedFile.pageBytes
    _ = try await writer.seal(SegmentFooter())
    file = files.file("sealed")
  }

  func open(
    mapped: Bool, cacheBytes: Int = 0, damage: (inout [UInt8]) -> Void = { _ in }, sealAnew: Bool = false
  )
    async throws -> SegmentGraph
  {
    let pages = pageCount
    var bytes = file.contents
    func checksums() -> [UInt32] { (0..<pages).map { crc32c(Array(bytes[$0 * 4096..<($0 + 1) * 4096])) } }
    var sums = checksums()
    damage(&bytes)
    if sealAnew { sums = checksums() }
    let copy = MemoryFile(path: "sealed")
    copy.contents = bytes
    let paged = try PagedFile(
      path: "sealed", file: copy, mapping: try await copy.map(), isMapped: mapped, checksums: sums,
      cache: cacheBytes > 0
        ? try PageCache(frameBytes: encoder.layout.runBytes, budgetBytes: cacheBytes) : nil)
    return try await SegmentGraph.open(
      file: paged, sections: sections, shape: data.shape, degree: graph.degree, count: order.count,
      entryPoints: encoder.entryPoints)
  }
}

/// A query whose bytes stay where they are across suspensions.
private func searchPaged<A: RowAcceptor>(
  _ graph: SegmentGraph, _ query: [UInt8], k: Int, effort: Int, _ acceptor: A = AcceptAll(),
  scratch: GraphScratch = GraphScratch()
) async throws -> (found: [Candidate], reads: Int) {
  let bytes = IOBuffer(query)
  var acceptor = acceptor
  var results: [Candidate] = []
  let reads = try await graph.searchPaged(
    query: bytes.base, k: k, effort: effort, acceptor: &acceptor, scratch: scratch, results: &results)
  withExtendedLifetime(bytes) {}
  return (results, reads)
}

private func searchMapped<A: RowAcceptor>(
  _ graph: SegmentGraph, _ query: [UInt8], k: Int, effort: Int, _ acceptor: A = AcceptAll()
) throws -> [Candidate] {
  let bytes = IOBuffer(query)
  var acceptor = acceptor
  var results: [Candidate] = []
  try graph.searchMapped(
    query: bytes.base, k: k, effort: effort, acceptor: &acceptor, scratch: GraphScratch(), results: &results)
  return results
}

@Suite struct SegmentGraphTests {
  /// Whether distances come from full vectors and ascend.
  private func expectExact(_ found: [Candidate], _ query: [UInt8], _ data: ClusteredVectors) {
    #expect(zip(found, found.dropFirst()).allSatisfy { ($0.distance, $0.row) < ($1.distance, $1.row) })
    for hit in found {
      let exact = data.distance(query, data.rows[Int(hit.row)])
      #expect(hit.distance == exact || abs(hit.distance - exact) < 1e-4 * abs(exact) + 1e-6)
    }
  }

  @Test(arguments: vectorPairs)
  func mappedAndPagedAnswers(element: VectorElement, metric: Metric) async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 16, element: element, metric: metric), count: 400, queryCount: 20,
      seed: 20)
    let sealedSmall = try await Sealed(data)
    let small = try await sealedSmall.open(mapped: true)
    let graph = sealedSmall.graph
    // Small vectors are compared as they are, as in memory.
    for query in data.queries {
      #expect(try searchMapped(small, query, k: 10, effort: 40) == graph.find(query, k: 10, effort: 40))
    }
    try await rankedAnswers(element == .binary ? 1024 : 129, element, metric)
  }

  private func rankedAnswers(_ dimension: Int, _ element: VectorElement, _ metric: Metric) async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: dimension, element: element, metric: metric), count: 400, queryCount: 20,
      seed: 21)
    let sealed = try await Sealed(data)
    let mapped = try await sealed.open(mapped: true)
    var withoutLinks = sealed
    withoutLinks.sections.links.byteCount = 0
    let compact = try await withoutLinks.open(mapped: true)
    for (graph, name) in [(mapped, "links"), (compact, "codes")] {
      var answers: [[UInt8]: [Candidate]] = [:]
      var filtered: [[UInt8]: [Candidate]] = [:]
      for query in data.queries {
        answers[query] = try searchMapped(graph, query, k: 10, effort: 40)
        filtered[query] = try searchMapped(graph, query, k: 10, effort: 40, ClosureAcceptor { $0 % 7 == 2 })
        expectExact(answers[query] ?? [], query, data)
        expectExact(filtered[query] ?? [], query, data)
      }
      let recall = data.recall(k: 10) { answers[$0] ?? [] }
      #expect(recall >= 0.95, "\(name), dimension \(dimension): recall@10 \(recall)")
      let filteredRecall = data.recall(k: 10, where: { $0 % 7 == 2 }) { filtered[$0] ?? [] }
      #expect(filteredRecall >= 0.95, "\(name), dimension \(dimension): filtered recall@10 \(filteredRecall)")
    }
    #expect(try await mapped.vectorBytes(row: 17) == data.rows[17])
    try mapped.verifyMapped()

    let paged = try await sealed.open(mapped: false)
    #expect(try await paged.vectorBytes(row: 17) == data.rows[17])
    #expect(paged.residentBytes > 0)
    for graph in [mapped, paged] {
      let next = Atomic<UInt32>(0)
      let control = WorkControl(
        .merge, place: "test", clock: VirtualClock(SeededExecutor(seed: 1)), load: SearchLoad())
      try await graph.forEachNode(workers: InlineWorkers(), control: control) { row, vector, neighbours in
        #expect(row == next.add(1, ordering: .relaxed).oldValue && Array(vector) == data.rows[Int(row)])
        #expect(neighbours == sealed.graph.neighbourArray(Int(row)))
      }
      #expect(next.load(ordering: .relaxed) == 400)
    }
    var answers: [[UInt8]: [Candidate]] = [:]
    let scratch = GraphScratch()
    for query in data.queries {
      let (found, reads) = try await searchPaged(paged, query, k: 10, effort: 40, scratch: scratch)
      #expect(reads > 0 && reads <= 400)
      expectExact(found, query, data)
      answers[query] = found
    }
    let recall = data.recall(k: 10) { answers[$0] ?? [] }
    #expect(recall >= 0.95, "paged recall@10 \(recall)")
  }

  @Test func anotherOrderOfRows() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 16, element: .f32, metric: .l2), count: 300, seed: 22)
    var random = SplitMix64(seed: 5)
    let order = (0..<UInt32(300)).shuffled(using: &random)
    let sealed = try await Sealed(data, order: order)
    let mapped = try await sealed.open(mapped: true)
    for query in data.queries {
      let expected = try sealed.graph.find(query, k: 5, effort: 40)
      let found = try searchMapped(mapped, query, k: 5, effort: 40)
      #expect(found.map { order[Int($0.row)] } == expected.map(\.row))
    }
  }

  @Test func pagedFiltersAndCache() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 32, element: .f32, metric: .cosine), count: 500, queryCount: 15, seed: 23)
    let sealed = try await Sealed(data)
    let plain = try await sealed.open(mapped: false)
    let cached = try await sealed.open(mapped: false, cacheBytes: 20 * 4096)
    let rare: (UInt32) -> Bool = { $0 % 20 == 3 }
    var filtered: [[UInt8]: [Candidate]] = [:]
    var reads = (plain: 0, cached: 0)
    for query in data.queries {
      reads.plain += try await searchPaged(plain, query, k: 10, effort: 30).reads
      reads.cached += try await searchPaged(cached, query, k: 10, effort: 30).reads
      filtered[query] = try await searchPaged(cached, query, k: 10, effort: 30, ClosureAcceptor(passes: rare))
        .found
    }
    #expect(reads.cached < reads.plain)
    let stats = try #require(cached.file.cache).stats
    #expect(stats.hits > 0 && stats.usedBytes <= 20 * 4096)
    let recall = data.recall(k: 10, where: rare) { filtered[$0] ?? [] }
    #expect(recall >= 0.95, "filtered paged recall@10 \(recall)")
  }

  @Test func exactScans() async throws {
    for dimension in [3, 40, 1200] {
      let data = ClusteredVectors(
        shape: VectorShape(dimension: dimension, element: .f32, metric: .l2), count: 150, queryCount: 4,
        seed: 24)
      let sealed = try await Sealed(data)
      let mapped = try await sealed.open(mapped: true)
      let paged = try await sealed.open(mapped: false)
      let some = (0..<UInt32(150)).filter { $0 % 7 == 2 || $0 > 140 }
      for query in data.queries {
        let bytes = IOBuffer(query)
        let expected = data.exact(query, k: 12) { some.contains($0) && $0 % 2 == 0 }
        var even = ClosureAcceptor { $0 % 2 == 0 }
        var results: [Candidate] = []
        try mapped.exactScanMapped(
          rows: some, query: bytes.base, k: 12, acceptor: &even, scratch: GraphScratch(), results: &results)
        #expect(results.map(\.row) == expected.map(\.row))
        _ = try await paged.exactScanPaged(
          rows: some, query: bytes.base, k: 12, acceptor: &even, scratch: GraphScratch(), results: &results)
        #expect(results.map(\.row) == expected.map(\.row))
        var all = AcceptAll()
        _ = try await paged.exactScanPaged(
          rows: 0..<UInt32(150), query: bytes.base, k: 12, acceptor: &all, scratch: GraphScratch(),
          results: &results)
        #expect(results.map(\.row) == data.exact(query, k: 12).map(\.row))
      }
    }
  }

  @Test func tinySegments() async throws {
    for count in 0...3 {
      let data = ClusteredVectors(
        shape: VectorShape(dimension: 7, element: .u8, metric: .l2), count: count, queryCount: 3, seed: 25)
      let sealed = try await Sealed(data)
      let mapped = try await sealed.open(mapped: true)
      let paged = try await sealed.open(mapped: false, cacheBytes: 1 << 20)
      for query in data.queries {
        let expected = data.exact(query, k: 10).map(\.row)
        #expect(try searchMapped(mapped, query, k: 10, effort: 1).map(\.row) == expected)
        #expect(try await searchPaged(paged, query, k: 10, effort: 1).found.map(\.row) == expected)
      }
    }
  }

  @Test func duplicatesOnly() async throws {
    let shape = VectorShape(dimension: 16, element: .u8, metric: .l2)
    var data = ClusteredVectors(shape: shape, count: 1, queryCount: 1, seed: 26)
    data = data.repeated(500)
    let sealed = try await Sealed(data)
    #expect(
      try searchMapped(try await sealed.open(mapped: true), data.rows[0], k: 50, effort: 50).count == 50)
    #expect(
      try await searchPaged(try await sealed.open(mapped: false), data.rows[0], k: 50, effort: 50).found.count
        == 50)
  }

  @Test func damagedPagesAreRefused() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 32, element: .f32, metric: .l2), count: 200, queryCount: 4, seed: 27)
    let sealed = try await Sealed(data)
    let nodes = sealed.nodes
    let flip: (inout [UInt8]) -> Void = { bytes in
      for page in 0..<nodes.pageCount { bytes[(nodes.firstPage + page) * 4096 + 77] ^= 4 }
    }
    let mapped = try await sealed.open(mapped: true, damage: flip)
    #expect(throws: RoostError.self) { try searchMapped(mapped, data.queries[0], k: 3, effort: 10) }
    #expect(throws: RoostError.self) { try mapped.verifyMapped() }
    let links = sealed.sections.links
    let damagedLinks = try await sealed.open(
      mapped: true,
      damage: { bytes in
        for page in 0..<links.pageCount { bytes[(links.firstPage + page) * 4096 + 77] ^= 4 }
      })
    #expect(throws: RoostError.self) { try searchMapped(damagedLinks, data.queries[0], k: 3, effort: 10) }
    let paged = try await sealed.open(mapped: false, damage: flip)
    for query in data.queries {
      let error = await #expect(throws: RoostError.self) {
        try await searchPaged(paged, query, k: 3, effort: 10)
      }
      #expect(error?.kind == .corrupted && error?.place.contains("sealed offset") == true)
    }
    await #expect(throws: RoostError.self) { _ = try await paged.vectorBytes(row: 3) }
    await #expect(throws: RoostError.self) {
      _ = try await sealed.open(
        mapped: false, damage: { $0[sealed.sections.codes.firstPage * 4096 + 9] ^= 1 })
    }
  }

  @Test(arguments: [32, 100], [true, false])
  func impossibleNeighboursAreRefused(dimension: Int, hasLinks: Bool) async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: dimension, element: .u8, metric: .l2), count: 200, queryCount: 2, seed: 28
    )
    let sealed = try await Sealed(data, hasLinks: hasLinks)
    let layout = sealed.encoder.layout
    // Checksums are right, the ids are not.
    let damage: (inout [UInt8]) -> Void = { bytes in
      for row in 0..<UInt32(200) {
        let run = layout.run(of: row)
        let block = (sealed.sections.nodes.firstPage + run) * 4096 + layout.offset(of: row, inRun: run)
        bytes.replaceSubrange(
          block + layout.listOffset..<block + layout.listOffset + 4, with: [200, 0, 0, 0] as [UInt8])
      }
    }
    let mapped = try await sealed.open(mapped: true, damage: damage, sealAnew: true)
    let error = #expect(throws: RoostError.self) {
      try searchMapped(mapped, data.queries[0], k: 3, effort: 10)
    }
    #expect(error?.kind == .corrupted && error?.message.contains("neighbour 200") == true)
    let paged = try await sealed.open(mapped: false, damage: damage, sealAnew: true)
    let other = await #expect(throws: RoostError.self) {
      try await searchPaged(paged, data.queries[0], k: 3, effort: 10)
    }
    #expect(other?.kind == .corrupted)
  }

  @Test func wrongSizesAreRefused() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 100, element: .u8, metric: .l2), count: 100, queryCount: 1, seed: 29)
    var sealed = try await Sealed(data)
    let nodes = sealed.nodes
    let codes = sealed.codes
    for change in [-4096, -1, 1, 4096, 1 << 40] {
      sealed.sections.nodes.byteCount = nodes.byteCount + change
      await #expect(throws: RoostError.self) { _ = try await sealed.open(mapped: true) }
      sealed.sections.nodes = nodes
    }
    sealed.sections.nodes.firstPage = 1 << 40
    await #expect(throws: RoostError.self) { _ = try await sealed.open(mapped: true) }
    sealed.sections.nodes = nodes
    let links = sealed.sections.links
    for change in [-64, -1, 1, 4096, 1 << 40] {
      sealed.sections.links.byteCount = links.byteCount + change
      await #expect(throws: RoostError.self) { _ = try await sealed.open(mapped: true) }
    }
    sealed.sections.links = links
    sealed.sections.links.firstPage = sealed.pageCount
    await #expect(throws: RoostError.self) { _ = try await sealed.open(mapped: true) }
    sealed.sections.links = links
    for change in [-codes.byteCount, -1, 1, 4096] {
      sealed.sections.codes.byteCount = codes.byteCount + change
      await #expect(throws: RoostError.self) { _ = try await sealed.open(mapped: false) }
    }
  }

  @Test func failedReadsComeThrough() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 32, element: .f32, metric: .l2), count: 300, queryCount: 1, seed: 30)
    let sealed = try await Sealed(data)
    let paged = try await sealed.open(mapped: false)
    let file = try #require(paged.file.file as? MemoryFile)
    file.failsFrom.store(0, ordering: .relaxed)
    let error = await #expect(throws: RoostError.self) {
      try await searchPaged(paged, data.queries[0], k: 3, effort: 10)
    }
    #expect(error?.kind == .io)
  }
}
