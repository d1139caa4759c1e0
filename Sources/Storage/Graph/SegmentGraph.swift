// The graph of a sealed segment: searched in place when the file is mapped, else by page reads.

import Core
import Glibc

/// Nodes in pages, plus, for segments read from disk, all codes and the runs near the entry in memory.
final class SegmentGraph: Sendable {
  let file: PagedFile
  let nodesSection: Section
  let layout: NodeLayout
  let entryPoints: [UInt32]
  let nodes: MappedNodes
  /// Present when the file is not mapped.
  let codes: CodeTable?
  let cache: RunCache?
  let scratches = ScratchPool()

  /// Checks sizes against `count`; refuses what does not fit with `.corrupted`.
  /// - Parameter cacheBytes: memory for the runs near the entry, when the file is not mapped.
  init(
    file: PagedFile, nodes section: Section, codes codesSection: Section, layout: NodeLayout, count: Int,
    entryPoints: [UInt32], cacheBytes: Int = 0
  ) throws(RoostError) {
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
    self.file = file
    nodesSection = section
    self.layout = layout
    self.entryPoints = entryPoints
    nodes = try MappedNodes(file: file, section: section, layout: layout, rowCount: count)
    if file.isMapped {
      codes = nil
      cache = nil
    } else {
      codes = try CodeTable(shape: layout.shape, file: file, section: codesSection, rowCount: count)
      cache = try RunCache(nodes: nodes, entryPoints: entryPoints, byteBudget: cacheBytes)
    }
  }

  static func open(
    file: PagedFile, nodes: Section, codes: Section, shape: VectorShape, degree: Int, count: Int,
    entryPoints: [UInt32], cacheBytes: Int = 0
  ) async throws(RoostError) -> SegmentGraph {
    try SegmentGraph(
      file: file, nodes: nodes, codes: codes, layout: NodeLayout(shape: shape, degree: degree), count: count,
      entryPoints: entryPoints, cacheBytes: cacheBytes)
  }

  var count: Int { nodes.rowCount }

  /// The `k` nearest accepted rows, ascending by distance, then row: from the mapping or by page reads,
  /// whichever the file is open for. The bytes of `query` must stay valid until the call returns.
  /// - Returns: the number of reads.
  func search<A: RowAcceptor>(
    query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A, results: inout [Candidate]
  ) async throws(RoostError) -> Int {
    let scratch = scratches.borrow()
    defer { scratches.giveBack(scratch) }
    if file.isMapped {
      try searchMapped(
        query: query, k: k, effort: effort, acceptor: &acceptor, scratch: scratch, results: &results)
      return 0
    }
    return try await searchPaged(
      query: query, k: k, effort: effort, acceptor: &acceptor, scratch: scratch, results: &results)
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
  var residentBytes: Int { (codes?.residentBytes ?? 0) + (cache?.residentBytes ?? 0) }

  /// The `k` nearest accepted rows, ascending by distance, then row, straight from the mapping.
  /// Throws `.corrupted` when a page or a neighbour id is damaged.
  func searchMapped<A: RowAcceptor>(
    query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A, scratch: GraphScratch,
    results: inout [Candidate]
  ) throws(RoostError) {
    try nodes.bestFirstSearch(
      from: entryPoints, query: query, k: k, effort: effort, acceptor: &acceptor, scratch: scratch,
      results: &results)
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
    if let cached = cache?.pointer(run) { return copyVector(cached + offset) }
    let buffer = IOBuffer(count: layout.runBytes, alignment: PagedFile.pageBytes)
    let got = try await file.file.read(into: buffer, range: 0..<layout.runBytes, at: fileOffset(ofRun: run))
    try verify(run: run, UnsafeRawPointer(buffer.base), byteCount: got)
    return copyVector(buffer.base + offset)
  }

  private func copyVector(_ bytes: UnsafeRawPointer) -> [UInt8] {
    Array(UnsafeRawBufferPointer(start: bytes, count: layout.shape.rowBytes))
  }

  /// Hands every row, ascending, to `body`: row, vector bytes (valid during the call) and neighbours.
  func forEachNode(_ body: (UInt32, UnsafeRawBufferPointer, [UInt32]) -> Void) async throws(RoostError) {
    let runCount = layout.runCount(rows: count)
    let runsPerRead = max(1, (256 << 10) / layout.runBytes)
    let buffer =
      file.isMapped ? nil : IOBuffer(count: runsPerRead * layout.runBytes, alignment: PagedFile.pageBytes)
    var list = [UInt32](repeating: 0, count: layout.degree)
    for firstRun in stride(from: 0, to: runCount, by: runsPerRead) {
      let runs = firstRun..<min(firstRun + runsPerRead, runCount)
      if let buffer {
        let got = try await file.file.read(
          into: buffer, range: 0..<runs.count * layout.runBytes, at: fileOffset(ofRun: firstRun))
        for run in runs {
          let start = (run - firstRun) * layout.runBytes
          try verify(run: run, UnsafeRawPointer(buffer.base + start), byteCount: got - start)
        }
      }
      for row in layout.firstRow(ofRun: firstRun)..<min(layout.firstRow(ofRun: runs.upperBound), count) {
        let row = UInt32(row)
        let run = layout.run(of: row)
        let block: UnsafeRawPointer
        if let buffer {
          block =
            UnsafeRawPointer(buffer.base) + (run - firstRun) * layout.runBytes
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
    }
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

/// The runs that searches pass first, held in memory: those met by a walk in breadth from the entry points.
final class RunCache: Sendable {
  private static let absent = UInt32.max

  private let memory: AnonymousMemory
  private let slots: [UInt32]
  private let runBytes: Int
  private let cachedRuns: Int

  /// Reads through the mapping, every page verified.
  init(nodes: MappedNodes, entryPoints: [UInt32], byteBudget: Int) throws(RoostError) {
    let layout = nodes.layout
    runBytes = layout.runBytes
    let runCount = layout.runCount(rows: nodes.rowCount)
    let room = min(runCount, max(0, byteBudget) / runBytes)
    memory = try AnonymousMemory(count: room * runBytes)
    var slots = [UInt32](repeating: Self.absent, count: room > 0 ? runCount : 0)
    var used = 0
    var queue = room > 0 ? entryPoints : []
    var memberMemory = RowSet()
    var seen = memberMemory.begin(rowCount: nodes.rowCount)
    defer { memberMemory.end(seen) }
    for row in queue { _ = seen.insert(row) }
    var position = 0
    var list = [UInt32](repeating: 0, count: layout.degree)
    while position < queue.count && used < room {
      let row = queue[position]
      position += 1
      let run = layout.run(of: row)
      if slots[run] == Self.absent {
        // The mapping of the run is verified by the time `block` returns, and runs are contiguous.
        let start = try nodes.block(UInt32(layout.firstRow(ofRun: run)))
        (memory.base + used * runBytes).copyMemory(from: start, byteCount: runBytes)
        slots[run] = UInt32(used)
        used += 1
      }
      let count = try nodes.neighbours(of: row, into: &list)
      for index in 0..<count where seen.insert(list[index]) { queue.append(list[index]) }
    }
    self.slots = slots
    cachedRuns = used
  }

  var residentBytes: Int { cachedRuns * runBytes + slots.count * 4 }

  @inline(__always)
  func pointer(_ run: Int) -> UnsafeRawPointer? {
    guard run < slots.count, slots[run] != Self.absent else { return nil }
    return UnsafeRawPointer(memory.base) + Int(slots[run]) &* runBytes
  }
}
