// Best-first search by page reads, several in flight while those that arrived are scored (PipeANN, OSDI
// 2025). Neighbours are ranked by codes in memory; what a read brings is compared exactly.

import CKernels
import Core

extension SegmentGraph {
  /// Every row of an opened run is compared, so the same recall as in memory takes a narrower search.
  private static let effortPerWidth = 3

  /// The `k` nearest accepted rows, ascending by distance, then row, by reads through the file's queue.
  ///
  /// Goes on until no unopened row is estimated nearer than the w-th accepted one, where w is the larger
  /// of `k` and a third of `effort`. All rows of an opened run are compared, not only the one it was opened
  /// for. The bytes of `query` must stay valid until the call returns. Throws `.corrupted` when a page or a neighbour id is damaged, `.io`.
  /// - Returns: the number of reads.
  func searchPaged<A: RowAcceptor>(
    query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A, scratch: GraphScratch,
    results: inout [Candidate]
  ) async throws(RoostError) -> Int {
    precondition(k > 0)
    results.removeAll(keepingCapacity: true)
    guard count > 0, let codes else { return 0 }
    var search = PagedSearch(
      self, codes, query: query, width: max(k, effort / Self.effortPerWidth), scratch: scratch)
    defer { search.end() }
    let queue = file.file.makeReadQueue()
    // A buffer must not be reused while the kernel may still write to it, so an error leaves only when
    // nothing is in flight any more.
    var failure: RoostError?
    while true {
      do throws(RoostError) {
        if failure == nil { try search.advance(queue, &acceptor) }
        if queue.inFlight == 0 { break }
        let slot = try await queue.next()
        if failure == nil { try search.arrive(slot, &acceptor) }
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    for index in 0..<min(k, search.accepted.count) { results.append(search.accepted.keys[index].candidate) }
    return search.reads
  }
}

/// The state of one search by page reads, between its suspensions.
private struct PagedSearch {
  private static let firstWidth = 4
  private static let landmarkBatch = 64
  private static let landmarksKept = 4

  let graph: SegmentGraph
  let layout: NodeLayout
  let codes: CodeTable
  let query: UnsafeRawPointer
  let scratch: GraphScratch
  let paged: PagedScratch
  let batch: ScratchBatch
  /// Rows whose distance has been estimated.
  var visited: RowSet.Marks
  /// Rows that have been compared exactly.
  var compared: RowSet.Marks
  /// Rows whose neighbours have been ranked.
  var expanded: RowSet.Marks
  /// The nearest accepted rows by exact distance.
  var accepted: Beam
  var reads = 0
  /// Reads in flight; few on the way to the neighbourhood, where most guesses are wrong, more in it.
  private var width = PagedSearch.firstWidth

  init(_ graph: SegmentGraph, _ codes: CodeTable, query: UnsafeRawPointer, width: Int, scratch: GraphScratch)
  {
    self.graph = graph
    layout = graph.layout
    self.codes = codes
    self.query = query
    self.scratch = scratch
    paged = scratch.pagedScratch(runBytes: graph.layout.runBytes)
    paged.reset()
    visited = scratch.visited.begin(rowCount: graph.count)
    compared = paged.compared.begin(rowCount: graph.count)
    expanded = paged.expanded.begin(rowCount: graph.count)
    scratch.reserveBatch(
      max(Self.landmarkBatch, graph.layout.degree, graph.layout.blocksPerRun, graph.entryPoints.count))
    scratch.accepted.reserve(width)
    scratch.frontier.removeAll()
    batch = scratch.batch
    accepted = Beam(keys: scratch.accepted.base, capacity: width)
    codes.book.prepare(paged.codeQuery, for: query)
    for (index, row) in graph.entryPoints.enumerated() { batch.rows[index] = row }
    rank(graph.entryPoints.count)
    rankLandmarks()
  }

  /// Gives the scratch back what it has to know.
  mutating func end() {
    scratch.visited.end(visited)
    paged.compared.end(compared)
    paged.expanded.end(expanded)
  }

  /// Opens what is in memory and starts reads, nearest estimates first, until enough are in flight.
  mutating func advance<A: RowAcceptor>(_ queue: any ReadQueue, _ acceptor: inout A) throws(RoostError) {
    while queue.inFlight < width, let next = scratch.frontier.pop() {
      guard accepted.admits(next) else {
        scratch.frontier.removeAll()
        return
      }
      if expanded.contains(next.row) { continue }
      let run = layout.run(of: next.row)
      if let cached = graph.cache?.pointer(run) {
        try open(run, cached, for: next.row, &acceptor)
      } else if let slot = paged.slot(ofRun: run) {
        if paged.slotIsReading[slot] {
          paged.waiting.append(next.row)
        } else {
          try open(
            run, UnsafeRawPointer(paged.buffer.base + paged.range(ofSlot: slot).lowerBound), for: next.row,
            &acceptor)
        }
      } else {
        let slot = paged.takeSlot(for: run)
        paged.waiting.append(next.row)
        queue.submit(
          into: paged.buffer, range: paged.range(ofSlot: slot), at: graph.fileOffset(ofRun: run), tag: slot)
        reads += 1
      }
    }
  }

  /// Verifies and opens a run that was read.
  mutating func arrive<A: RowAcceptor>(_ slot: Int, _ acceptor: inout A) throws(RoostError) {
    let run = paged.slotRun[slot]
    let bytes = UnsafeRawPointer(paged.buffer.base + paged.range(ofSlot: slot).lowerBound)
    paged.slotIsReading[slot] = false
    try graph.verify(run: run, bytes, byteCount: layout.runBytes)
    if width < PagedScratch.inFlightMax { width += 1 }
    try open(run, bytes, for: nil, &acceptor)
  }

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
    if accepted.isFull {
      for index in 0..<fresh
      where accepted.admits(CandidateKey(distance: batch.distances[index], row: batch.rows[index])) {
        expandLater(batch.rows[index], run, bytes)
      }
    }
    try keepNearest(fresh, in: &accepted, acceptor: &acceptor, batch: batch)
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

  /// Starts from the nearest landmarks as well, which saves most of the way to the neighbourhood.
  private mutating func rankLandmarks() {
    let size = Self.landmarkBatch
    scratch.keys.reserve(Self.landmarksKept)
    var best = Beam(keys: scratch.keys.base, capacity: Self.landmarksKept)
    for start in stride(from: 0, to: codes.landmarks.count, by: size) {
      let count = min(size, codes.landmarks.count - start)
      for index in 0..<count { batch.pointers[index] = codes.landmarkPointer(start + index) }
      paged.codeQuery.estimate(codes.book.kernel, batch.pointers, count, into: batch.distances)
      for index in 0..<count {
        let key = CandidateKey(distance: batch.distances[index], row: codes.landmarks[start + index])
        if best.admits(key) { best.insert(key) }
      }
    }
    for index in 0..<best.count where visited.insert(best.keys[index].row) {
      scratch.frontier.push(best.keys[index])
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
