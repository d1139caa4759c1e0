// The search loop for a filter whose rows are known, by exact distances: only rows that pass are compared and expanded, and
// where too few neighbours pass, the neighbours of those that do not are looked at (ACORN, SIGMOD 2024,
// arXiv:2403.04871). So rows that fail cost a bit test, however near they are.

import Core

/// What a search did, for those who ask.
struct SearchWork: Sendable, Equatable {
  var rowsCompared = 0
  var nodesExpanded = 0
  var pagesRead = 0

  static func += (a: inout SearchWork, b: SearchWork) {
    a.rowsCompared += b.rowsCompared
    a.nodesExpanded += b.nodesExpanded
    a.pagesRead += b.pagesRead
  }
}

extension NodeSource {
  /// The `k` nearest accepted rows among those in `passing`, ascending by distance, then row. Rows that
  /// pass are walked whether accepted or not; the acceptor decides about results only.
  /// - Parameters:
  ///   - passing: a bit for each row.
  ///   - effort: candidates kept during the walk.
  func filteredSearch<A: RowAcceptor>(
    from entries: some Sequence<UInt32>, passing: UnsafeBufferPointer<UInt64>, query: UnsafeRawPointer,
    k: Int,
    effort: Int, acceptor: inout A, scratch: GraphScratch, results: inout [Candidate]
  ) throws(RoostError) -> SearchWork {
    precondition(k > 0 && passing.count * 64 >= rowCount)
    results.removeAll(keepingCapacity: true)
    guard let bits = passing.baseAddress else { return SearchWork() }
    var walk = FilteredWalk(self, bits, query: query, scratch: scratch)
    defer { walk.end() }
    let width = max(k, effort)
    if acceptor.acceptsAll {
      scratch.keys.reserve(width)
      var beam = Beam(keys: scratch.keys.base, capacity: width)
      var count = try walk.begin(entries)
      while true {
        for index in 0..<count where !(walk.batch.distances[index] > beam.bound) {
          let key = CandidateKey(distance: walk.batch.distances[index], row: walk.batch.rows[index])
          if beam.admits(key) { beam.insert(key) }
        }
        guard let next = beam.popNearest() else { break }
        count = try walk.expand(next.row, upcoming: beam.peekNearest())
      }
      for index in 0..<min(k, beam.count) { results.append(beam.keys[index].candidate) }
      return walk.work
    }
    scratch.accepted.reserve(width)
    var accepted = Beam(keys: scratch.accepted.base, capacity: width)
    // An error leaves an empty frontier behind, which is as good as a used one.
    var frontier = Frontier()
    swap(&frontier, &scratch.frontier)
    frontier.removeAll()
    var count = try walk.begin(entries)
    while true {
      for index in 0..<count {
        let key = CandidateKey(distance: walk.batch.distances[index], row: walk.batch.rows[index])
        if accepted.admits(key) { frontier.push(key) }
      }
      try keepNearest(count, in: &accepted, acceptor: &acceptor, batch: walk.batch)
      guard let next = frontier.pop(), accepted.admits(next) else { break }
      count = try walk.expand(next.row, upcoming: frontier.peek?.row)
    }
    swap(&frontier, &scratch.frontier)
    for index in 0..<min(k, accepted.count) { results.append(accepted.keys[index].candidate) }
    return walk.work
  }

  /// As above, for a set of rows.
  func filteredSearch<A: RowAcceptor>(
    among rows: RowBitmap, from entries: some Sequence<UInt32>, query: UnsafeRawPointer, k: Int, effort: Int,
    acceptor: inout A, scratch: GraphScratch, results: inout [Candidate]
  ) throws(RoostError) -> SearchWork {
    try rows.withWords { (words) throws(RoostError) in
      try filteredSearch(
        from: entries, passing: words, query: query, k: k, effort: effort, acceptor: &acceptor,
        scratch: scratch, results: &results)
    }
  }
}

/// The state of one filtered walk.
private struct FilteredWalk<Nodes: NodeSource> {
  /// Rows, spread over the source, that a walk begins from besides the entry points.
  private static var seeds: Int { 128 }

  let nodes: Nodes
  let bits: UnsafePointer<UInt64>
  let query: UnsafeRawPointer
  let scratch: GraphScratch
  /// Rows to compare, and their distances.
  let batch: ScratchBatch
  /// The neighbours of one row.
  private let list: UnsafeMutablePointer<UInt32>
  /// Neighbours that do not pass.
  private let bridges: UnsafeMutablePointer<UInt32>
  /// Rows that pass and were compared, and rows that do not and were looked through.
  private var visited: RowSet.Marks
  private let capacity: Int
  /// Passing neighbours that make it unnecessary to look further.
  private let wanted: Int
  var work = SearchWork()

  init(_ nodes: Nodes, _ bits: UnsafePointer<UInt64>, query: UnsafeRawPointer, scratch: GraphScratch) {
    self.nodes = nodes
    self.bits = bits
    self.query = query
    self.scratch = scratch
    capacity = max(nodes.neighboursMax * 2, Self.seeds)
    scratch.reserveBatch(capacity)
    scratch.chosen.reserve(nodes.neighboursMax)
    scratch.backChosen.reserve(nodes.neighboursMax)
    batch = scratch.batch
    list = scratch.chosen.base
    bridges = scratch.backChosen.base
    wanted = nodes.neighboursMax / 2
    visited = scratch.visited.begin(rowCount: nodes.rowCount)
  }

  mutating func end() { scratch.visited.end(visited) }

  @inline(__always)
  private func passes(_ row: UInt32) -> Bool { bits[Int(row &>> 6)] & (1 &<< UInt64(row & 63)) != 0 }

  /// Compares seeds; returns how many rows are in the batch.
  mutating func begin(_ entries: some Sequence<UInt32>) throws(RoostError) -> Int {
    var count = 0
    for row in entries where count < capacity && passes(row) && visited.insert(row) {
      batch.rows[count] = row
      count += 1
    }
    let words = (nodes.rowCount + 63) / 64
    var next = 0
    for seed in 0..<min(Self.seeds, words) where count < capacity {
      // The first row that passes at or behind the place of the seed.
      next = max(next, seed * words / min(Self.seeds, words))
      while next < words && bits[next] == 0 { next += 1 }
      if next == words { break }
      let row = UInt32(next * 64 + bits[next].trailingZeroBitCount)
      next += 1
      if visited.insert(row) {
        batch.rows[count] = row
        count += 1
      }
    }
    try score(count)
    return count
  }

  /// Compares the rows that pass near `row`; returns how many are in the batch.
  @inline(__always)
  mutating func expand(_ row: UInt32, upcoming: UInt32?) throws(RoostError) -> Int {
    work.nodesExpanded &+= 1
    let found = try nodes.neighbours(of: row, into: list)
    if let upcoming { nodes.prefetchNeighbours(of: upcoming) }
    var count = 0
    var passing = 0
    var bridgeCount = 0
    for index in 0..<found {
      let neighbour = list[index]
      if passes(neighbour) {
        passing &+= 1
        if visited.insert(neighbour) {
          batch.rows[count] = neighbour
          count &+= 1
        }
      } else if !visited.contains(neighbour) {
        bridges[bridgeCount] = neighbour
        bridgeCount &+= 1
      }
    }
    if passing < wanted { try cross(bridgeCount, &count, passing) }
    try score(count)
    return count
  }

  /// Adds the passing neighbours of neighbours that do not pass, until there are enough.
  @inline(__always)
  private mutating func cross(_ bridgeCount: Int, _ count: inout Int, _ passing: Int) throws(RoostError) {
    let ahead = 4
    for index in 0..<min(ahead, bridgeCount) { nodes.prefetchNeighbours(of: bridges[index]) }
    var passing = passing
    for index in 0..<bridgeCount where passing < wanted {
      if index &+ ahead < bridgeCount { nodes.prefetchNeighbours(of: bridges[index &+ ahead]) }
      _ = visited.insert(bridges[index])
      let found = try nodes.neighbours(of: bridges[index], into: list)
      for position in 0..<found {
        let row = list[position]
        guard passes(row), visited.insert(row) else { continue }
        // Room for `wanted` and one more list.
        assert(count < capacity)
        passing &+= 1
        batch.rows[count] = row
        count &+= 1
      }
    }
  }

  @inline(__always)
  private mutating func score(_ count: Int) throws(RoostError) {
    try nodes.locate(batch.rows, count, into: batch.pointers)
    nodes.distance.batch(query, batch.pointers, count, into: batch.distances)
    work.rowsCompared &+= count
  }
}

extension SegmentGraph {
  /// The `k` nearest accepted rows among `rows`, from the mapping. The bytes of `query` must stay valid
  /// until the call returns.
  func filteredSearch<A: RowAcceptor>(
    among rows: RowBitmap, query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A,
    results: inout [Candidate]
  ) throws(RoostError) -> SearchWork {
    let scratch = scratches.borrow()
    defer { scratches.giveBack(scratch) }
    if let ranking, case .links(let links) = ranking.way {
      let estimates = MappedEstimates(
        links: links, codes: ranking.codes, linkQuery: scratch.linkQuery, codeQuery: scratch.codeQuery)
      ranking.book.prepare(estimates.linkQuery, for: query, chunks: links.layout.chunks)
      ranking.book.prepare(estimates.codeQuery, for: query)
      let share = Double(rows.count) / Double(max(count, 1))
      let effort = QueryPlanner.linkedEffort(max(k, effort), share: share, degree: layout.degree)
      return try rows.withWords { (words) throws(RoostError) in
        try nodes.linkedFilteredSearch(
          passing: words, share: Float(share), estimates: estimates, query: query, k: k, effort: effort,
          acceptor: &acceptor, scratch: scratch, results: &results)
      }
    }
    return try nodes.filteredSearch(
      among: rows, from: entryPoints, query: query, k: k, effort: effort, acceptor: &acceptor,
      scratch: scratch, results: &results)
  }
}
