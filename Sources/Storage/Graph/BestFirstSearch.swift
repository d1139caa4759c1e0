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
    scratch.visited.reset(rowCount: rowCount)
    scratch.reserveBatch(max(neighboursMax, 64))
    if acceptor.acceptsAll {
      try searchAll(from: entries, query: query, k: k, width: width, scratch: scratch, results: &results)
    } else {
      try searchFiltered(
        from: entries, query: query, k: k, width: width, acceptor: &acceptor, scratch: scratch, results: &results)
    }
  }

  private func searchAll(
    from entries: some Sequence<UInt32>, query: UnsafeRawPointer, k: Int, width: Int, scratch: GraphScratch,
    results: inout [Candidate]
  ) throws(RoostError) {
    scratch.keys.reserve(width)
    var beam = Beam(keys: scratch.keys.base, capacity: width)
    try seed(&beam, from: entries, query: query, scratch: scratch)
    while let next = beam.popNearest() {
      let fresh = try scoreNeighbours(of: next.row, upcoming: beam.peekNearest(), query: query, scratch: scratch)
      let rows = scratch.rows.base
      let distances = scratch.distances.base
      for index in 0..<fresh {
        let key = CandidateKey(distance: distances[index], row: rows[index])
        if beam.admits(key) { beam.insert(key) }
      }
    }
    emit(beam, k: k, into: &results)
  }

  private func searchFiltered<A: RowAcceptor>(
    from entries: some Sequence<UInt32>, query: UnsafeRawPointer, k: Int, width: Int, acceptor: inout A,
    scratch: GraphScratch, results: inout [Candidate]
  ) throws(RoostError) {
    scratch.accepted.reserve(width)
    var accepted = Beam(keys: scratch.accepted.base, capacity: width)
    scratch.frontier.removeAll()
    for row in entries where scratch.visited.insert(row) {
      let one = distance(query, try vector(row))
      scratch.rows[0] = row
      scratch.distances[0] = one
      try admit(1, into: &accepted, acceptor: &acceptor, scratch: scratch)
    }
    while let next = scratch.frontier.pop() {
      guard accepted.admits(next) else { break }
      let fresh = try scoreNeighbours(of: next.row, upcoming: nil, query: query, scratch: scratch)
      try admit(fresh, into: &accepted, acceptor: &acceptor, scratch: scratch)
    }
    emit(accepted, k: k, into: &results)
  }

  /// Offers the scored batch to the frontier, and what the acceptor lets pass to `accepted`.
  private func admit<A: RowAcceptor>(
    _ fresh: Int, into accepted: inout Beam, acceptor: inout A, scratch: GraphScratch
  ) throws(RoostError) {
    var near = 0
    for index in 0..<fresh {
      let key = CandidateKey(distance: scratch.distances[index], row: scratch.rows[index])
      guard accepted.admits(key) else { continue }
      scratch.frontier.push(key)
      scratch.rows[near] = key.row
      scratch.distances[near] = scratch.distances[index]
      near += 1
    }
    guard near > 0 else { return }
    try acceptor.accept(
      rows: UnsafeBufferPointer(start: scratch.rows.base, count: near),
      verdicts: UnsafeMutableBufferPointer(start: scratch.verdicts.base, count: near))
    for index in 0..<near where scratch.verdicts[index] {
      let key = CandidateKey(distance: scratch.distances[index], row: scratch.rows[index])
      if accepted.admits(key) { accepted.insert(key) }
    }
  }

  func seed(
    _ beam: inout Beam, from entries: some Sequence<UInt32>, query: UnsafeRawPointer, scratch: GraphScratch
  ) throws(RoostError) {
    for row in entries where scratch.visited.insert(row) {
      let key = CandidateKey(distance: distance(query, try vector(row)), row: row)
      if beam.admits(key) { beam.insert(key) }
    }
  }

  /// Scores the unvisited neighbours of a row into the scratch's `rows` and `distances`; returns how many.
  /// - Parameter upcoming: the row whose neighbours will probably be asked for next.
  @inline(__always)
  func scoreNeighbours(
    of row: UInt32, upcoming: UInt32?, query: UnsafeRawPointer, scratch: GraphScratch
  ) throws(RoostError) -> Int {
    let fresh = try gatherUnvisited(scratch, try neighbours(of: row, into: scratch.rows.base)) {
      (row) throws(RoostError) in try vector(row)
    }
    if let upcoming { prefetchNeighbours(of: upcoming) }
    distance.batch(query, scratch.pointers.base, fresh, into: scratch.distances.base)
    return fresh
  }

  private func emit(_ beam: Beam, k: Int, into results: inout [Candidate]) {
    results.removeAll(keepingCapacity: true)
    for index in 0..<min(k, beam.count) { results.append(beam.keys[index].candidate) }
  }
}

/// Keeps those of the first `count` rows of the scratch that are met for the first time, and finds their
/// vectors; returns how many they are.
@inline(__always)
func gatherUnvisited<Failure: Error>(
  _ scratch: GraphScratch, _ count: Int, vector: (UInt32) throws(Failure) -> UnsafeRawPointer
) throws(Failure) -> Int {
  let rows = scratch.rows.base
  let pointers = scratch.pointers.base
  var fresh = 0
  for index in 0..<count {
    let row = rows[index]
    if scratch.visited.insert(row) {
      rows[fresh] = row
      pointers[fresh] = try vector(row)
      fresh &+= 1
    }
  }
  return fresh
}
