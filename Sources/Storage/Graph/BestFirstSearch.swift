// The search loop of a graph whose bytes are in memory: best-first over a bounded beam (DiskANN,
// NeurIPS 2019, algorithm 1). Generic over where nodes lie and over who accepts rows, so that each
// combination compiles to one loop without calls.

import Core

/// Nodes that can be read at once.
protocol NodeSource {
  /// Every row is below this.
  var rowCount: Int { get }
  /// Neighbours that a node can have.
  var neighboursMax: Int { get }
  var distance: DistanceFunction { get }
  func vector(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer
  /// Where the vectors of `count` rows lie.
  func locate(
    _ rows: UnsafePointer<UInt32>, _ count: Int, into pointers: UnsafeMutablePointer<UnsafeRawPointer>
  ) throws(RoostError)
  /// Writes the neighbours of a row, all below `rowCount`; returns how many.
  func neighbours(of row: UInt32, into list: UnsafeMutablePointer<UInt32>) throws(RoostError) -> Int
  /// Starts fetching what `neighbours` will read.
  func prefetchNeighbours(of row: UInt32)
}

extension NodeSource {
  /// The `k` nearest accepted rows that a beam of `effort` finds from `entries`, ascending by distance,
  /// then row. All rows are traversed, accepted or not; a filtered search goes on until no unexpanded
  /// row is nearer than the `effort`th accepted one.
  func bestFirstSearch<A: RowAcceptor>(
    from entries: some Sequence<UInt32>, query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A,
    scratch: GraphScratch, results: inout [Candidate]
  ) throws(RoostError) {
    precondition(k > 0)
    let width = max(k, effort)
    scratch.reserveBatch(max(neighboursMax, 64))
    var visited = scratch.visited.begin(rowCount: rowCount)
    defer { scratch.visited.end(visited) }
    let batch = scratch.batch
    var work = SearchWork()
    defer { scratch.work = work }
    if acceptor.acceptsAll {
      scratch.keys.reserve(width)
      var beam = Beam(keys: scratch.keys.base, capacity: width)
      try searchAll(from: entries, query: query, beam: &beam, visited: &visited, batch: batch, work: &work)
      beam.emit(k, into: &results)
    } else {
      scratch.accepted.reserve(width)
      var accepted = Beam(keys: scratch.accepted.base, capacity: width)
      // An error leaves an empty frontier behind, which is as good as a used one.
      var frontier = Frontier()
      swap(&frontier, &scratch.frontier)
      frontier.removeAll()
      try searchFiltered(
        from: entries, query: query, accepted: &accepted, frontier: &frontier, acceptor: &acceptor,
        visited: &visited, batch: batch, work: &work)
      swap(&frontier, &scratch.frontier)
      accepted.emit(k, into: &results)
    }
  }

  private func searchAll(
    from entries: some Sequence<UInt32>, query: UnsafeRawPointer, beam: inout Beam,
    visited: inout RowSet.Marks, batch: ScratchBatch, work: inout SearchWork
  ) throws(RoostError) {
    for row in entries where visited.insert(row) {
      let key = CandidateKey(distance: distance(query, try vector(row)), row: row)
      if beam.admits(key) { beam.insert(key) }
    }
    while let next = beam.popNearest() {
      let fresh = try scoreNeighbours(
        of: next.row, upcoming: beam.peekNearest(), query: query, visited: &visited, batch: batch)
      work.nodesExpanded &+= 1
      work.rowsCompared &+= fresh
      var bound = beam.bound
      for index in 0..<fresh where !(batch.distances[index] > bound) {
        let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
        guard beam.admits(key) else { continue }
        beam.insert(key)
        bound = beam.bound
      }
    }
  }

  private func searchFiltered<A: RowAcceptor>(
    from entries: some Sequence<UInt32>, query: UnsafeRawPointer, accepted: inout Beam,
    frontier: inout Frontier, acceptor: inout A, visited: inout RowSet.Marks, batch: ScratchBatch,
    work: inout SearchWork
  ) throws(RoostError) {
    for row in entries where visited.insert(row) {
      batch.rows[0] = row
      batch.distances[0] = distance(query, try vector(row))
      try admit(1, into: &accepted, frontier: &frontier, acceptor: &acceptor, batch: batch)
    }
    while let next = frontier.pop() {
      guard accepted.admits(next) else { break }
      let fresh = try scoreNeighbours(
        of: next.row, upcoming: frontier.peek?.row, query: query, visited: &visited, batch: batch)
      work.nodesExpanded &+= 1
      work.rowsCompared &+= fresh
      try admit(fresh, into: &accepted, frontier: &frontier, acceptor: &acceptor, batch: batch)
    }
  }

  /// Offers the scored batch to the frontier, and what the acceptor lets pass to `accepted`.
  private func admit<A: RowAcceptor>(
    _ fresh: Int, into accepted: inout Beam, frontier: inout Frontier, acceptor: inout A, batch: ScratchBatch
  ) throws(RoostError) {
    for index in 0..<fresh {
      let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
      if accepted.admits(key) { frontier.push(key) }
    }
    try keepNearest(fresh, in: &accepted, acceptor: &acceptor, batch: batch)
  }

  /// Scores the unvisited neighbours of a row into the batch's `rows` and `distances`; returns how many.
  /// - Parameter upcoming: the row whose neighbours will probably be asked for next.
  @inline(__always)
  private func scoreNeighbours(
    of row: UInt32, upcoming: UInt32?, query: UnsafeRawPointer, visited: inout RowSet.Marks,
    batch: ScratchBatch
  ) throws(RoostError) -> Int {
    let fresh = visited.keepNew(batch.rows, try neighbours(of: row, into: batch.rows))
    try locate(batch.rows, fresh, into: batch.pointers)
    if let upcoming { prefetchNeighbours(of: upcoming) }
    distance.batch(query, batch.pointers, fresh, into: batch.distances)
    return fresh
  }
}
