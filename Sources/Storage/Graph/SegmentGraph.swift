// The graph of a sealed segment: searched in place when the file is mapped, else by page reads.

import Core
import Glibc

/// Nodes in pages, plus, for segments read from disk, all codes in memory.
final class SegmentGraph: Sendable {
  let file: PagedFile
  let nodesSection: Section
  let layout: NodeLayout
  let entryPoints: [UInt32]
  let nodes: MappedNodes
  /// What `nodes` points into.
  private let mappedNodes: MappedSection
  /// How the neighbours of a row are ranked when the file is mapped; nil: by their vectors.
  let ranking: MappedRanking?
  /// Present when the file is not mapped.
  let codes: CodeTable?
  let scratches = ScratchPool()

  private init(
    file: PagedFile, sections: GraphSections, layout: NodeLayout, count: Int, entryPoints: [UInt32],
    codes: CodeTable?
  ) throws(RoostError) {
    self.file = file
    nodesSection = sections.nodes
    self.layout = layout
    self.entryPoints = entryPoints
    mappedNodes = try MappedSection(file: file, section: sections.nodes, pagesPerUnit: layout.pagesPerRun)
    nodes = MappedNodes(mappedNodes, layout: layout, rowCount: count)
    ranking = file.isMapped ? try MappedRanking.open(file, sections, layout, rowCount: count) : nil
    self.codes = codes
  }

  /// Checks sizes against `count`; refuses what does not fit with `.corrupted`.
  static func open(
    file: PagedFile, sections: GraphSections, shape: VectorShape, degree: Int, count: Int,
    entryPoints: [UInt32]
  ) async throws(RoostError) -> SegmentGraph {
    let section = sections.nodes
    let layout = NodeLayout(shape: shape, degree: degree)
    let place = UInt64(max(0, section.firstPage) * PagedFile.pageBytes)
    guard count >= 0, count < CandidateKey.rowLimit, section.byteCount == layout.sectionBytes(rows: count),
      section.firstPage >= 0, section.firstPage <= file.pageCount - section.pageCount
    else {
      throw .corrupted(
        "\(count) nodes make \(layout.sectionBytes(rows: max(0, count))) bytes, the section has \(section.byteCount)",
        file: file.path, offset: place)
    }
    guard entryPoints.allSatisfy({ Int($0) < count }), count == 0 || !entryPoints.isEmpty else {
      throw .corrupted("the entry points do not exist", file: file.path, offset: place)
    }
    let table =
      file.isMapped
      ? nil : try await CodeTable.read(shape: shape, file: file, section: sections.codes, rowCount: count)
    return try SegmentGraph(
      file: file, sections: sections, layout: layout, count: count, entryPoints: entryPoints, codes: table)
  }

  var count: Int { nodes.rowCount }

  /// The `k` nearest accepted rows, ascending by distance, then row: from the mapping or by page reads,
  /// whichever the file is open for. The bytes of `query` must stay valid until the call returns.
  func search<A: RowAcceptor>(
    query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A, results: inout [Candidate]
  ) async throws(RoostError) -> SearchWork {
    let scratch = scratches.borrow()
    defer { scratches.giveBack(scratch) }
    scratch.work = SearchWork()
    if file.isMapped {
      try searchMapped(
        query: query, k: k, effort: effort, acceptor: &acceptor, scratch: scratch, results: &results)
    } else {
      _ = try await searchPaged(
        query: query, k: k, effort: effort, acceptor: &acceptor, scratch: scratch, results: &results)
    }
    return scratch.work
  }

  /// The `k` nearest accepted rows of a list (ascending, without repeats), by comparing with each; as `search`
  /// otherwise.
  func exactSearch<A: RowAcceptor>(
    rows list: some RandomAccessCollection<UInt32>, query: UnsafeRawPointer, k: Int, acceptor: inout A,
    results: inout [Candidate]
  ) async throws(RoostError) -> Int {
    precondition(list.last.map { Int($0) < count } ?? true)
    let scratch = scratches.borrow()
    defer { scratches.giveBack(scratch) }
    if file.isMapped {
      try exactScanMapped(
        rows: list, query: query, k: k, acceptor: &acceptor, scratch: scratch, results: &results)
      return 0
    }
    return try await exactScanPaged(
      rows: list, query: query, k: k, acceptor: &acceptor, scratch: scratch, results: &results)
  }

  /// Memory held besides mapped pages.
  var residentBytes: Int { codes?.residentBytes ?? 0 }

  /// The `k` nearest accepted rows, ascending by distance, then row, straight from the mapping.
  /// Throws `.corrupted` when a page or a neighbour id is damaged.
  func searchMapped<A: RowAcceptor>(
    query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A, scratch: GraphScratch,
    results: inout [Candidate]
  ) throws(RoostError) {
    guard let ranking else {
      try nodes.bestFirstSearch(
        from: entryPoints, query: query, k: k, effort: effort, acceptor: &acceptor, scratch: scratch,
        results: &results)
      return
    }
    switch ranking.way {
    case .links(let links):
      var ranker = LinkRanker(nodes: nodes, links: links, query: scratch.linkQuery)
      ranking.book.prepare(ranker.query, for: query, chunks: links.layout.chunks)
      try nodes.rankedSearch(
        from: entryPoints, query: query, k: k, effort: effort, ranker: &ranker, acceptor: &acceptor,
        scratch: scratch, results: &results)
    case .codes:
      var ranker = CodeRanker(nodes: nodes, codes: ranking.codes, query: scratch.codeQuery)
      ranking.book.prepare(ranker.query, for: query)
      try nodes.rankedSearch(
        from: entryPoints, query: query, k: k, effort: effort, ranker: &ranker, acceptor: &acceptor,
        scratch: scratch, results: &results)
    }
  }

  /// The `k` nearest accepted rows among `rows`, by comparing with each.
  func exactScanMapped<A: RowAcceptor>(
    rows: some Sequence<UInt32>, query: UnsafeRawPointer, k: Int, acceptor: inout A, scratch: GraphScratch,
    results: inout [Candidate]
  ) throws(RoostError) {
    try nodes.exactSearch(
      rows: rows, query: query, k: k, acceptor: &acceptor, scratch: scratch, results: &results)
  }

  /// The vector of a row in the mapping, `[dimension]`.
  func mappedVector(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer {
    precondition(Int(row) < count)
    return try nodes.vector(row)
  }

  /// The bytes of a row's vector: from the mapping, the cache, or by one read.
  func vectorBytes(row: UInt32) async throws(RoostError) -> [UInt8] {
    precondition(Int(row) < count)
    let run = layout.run(of: row)
    let offset = layout.offset(of: row, inRun: run)
    if file.isMapped { return copyVector(try nodes.vector(row)) }
    let held = try await file.hold(page: firstPage(ofRun: run), count: layout.pagesPerRun)
    return copyVector(held.bytes + offset)
  }

  private func copyVector(_ bytes: UnsafeRawPointer) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: bytes, count: layout.shape.rowBytes))
  }

  /// Hands every row, ascending, to `body`: row, vector bytes (valid during the call) and neighbours. It is
  /// called on workers, one after the other.
  func forEachNode(
    workers: any Workers, control: WorkControl,
    _ body: @escaping @Sendable (UInt32, UnsafeRawBufferPointer, [UInt32]) -> Void
  ) async throws(RoostError) {
    let runCount = layout.runCount(rows: count)
    let runsPerRead = max(1, (256 << 10) / layout.runBytes)
    let buffer =
      file.isMapped ? nil : IOBuffer(count: runsPerRead * layout.runBytes, alignment: PagedFile.pageBytes)
    for firstRun in stride(from: 0, to: runCount, by: runsPerRead) {
      try control.check()
      let start = control.nowNanos
      let runs = firstRun..<min(firstRun + runsPerRead, runCount)
      var got = 0
      if let buffer {
        got = try await file.file.read(
          into: buffer, range: 0..<runs.count * layout.runBytes, at: fileOffset(ofRun: firstRun))
      }
      let bytesRead = got
      try await workers.run { self.visit(runs, read: buffer, bytesRead, body) }.get()
      await control.makeWay(since: start)
    }
  }

  /// - Parameter buffer: `bytesRead` bytes of the runs, or nil to take them from the mapping.
  private func visit(
    _ runs: Range<Int>, read buffer: IOBuffer?, _ bytesRead: Int,
    _ body: (UInt32, UnsafeRawBufferPointer, [UInt32]) -> Void
  ) -> Result<Void, RoostError> {
    var list = [UInt32](repeating: 0, count: layout.degree)
    do throws(RoostError) {
      if let buffer {
        for run in runs {
          let start = (run - runs.lowerBound) * layout.runBytes
          try verify(run: run, UnsafeRawPointer(buffer.base + start), byteCount: bytesRead - start)
        }
      }
      for row in layout.firstRow(ofRun: runs.lowerBound)..<min(layout.firstRow(ofRun: runs.upperBound), count)
      {
        let row = UInt32(row)
        let run = layout.run(of: row)
        let block: UnsafeRawPointer
        if let buffer {
          block =
            UnsafeRawPointer(buffer.base) + (run - runs.lowerBound) * layout.runBytes
            + layout.offset(of: row, inRun: run)
        } else {
          block = try nodes.block(row)
        }
        let found = try layout.readNeighbours(block, of: row, rowCount: count, into: &list) {
          (file.path, fileOffset(ofRun: run))
        }
        body(
          row, UnsafeRawBufferPointer(start: block, count: layout.shape.rowBytes), Array(list.prefix(found)))
      }
    } catch { return .failure(error) }
    return .success(())
  }

  /// Checks every node through the mapping: its pages' checksums and its neighbour ids.
  func verifyMapped() throws(RoostError) {
    var list = [UInt32](repeating: 0, count: layout.degree)
    for page in 0..<nodesSection.pageCount { _ = try file.mappedPage(nodesSection.firstPage + page) }
    for row in 0..<UInt32(count) { _ = try nodes.neighbours(of: row, into: &list) }
  }

  func firstPage(ofRun run: Int) -> Int { nodesSection.firstPage + run * layout.pagesPerRun }

  func fileOffset(ofRun run: Int) -> UInt64 { UInt64(firstPage(ofRun: run) * PagedFile.pageBytes) }

  /// Checks every page of a run that was read by other means than the mapping.
  func verify(run: Int, _ bytes: UnsafeRawPointer, byteCount: Int) throws(RoostError) {
    guard byteCount >= layout.runBytes else {
      throw .corrupted("the file ends inside a node", file: file.path, offset: fileOffset(ofRun: run))
    }
    let first = firstPage(ofRun: run)
    for page in 0..<layout.pagesPerRun {
      try file.verify(page: first + page, bytes + page * PagedFile.pageBytes)
    }
  }
}
