// Search by page reads. The codes of the nearest cells, in memory, say which rows to read first; the pages
// that arrive are compared exactly while others are in flight (PipeANN, OSDI 2025), and their edges lead to
// what the cells have missed.

import CKernels
import Core

extension SegmentGraph {
  /// Every row of an opened run is compared, so the same recall as in memory takes a narrower search.
  private static let effortPerWidth = 3

  /// The `k` nearest accepted rows, ascending by distance, then row, by reads through the file's queue and
  /// cache.
  ///
  /// Goes on until no unopened row is estimated nearer than the w-th accepted one, where w is the larger
  /// of `k` and a third of `effort`. All rows of an opened run are compared, not only the one it was opened
  /// for. The bytes of `query` must stay valid until the call returns. Throws `.corrupted` when a page or a
  /// neighbour id is damaged, `.io`.
  /// - Returns: the number of reads.
  func searchPaged<A: RowAcceptor>(
    query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A, scratch: GraphScratch,
    results: inout [Candidate]
  ) async throws(RoostError) -> Int {
    precondition(k > 0)
    results.removeAll(keepingCapacity: true)
    guard count > 0, let codes else { return 0 }
    var search = PagedSearch(
      self, codes, query: query, width: max(k, effort / Self.effortPerWidth),
      isFiltered: !acceptor.acceptsAll, scratch: scratch)
    defer { search.end() }
    let queue = file.file.makeReadQueue()
    // A buffer must not be reused while the kernel may still write to it, so an error leaves only when
    // nothing is in flight any more.
    var failure: RoostError?
    while true {
      do throws(RoostError) {
        while failure == nil, try search.advance(queue, &acceptor) { try await search.judge(&acceptor) }
        if queue.inFlight == 0 { break }
        let slot = try await queue.next()
        if failure == nil { try search.arrive(slot, &acceptor) }
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    for index in 0..<min(k, search.accepted.count) { results.append(search.accepted.keys[index].candidate) }
    scratch.work = search.work
    return search.work.pagesRead
  }
}

/// The state of one search by page reads, between its suspensions.
private struct PagedSearch {
  /// Coded rows of the nearest cells that are looked through, and how many more for each row of the result
  /// list.
  private static let scannedRows = 4_096
  private static let scannedRowsPerWidth = 128
  private static let codeBatch = 64
  /// Reads in flight once the first ones have set a bound, for each row of the result list: enough to
  /// hide the disk, few enough that the bound has its say.
  private static let widthShare = 4
  private static let widthMin = 3

  let graph: SegmentGraph
  let layout: NodeLayout
  let codes: CodeTable
  let query: UnsafeRawPointer
  let scratch: GraphScratch
  let paged: PagedScratch
  let batch: ScratchBatch
  /// Rows that are or were in the frontier.
  var visited: RowSet.Marks
  /// Rows that have been compared exactly.
  var compared: RowSet.Marks
  /// Rows whose neighbours have been ranked.
  var expanded: RowSet.Marks
  /// The nearest accepted rows by exact distance.
  var accepted: Beam
  var work = SearchWork()
  /// Compared rows near enough for the result list that wait for the acceptor's word.
  private var unjudged: [CandidateKey] = []

  init(
    _ graph: SegmentGraph, _ codes: CodeTable, query: UnsafeRawPointer, width: Int, isFiltered: Bool,
    scratch: GraphScratch
  ) {
    self.graph = graph
    layout = graph.layout
    self.codes = codes
    self.query = query
    self.scratch = scratch
    paged = scratch.pagedScratch(runBytes: graph.layout.runBytes)
    paged.begin(cache: graph.file.cache)
    visited = scratch.visited.begin(rowCount: graph.count)
    compared = paged.compared.begin(rowCount: graph.count)
    expanded = paged.expanded.begin(rowCount: graph.count)
    scratch.reserveBatch(
      max(Self.codeBatch, graph.layout.degree, graph.layout.blocksPerRun, graph.entryPoints.count))
    scratch.accepted.reserve(width)
    scratch.frontier.removeAll()
    batch = scratch.batch
    accepted = Beam(keys: scratch.accepted.base, capacity: width)
    codes.book.prepare(paged.codeQuery, for: query)
    for (index, row) in graph.entryPoints.enumerated() { batch.rows[index] = row }
    rank(graph.entryPoints.count)
    // The frontier starts with a few times as many rows as the result list has, since some share a page and
    // some only looked near; with a filter it needs more.
    scanCells(
      rows: Self.scannedRows + Self.scannedRowsPerWidth * width,
      keeping: isFiltered ? 16 * width + 128 : 4 * width + 32)
  }

  /// Gives back pages and scratch. No read may be in flight.
  mutating func end() {
    scratch.visited.end(visited)
    paged.compared.end(compared)
    paged.expanded.end(expanded)
    paged.end()
  }

  /// How many reads may be in flight. Nothing is known at first, so the best guesses are all read at once.
  private var width: Int {
    accepted.isFull
      ? min(max(Self.widthMin, accepted.capacity / Self.widthShare), PagedScratch.inFlightMax)
      : min(max(Self.widthMin, accepted.capacity), PagedScratch.inFlightMax)
  }

  /// Opens what is in memory and starts reads, nearest estimates first, until enough are in flight.
  /// - Returns: whether rows wait for the acceptor; then `judge` and come again.
  mutating func advance<A: RowAcceptor>(
    _ queue: any ReadQueue, _ acceptor: inout A
  ) throws(RoostError) -> Bool {
    while unjudged.isEmpty, queue.inFlight < width, let next = scratch.frontier.pop() {
      guard accepted.admits(next) else {
        scratch.frontier.removeAll()
        return false
      }
      if expanded.contains(next.row) { continue }
      let run = layout.run(of: next.row)
      if let slot = paged.slot(ofRun: run) {
        if paged.isReading(slot) {
          paged.waiting.append(next.row)
        } else {
          try open(run, paged.pointer(slot), for: next.row, &acceptor)
        }
        continue
      }
      let slot = paged.takeSlot(for: run)
      if paged.fill(slot, fromCache: cacheKey(run)) {
        try open(run, paged.pointer(slot), for: next.row, &acceptor)
        continue
      }
      paged.waiting.append(next.row)
      let (buffer, range) = paged.beginRead(slot)
      queue.submit(into: buffer, range: range, at: graph.fileOffset(ofRun: run), tag: slot)
      work.pagesRead += 1
    }
    return !unjudged.isEmpty
  }

  /// Asks the acceptor about the rows that wait for it.
  mutating func judge<A: RowAcceptor>(_ acceptor: inout A) async throws(RoostError) {
    let waiting = unjudged
    unjudged.removeAll(keepingCapacity: true)
    try await acceptor.prepare(waiting.map(\.row))
    for (index, key) in waiting.enumerated() {
      batch.rows[index] = key.row
      batch.distances[index] = key.distance
    }
    try keepNearest(waiting.count, in: &accepted, acceptor: &acceptor, batch: batch)
  }

  /// Verifies and opens a run that was read.
  mutating func arrive<A: RowAcceptor>(_ slot: Int, _ acceptor: inout A) throws(RoostError) {
    let run = paged.slotRun[slot]
    let bytes = paged.pointer(slot)
    paged.endRead(slot)
    try graph.verify(run: run, bytes, byteCount: layout.runBytes)
    paged.share(slot, as: cacheKey(run))
    try open(run, bytes, for: nil, &acceptor)
  }

  private func cacheKey(_ run: Int) -> UInt64 { graph.file.cacheKey(page: graph.firstPage(ofRun: run)) }

  /// Compares every row of a run and expands those that it was opened for, and those as near as they.
  private mutating func open<A: RowAcceptor>(
    _ run: Int, _ bytes: UnsafeRawPointer, for wanted: UInt32?, _ acceptor: inout A
  ) throws(RoostError) {
    paged.expanding.removeAll(keepingCapacity: true)
    if let wanted { expandLater(wanted, run, bytes) }
    var kept = 0
    for row in paged.waiting {
      if layout.run(of: row) == run {
        expandLater(row, run, bytes)
      } else {
        paged.waiting[kept] = row
        kept += 1
      }
    }
    paged.waiting.removeLast(paged.waiting.count - kept)

    let first = layout.firstRow(ofRun: run)
    var fresh = 0
    for index in 0..<min(layout.blocksPerRun, graph.count - first) {
      let row = UInt32(first + index)
      guard compared.insert(row) else { continue }
      batch.rows[fresh] = row
      batch.pointers[fresh] = bytes + index * layout.stride
      fresh += 1
    }
    graph.nodes.distance.batch(query, batch.pointers, fresh, into: batch.distances)
    work.rowsCompared += fresh
    if accepted.isFull {
      for index in 0..<fresh
      where accepted.admits(CandidateKey(distance: batch.distances[index], row: batch.rows[index])) {
        expandLater(batch.rows[index], run, bytes)
      }
    }
    if acceptor.needsPreparing {
      for index in 0..<fresh {
        let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
        if accepted.admits(key) { unjudged.append(key) }
      }
    } else {
      try keepNearest(fresh, in: &accepted, acceptor: &acceptor, batch: batch)
    }
    work.nodesExpanded += paged.expanding.count
    for (row, block) in paged.expanding {
      let found = try layout.readNeighbours(block, of: row, rowCount: graph.count, into: batch.rows) {
        (graph.file.path, graph.fileOffset(ofRun: run))
      }
      rank(found)
    }
  }

  private mutating func expandLater(_ row: UInt32, _ run: Int, _ bytes: UnsafeRawPointer) {
    if expanded.insert(row) {
      paged.expanding.append((row, bytes + layout.offset(of: row, inRun: run)))
    }
  }

  /// Looks through the codes of the nearest cells, at least `wanted` rows unless there are fewer, and moves
  /// the nearest `kept` of them to the frontier.
  private mutating func scanCells(rows wanted: Int, keeping kept: Int) {
    guard codes.cellCount > 0 else { return }
    // Cells differ in size; twice as many as an even spread would need is enough.
    let cellsMax = min(codes.cellCount, 4 + 2 * wanted * codes.cellCount / codes.rowCount)
    scratch.keys.reserve(cellsMax)
    var cells = Beam(keys: scratch.keys.base, capacity: cellsMax)
    for start in stride(from: 0, to: codes.cellCount, by: Self.codeBatch) {
      let count = min(Self.codeBatch, codes.cellCount - start)
      for index in 0..<count { batch.pointers[index] = codes.centre(start + index) }
      paged.codeQuery.estimate(codes.book.kernel, batch.pointers, count, into: batch.distances)
      for index in 0..<count {
        let key = CandidateKey(distance: batch.distances[index], row: UInt32(start + index))
        if cells.admits(key) { cells.insert(key) }
      }
    }
    scratch.candidates.reserve(kept)
    var nearest = Beam(keys: scratch.candidates.base, capacity: kept)
    var scanned = 0
    for index in 0..<cells.count where scanned < wanted {
      let cell = Int(cells.keys[index].row)
      let rows = codes.cellStarts[cell]..<codes.cellStarts[cell + 1]
      scan(rows, into: &nearest)
      scanned += rows.count
    }
    for index in 0..<nearest.count where visited.insert(nearest.keys[index].row) {
      scratch.frontier.push(nearest.keys[index])
    }
  }

  @inline(__always)
  private func scan(_ rows: Range<UInt32>, into nearest: inout Beam) {
    var first = rows.lowerBound
    while first < rows.upperBound {
      let count = min(Self.codeBatch, Int(rows.upperBound - first))
      let base = codes.pointer(first)
      let stride = codes.book.rowStride
      for index in 0..<count { batch.pointers[index] = base + index &* stride }
      paged.codeQuery.estimate(codes.book.kernel, batch.pointers, count, into: batch.distances)
      var bound = nearest.bound
      for index in 0..<count where !(batch.distances[index] > bound) {
        let key = CandidateKey(distance: batch.distances[index], row: first + UInt32(index))
        guard nearest.admits(key) else { continue }
        nearest.insert(key)
        bound = nearest.bound
      }
      first += UInt32(count)
    }
  }

  /// Estimates the distances of the first `count` rows of the scratch that are new, and keeps the near ones.
  private mutating func rank(_ count: Int) {
    let fresh = visited.keepNew(batch.rows, count)
    for index in 0..<fresh { batch.pointers[index] = codes.pointer(batch.rows[index]) }
    paged.codeQuery.estimate(codes.book.kernel, batch.pointers, fresh, into: batch.distances)
    for index in 0..<fresh {
      let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
      if accepted.admits(key) { scratch.frontier.push(key) }
    }
  }
}
