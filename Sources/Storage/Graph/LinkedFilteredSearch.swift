// The walk over rows that pass a filter in a mapped segment: neighbours are ranked by links, what lies behind
// neighbours that do not pass by 4-bit codes, and only rows that are expanded are compared.

import CKernels
import Core

/// What ranks rows in a mapped segment with links.
struct MappedEstimates {
  let links: MappedLinks
  let codes: MappedCodes
  /// Prepared for the query.
  let linkQuery: LinkQuery
  let codeQuery: CodeQuery
}

extension MappedNodes {
  /// As `filteredSearch`, by estimates.
  /// - Parameter share: of the rows that passes.
  func linkedFilteredSearch<A: RowAcceptor>(
    passing: UnsafeBufferPointer<UInt64>, share: Float, estimates: MappedEstimates, query: UnsafeRawPointer,
    k: Int, effort: Int, acceptor: inout A, scratch: GraphScratch, results: inout [Candidate]
  ) throws(RoostError) -> SearchWork {
    precondition(k > 0 && passing.count * 64 >= rowCount)
    results.removeAll(keepingCapacity: true)
    guard let bits = passing.baseAddress else { return SearchWork() }
    let reach = WalkReach(k: k, effort: effort, metric: layout.shape.metric, rows: rowCount)
    scratch.accepted.reserve(reach.width)
    scratch.backKeys.reserve(Self.acceptedAtOnce)
    var accepted = Beam(keys: scratch.accepted.base, capacity: reach.width)
    // An error leaves an empty frontier behind, which is as good as a used one.
    var frontier = Frontier()
    swap(&frontier, &scratch.frontier)
    frontier.removeAll()
    var walk = LinkedWalk(self, estimates, bits, share: share, scratch: scratch)
    defer { walk.end() }
    try walk.begin(&frontier)
    var bound = Float.infinity
    let pending = scratch.backKeys.base
    var waiting = 0
    while true {
      guard let next = frontier.pop(), !(next.distance > bound) else {
        // What is still on its way may lead on.
        if waiting > 0 {
          try accept(pending, waiting, into: &accepted, &acceptor, batch: walk.batch)
          waiting = 0
          bound = reach.bound(accepted)
        }
        if try walk.finish(bound: bound, frontier: &frontier), let row = frontier.peek,
          !(row.distance > bound)
        {
          continue
        }
        break
      }
      let upcoming = frontier.peek?.row
      if let upcoming { walk.prefetch(upcoming) }
      let block = try block(next.row)
      let own = distance(query, block)
      let exact = CandidateKey(distance: own, row: next.row)
      if acceptor.acceptsAll {
        if accepted.admits(exact) { accepted.insert(exact) }
        bound = reach.bound(accepted)
      } else {
        pending[waiting] = exact
        waiting += 1
        if waiting == Self.acceptedAtOnce {
          try accept(pending, waiting, into: &accepted, &acceptor, batch: walk.batch)
          waiting = 0
          bound = reach.bound(accepted)
        }
      }
      try walk.expand(next.row, block, own: own, bound: bound, frontier: &frontier)
      if let row = frontier.peek?.row, row != upcoming { walk.prefetch(row) }
    }
    swap(&frontier, &scratch.frontier)
    accepted.emit(k, into: &results)
    return walk.work
  }
}

/// The state of one such walk. Bridges (neighbours that do not pass) of one expansion are looked through in the
/// next and the rows behind them ranked in the one after, so that nobody waits for memory.
private struct LinkedWalk {
  /// Rows that pass, spread over the segment, among which a walk finds its beginning: rows that pass may be
  /// islands far from each other. Rows that follow each other are near each other, so some behind the
  /// nearest seeds are looked at, too.
  private static var seeds: Int { 1024 }
  private static var seedsKept: Int { 96 }
  private static var seedsFollowed: Int { 16 }
  private static var rowsFollowed: Int { 32 }
  private static var bridgesAtOnce: Int { 64 }
  /// Passing neighbours that make it unnecessary to look further, of a degree. Where more pass around the rows
  /// that pass than elsewhere, these lie together, and walks along their edge lose their way with less.
  private static var wantedShare: (scattered: Float, together: Float) { (0.5, 0.75) }
  private static var togetherFrom: Float { 1.2 }

  let nodes: MappedNodes
  let estimates: MappedEstimates
  let scratch: GraphScratch
  let batch: ScratchBatch
  /// Rows that pass and were ranked, and rows that do not and were looked through.
  private var visited: RowSet.Marks
  /// `[bridgesAtOnce]`: bridges to look through next, nearest first, as keys.
  private let bridges: UnsafeMutablePointer<CandidateKey>
  private var bridgeCount = 0
  /// Rows that pass which they are to lead to.
  private var wantedBehind = 0
  /// Rows behind bridges that are yet to be ranked.
  private let behind: UnsafeMutablePointer<UInt32>
  private var behindCount = 0
  private let list: UnsafeMutablePointer<UInt32>
  private let bits: UnsafePointer<UInt64>
  private let share: Float
  /// Neighbours of the rows expanded, and those of them that pass.
  private var neighboursSeen: Float = 0
  private var neighboursPassing: Float = 0
  var work = SearchWork()

  init(
    _ nodes: MappedNodes, _ estimates: MappedEstimates, _ bits: UnsafePointer<UInt64>, share: Float,
    scratch: GraphScratch
  ) {
    self.nodes = nodes
    self.estimates = estimates
    self.bits = bits
    self.share = share
    self.scratch = scratch
    let degree = nodes.neighboursMax
    // The link kernels write a register beyond what they keep.
    scratch.reserveBatch(max(Self.seeds, 2 * degree) + 16)
    scratch.keys.reserve(degree + 1)
    scratch.chosen.reserve(degree)
    scratch.backChosen.reserve(max(Self.seeds, 2 * degree))
    batch = scratch.batch
    bridges = scratch.keys.base
    list = scratch.chosen.base
    behind = scratch.backChosen.base
    visited = scratch.visited.begin(rowCount: nodes.rowCount)
  }

  mutating func end() { scratch.visited.end(visited) }

  @inline(__always)
  private func passes(_ row: UInt32) -> Bool { bits[Int(row &>> 6)] & (1 &<< UInt64(row & 63)) != 0 }

  @inline(__always)
  func prefetch(_ row: UInt32) {
    nodes.prefetchBlock(row, atMost: LinkRanker.bytesAhead)
    estimates.links.prefetch(row, atMost: LinkRanker.bytesAhead)
  }

  /// Ranks seeds; the nearest become the frontier.
  mutating func begin(_ frontier: inout Frontier) throws(RoostError) {
    let words = (nodes.rowCount + 63) / 64
    let seeds = min(Self.seeds, words)
    var next = 0
    for seed in 0..<seeds {
      // The first row that passes at or behind the place of the seed.
      next = max(next, seed * words / seeds)
      while next < words && bits[next] == 0 { next += 1 }
      if next == words { break }
      add(UInt32(next * 64 + bits[next].trailingZeroBitCount))
      next += 1
    }
    scratch.candidates.reserve(Self.seedsKept)
    var nearest = Beam(keys: scratch.candidates.base, capacity: Self.seedsKept)
    try keepBehind(in: &nearest)
    for index in 0..<min(Self.seedsFollowed, nearest.count) {
      var word = Int(nearest.keys[index].row >> 6)
      var rest = bits[word] & (UInt64.max << UInt64(nearest.keys[index].row & 63))
      for _ in 0..<Self.rowsFollowed {
        while rest == 0 && word + 1 < words {
          word += 1
          rest = bits[word]
        }
        if rest == 0 { break }
        add(UInt32(word * 64 + rest.trailingZeroBitCount))
        rest &= rest - 1
      }
    }
    try keepBehind(in: &nearest)
    for index in 0..<nearest.count { frontier.push(nearest.keys[index]) }
  }

  private mutating func add(_ row: UInt32) {
    guard visited.insert(row) else { return }
    behind[behindCount] = row
    behindCount += 1
  }

  private mutating func keepBehind(in nearest: inout Beam) throws(RoostError) {
    try estimateBehind()
    for index in 0..<behindCount {
      let key = CandidateKey(distance: batch.distances[index], row: behind[index])
      if nearest.admits(key) { nearest.insert(key) }
    }
    behindCount = 0
  }

  /// Ranks what the last expansions led to and the neighbours of `row`.
  @inline(__always)
  mutating func expand(
    _ row: UInt32, _ block: UnsafeRawPointer, own: Float, bound: Float, frontier: inout Frontier
  ) throws(RoostError) {
    work.nodesExpanded &+= 1
    work.rowsCompared &+= 1
    try rankBehind(bound: bound, frontier: &frontier)
    try lookThroughBridges()
    let degree = nodes.layout.degree
    let found = estimates.linkQuery.rank(
      estimates.links.kernel, try estimates.links.block(row), block + nodes.layout.listOffset,
      degree: degree, own: own, bound: .infinity, into: batch)
    let rowCount = UInt32(truncatingIfNeeded: nodes.rowCount)
    var passing = 0
    var failing = 0
    for index in 0..<found {
      let neighbour = batch.rows[index]
      guard neighbour < rowCount else { throw nodes.impossibleNeighbour(neighbour, of: row) }
      let key = CandidateKey(distance: batch.distances[index], row: neighbour)
      if passes(neighbour) {
        passing &+= 1
        if visited.insert(neighbour), !(batch.distances[index] > bound) { frontier.push(key) }
      } else if !visited.contains(neighbour) {
        // A key is its bits.
        _ = roost_insert_key(
          UnsafeMutableRawPointer(bridges).assumingMemoryBound(to: UInt64.self), failing, key.bits)
        failing &+= 1
      }
    }
    neighboursSeen += Float(found)
    neighboursPassing += Float(passing)
    let areTogether = neighboursPassing > Self.togetherFrom * share * neighboursSeen
    let wanted = Int(
      Float(degree) * (areTogether ? Self.wantedShare.together : Self.wantedShare.scattered))
    if passing < wanted { chooseBridges(failing, passing, of: found, wanted: wanted) }
  }

  /// Keeps as many bridges as should lead to what is missing, going by the share that passes here.
  private mutating func chooseBridges(_ failing: Int, _ passing: Int, of found: Int, wanted: Int) {
    wantedBehind = wanted - passing
    let behindEach = max(1, nodes.layout.degree * (passing + 1) / (found + 1))
    bridgeCount = min(failing, Self.bridgesAtOnce, wantedBehind * 3 / (2 * behindEach) + 1)
    for index in 0..<bridgeCount { nodes.prefetchNeighbours(of: bridges[index].row) }
  }

  private mutating func lookThroughBridges() throws(RoostError) {
    var missing = wantedBehind
    for index in 0..<bridgeCount where missing > 0 {
      let bridge = bridges[index].row
      _ = visited.insert(bridge)
      let found = try nodes.neighbours(of: bridge, into: list)
      for position in 0..<found {
        let row = list[position]
        guard passes(row), visited.insert(row) else { continue }
        missing &-= 1
        behind[behindCount] = row
        behindCount &+= 1
        estimates.codes.prefetch(row)
      }
    }
    bridgeCount = 0
  }

  private mutating func rankBehind(bound: Float, frontier: inout Frontier) throws(RoostError) {
    guard behindCount > 0 else { return }
    try estimateBehind()
    for index in 0..<behindCount where !(batch.distances[index] > bound) {
      frontier.push(CandidateKey(distance: batch.distances[index], row: behind[index]))
    }
    behindCount = 0
  }

  @inline(__always)
  private func estimateBehind() throws(RoostError) {
    try estimates.codes.locate(behind, behindCount, into: batch.pointers)
    estimates.codeQuery.estimate(estimates.codes.kernel, batch.pointers, behindCount, into: batch.distances)
  }

  /// Brings home what is on its way; false when nothing was.
  mutating func finish(bound: Float, frontier: inout Frontier) throws(RoostError) -> Bool {
    guard bridgeCount > 0 || behindCount > 0 else { return false }
    try rankBehind(bound: bound, frontier: &frontier)
    try lookThroughBridges()
    try rankBehind(bound: bound, frontier: &frontier)
    return true
  }
}
