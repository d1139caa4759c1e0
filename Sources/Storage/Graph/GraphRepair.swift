// Taking dead rows out of a growing graph (FreshDiskANN, arXiv:2105.09613, algorithm 4), and making sure
// that no row is out of reach.

import Core

extension GrowingGraph {
  /// Candidates considered when a list that lost neighbours is pruned anew.
  private static let repairCandidatesMax = 256

  /// Removes rows from the graph: whoever had a dead neighbour gets that neighbour's neighbours to choose
  /// from. Nobody may insert or search meanwhile.
  /// - Parameter isDead: must give the same answer each time.
  func removeDead(
    workers: any Workers, control: WorkControl? = nil, isDead: @escaping @Sendable (UInt32) -> Bool
  ) async {
    await forEachRun(count: capacity, workers: workers, control: control) { run, scratch in
      for position in run {
        let row = UInt32(position)
        if self.contains(row) && !isDead(row) { self.bridgeDead(of: row, isDead: isDead, scratch: scratch) }
      }
    }
    await workers.run {
      var removed = 0
      for row in 0..<UInt32(self.capacity) where self.contains(row) && isDead(row) {
        self.lists.withLock(row) { $0.clear() }
        removed += 1
      }
      self.addToCount(-removed)
      if self.entry.map(isDead) ?? false { self.improveEntry() }
      self.connect(scratch: GraphScratch())
    }
  }

  private func bridgeDead(of row: UInt32, isDead: (UInt32) -> Bool, scratch: GraphScratch) {
    scratch.reserveBatch(neighboursMax)
    let count = lists.read(row, into: scratch.rows.base)
    var hasDead = false
    for index in 0..<count where isDead(scratch.rows[index]) { hasDead = true }
    guard hasDead else { return }
    var visited = scratch.visited.begin(rowCount: capacity)
    defer { scratch.visited.end(visited) }
    _ = visited.insert(row)
    scratch.chosen.reserve(count + count * neighboursMax)
    let merged = scratch.chosen.base
    var total = 0
    for index in 0..<count {
      let neighbour = scratch.rows[index]
      if !isDead(neighbour) {
        if visited.insert(neighbour) {
          merged[total] = neighbour
          total += 1
        }
        continue
      }
      scratch.backChosen.reserve(neighboursMax)
      let second = lists.read(neighbour, into: scratch.backChosen.base)
      for position in 0..<second {
        let candidate = scratch.backChosen[position]
        if !isDead(candidate) && visited.insert(candidate) {
          merged[total] = candidate
          total += 1
        }
      }
    }
    let keys = scoreForPruning(row, merged, total, scratch: scratch)
    scratch.backChosen.reserve(degree)
    let picked = prune.choose(
      for: row, from: keys, min(total, Self.repairCandidatesMax), limit: degree,
      into: scratch.backChosen.base, scratch: scratch)
    lists.withLock(row) { $0.assign(scratch.backChosen.base, picked) }
  }

  /// Gives each row that no path from the entry leads to an edge from a near row that has one. Edges by
  /// which a row was first reached are never given up, so nothing becomes unreachable instead.
  /// Nobody may insert or search meanwhile.
  func connect(scratch: GraphScratch) {
    guard let entry else { return }
    var walk = ReachabilityWalk(capacity: capacity)
    walk.extend(from: entry, via: entry, in: lists)
    for row in 0..<UInt32(capacity) where contains(row) && !walk.hasReached(row) {
      gatherCandidates(for: row, from: entry, scratch: scratch)
      let candidates = scratch.candidateCount
      // A row that nobody was first reached from has an edge to spare, and there always is one.
      let near =
        (0..<candidates).lazy.map { scratch.candidates[$0].row }
        .first { addReachingEdge(from: $0, to: row, walk: walk) }
        ?? (0..<UInt32(capacity)).first {
          walk.hasReached($0) && addReachingEdge(from: $0, to: row, walk: walk)
        }
      if let near { walk.extend(from: row, via: near, in: lists) }
      relink(row, candidates: candidates, scratch: scratch)
    }
  }

  private func addReachingEdge(from near: UInt32, to row: UInt32, walk: borrowing ReachabilityWalk) -> Bool {
    lists.withLock(near) { list in
      if list.count < degree {
        list.append(row)
        return true
      }
      var rows = [UInt32](repeating: 0, count: list.slots)
      let count = list.read(into: &rows)
      guard let spare = (0..<count).last(where: { walk.predecessor(of: rows[$0]) != near }) else {
        return false
      }
      list.replace(at: spare, with: row)
      return true
    }
  }

  /// Fills up a short list with candidates, so that a row that was cut off also leads back.
  private func relink(_ row: UInt32, candidates: Int, scratch: GraphScratch) {
    lists.withLock(row) { list in
      for index in 0..<min(candidates, degree / 4) where list.count < degree / 2 {
        let candidate = scratch.candidates[index].row
        if !list.contains(candidate) { list.append(candidate) }
      }
    }
  }
}

/// Which rows a path leads to, and by which edge each was first reached.
private struct ReachabilityWalk: ~Copyable {
  private static let none = UInt32.max
  private var predecessors: [UInt32]
  private var queue: [UInt32] = []

  init(capacity: Int) { predecessors = [UInt32](repeating: Self.none, count: capacity) }

  func hasReached(_ row: UInt32) -> Bool { predecessors[Int(row)] != Self.none }
  func predecessor(of row: UInt32) -> UInt32 { predecessors[Int(row)] }

  mutating func extend(from row: UInt32, via near: UInt32, in lists: NeighbourLists) {
    var neighbours = [UInt32](repeating: 0, count: lists.slots)
    predecessors[Int(row)] = near
    queue.append(row)
    while let next = queue.popLast() {
      let count = lists.read(next, into: &neighbours)
      for index in 0..<count where predecessors[Int(neighbours[index])] == Self.none {
        predecessors[Int(neighbours[index])] = next
        queue.append(neighbours[index])
      }
    }
  }
}
