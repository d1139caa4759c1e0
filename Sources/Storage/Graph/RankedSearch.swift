// The search loop of mapped segments: best-first by estimates of the neighbours' distances, as in
// SymphonyQG (SIGMOD 2025, arXiv:2411.12229). A row is compared exactly when it is expanded, since its
// vector lies beside its edges, and only such rows are results.

import CKernels
import Core

/// Tells how far the neighbours of an expanded row seem to be.
protocol NeighbourRanker {
  /// Writes neighbours of `row`, whose node is `block`, to the batch's `rows` and `distances`, each a row of
  /// the graph; those surely beyond `bound` may be left out. Returns how many.
  /// - Parameter own: the distance of the query to `row`.
  mutating func rank(
    _ row: UInt32, _ block: UnsafeRawPointer, own: Float, bound: Float, visited: inout RowSet.Marks,
    batch: ScratchBatch
  ) throws(RoostError) -> Int
  /// Whether a row that `rank` named has not been taken before; it is taken now.
  func take(_ row: UInt32, _ visited: inout RowSet.Marks) -> Bool
  /// Starts fetching what `rank` will read.
  func prefetch(_ row: UInt32)
}

/// Ranks by link blocks: one sweep over memory that lies together.
struct LinkRanker: NeighbourRanker {
  /// Beyond these the CPU's own stream detection has taken over.
  static let bytesAhead = 2048

  let nodes: MappedNodes
  let links: MappedLinks
  let query: LinkQuery

  @inline(__always)
  func rank(
    _ row: UInt32, _ block: UnsafeRawPointer, own: Float, bound: Float, visited: inout RowSet.Marks,
    batch: ScratchBatch
  ) throws(RoostError) -> Int {
    let count = query.rank(
      links.kernel, try links.block(row), block + nodes.layout.listOffset, degree: nodes.layout.degree,
      own: own, bound: bound, into: batch)
    let rowCount = UInt32(truncatingIfNeeded: nodes.rowCount)
    for index in 0..<count where batch.rows[index] >= rowCount {
      throw nodes.impossibleNeighbour(batch.rows[index], of: row)
    }
    return count
  }

  @inline(__always)
  func take(_ row: UInt32, _ visited: inout RowSet.Marks) -> Bool { visited.insert(row) }

  @inline(__always)
  func prefetch(_ row: UInt32) {
    nodes.prefetchBlock(row, atMost: Self.bytesAhead)
    links.prefetch(row, atMost: Self.bytesAhead)
  }
}

/// Ranks by the codes of the neighbours, wherever they lie.
struct CodeRanker: NeighbourRanker {
  private static let bytesAhead = 1024

  let nodes: MappedNodes
  let codes: MappedCodes
  let query: CodeQuery

  @inline(__always)
  func rank(
    _ row: UInt32, _ block: UnsafeRawPointer, own: Float, bound: Float, visited: inout RowSet.Marks,
    batch: ScratchBatch
  ) throws(RoostError) -> Int {
    let fresh = visited.keepNew(batch.rows, try nodes.neighbours(of: row, into: batch.rows))
    try codes.locate(batch.rows, fresh, into: batch.pointers)
    query.estimate(codes.kernel, batch.pointers, fresh, into: batch.distances)
    return fresh
  }

  @inline(__always)
  func take(_ row: UInt32, _ visited: inout RowSet.Marks) -> Bool { true }

  @inline(__always)
  func prefetch(_ row: UInt32) { nodes.prefetchBlock(row, atMost: Self.bytesAhead) }
}

extension MappedNodes {
  /// Expanded rows that are shown to the acceptor at once.
  static let acceptedAtOnce = 8

  /// As `bestFirstSearch`, by estimates.
  func rankedSearch<R: NeighbourRanker, A: RowAcceptor>(
    from entries: [UInt32], query: UnsafeRawPointer, k: Int, effort: Int, ranker: inout R,
    acceptor: inout A, scratch: GraphScratch, results: inout [Candidate]
  ) throws(RoostError) {
    precondition(k > 0)
    let reach = WalkReach(k: k, effort: effort, metric: layout.shape.metric, rows: rowCount)
    let width = reach.width
    // The kernels write a register beyond what they keep.
    scratch.reserveBatch(max(neighboursMax, 64) + 16)
    var visited = scratch.visited.begin(rowCount: rowCount)
    defer { scratch.visited.end(visited) }
    let batch = scratch.batch
    var expanded = 0
    // A row is compared when it is expanded.
    defer { scratch.work = SearchWork(rowsCompared: expanded, nodesExpanded: expanded) }
    if acceptor.acceptsAll {
      scratch.keys.reserve(width)
      scratch.accepted.reserve(k)
      var beam = Beam(keys: scratch.keys.base, capacity: width)
      var found = Beam(keys: scratch.accepted.base, capacity: k)
      try rankedSearchAll(
        from: entries, query: query, reach: reach, beam: &beam, found: &found, ranker: &ranker,
        visited: &visited, batch: batch, expanded: &expanded)
      found.emit(k, into: &results)
    } else {
      scratch.accepted.reserve(width)
      scratch.backKeys.reserve(Self.acceptedAtOnce)
      var accepted = Beam(keys: scratch.accepted.base, capacity: width)
      // An error leaves an empty frontier behind, which is as good as a used one.
      var frontier = Frontier()
      swap(&frontier, &scratch.frontier)
      frontier.removeAll()
      try rankedSearchFiltered(
        from: entries, query: query, reach: reach, accepted: &accepted, frontier: &frontier, ranker: &ranker,
        acceptor: &acceptor, visited: &visited, batch: batch, pending: scratch.backKeys.base,
        expanded: &expanded)
      swap(&frontier, &scratch.frontier)
      accepted.emit(k, into: &results)
    }
  }

  private func rankedSearchAll<R: NeighbourRanker>(
    from entries: [UInt32], query: UnsafeRawPointer, reach: WalkReach, beam: inout Beam,
    found: inout Beam, ranker: inout R, visited: inout RowSet.Marks, batch: ScratchBatch,
    expanded: inout Int
  ) throws(RoostError) {
    for row in entries where visited.insert(row) {
      let key = CandidateKey(distance: distance(query, try vector(row)), row: row)
      if beam.admits(key) { beam.insert(key) }
    }
    var limit = Float.infinity
    while let next = beam.popNearest(), !(next.distance > limit) {
      let block = try block(next.row)
      let upcoming = beam.peekNearest()
      if let upcoming { ranker.prefetch(upcoming) }
      let own = distance(query, block)
      expanded &+= 1
      let exact = CandidateKey(distance: own, row: next.row)
      if found.admits(exact) {
        found.insert(exact)
        limit = reach.bound(found.bound)
      }
      var bound = min(beam.bound, limit)
      let count = try ranker.rank(next.row, block, own: own, bound: bound, visited: &visited, batch: batch)
      for index in 0..<count where !(batch.distances[index] > bound) {
        let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
        guard beam.admits(key), ranker.take(key.row, &visited) else { continue }
        beam.insert(key)
        bound = min(bound, beam.bound)
      }
      if let row = beam.peekNearest(), row != upcoming { ranker.prefetch(row) }
    }
  }

  private func rankedSearchFiltered<R: NeighbourRanker, A: RowAcceptor>(
    from entries: [UInt32], query: UnsafeRawPointer, reach: WalkReach, accepted: inout Beam,
    frontier: inout Frontier, ranker: inout R, acceptor: inout A, visited: inout RowSet.Marks,
    batch: ScratchBatch, pending: UnsafeMutablePointer<CandidateKey>, expanded: inout Int
  ) throws(RoostError) {
    for row in entries where visited.insert(row) {
      frontier.push(CandidateKey(distance: distance(query, try vector(row)), row: row))
    }
    var waiting = 0
    while let next = frontier.pop(), !(next.distance > reach.bound(accepted)) {
      let block = try block(next.row)
      let own = distance(query, block)
      expanded &+= 1
      if let upcoming = frontier.peek { ranker.prefetch(upcoming.row) }
      let bound = reach.bound(accepted)
      let count = try ranker.rank(next.row, block, own: own, bound: bound, visited: &visited, batch: batch)
      for index in 0..<count where !(batch.distances[index] > bound) {
        let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
        if ranker.take(key.row, &visited) { frontier.push(key) }
      }
      pending[waiting] = CandidateKey(distance: own, row: next.row)
      waiting += 1
      if waiting == Self.acceptedAtOnce {
        try accept(pending, waiting, into: &accepted, &acceptor, batch: batch)
        waiting = 0
      }
    }
    try accept(pending, waiting, into: &accepted, &acceptor, batch: batch)
  }

  /// Offers exactly compared rows to the acceptor and the results.
  func accept<A: RowAcceptor>(
    _ keys: UnsafePointer<CandidateKey>, _ count: Int, into accepted: inout Beam, _ acceptor: inout A,
    batch: ScratchBatch
  ) throws(RoostError) {
    for index in 0..<count {
      batch.rows[index] = keys[index].row
      batch.distances[index] = keys[index].distance
    }
    try keepNearest(count, in: &accepted, acceptor: &acceptor, batch: batch)
  }
}
