// Linking a row into a growing graph.

import Core

extension GrowingGraph {
  /// Candidates compared byte by byte with a new row; a twin is among the nearest.
  private static let twinSearchMax = 16
  /// Steps from twin to twin in a graph without an adoption tree, where edges that were loaded or pruned may
  /// lead in circles.
  private static let twinStepsMax = 256

  /// Links a row whose vector is in the arena. A row that is linked already is linked anew and keeps
  /// the edges that lead to it. Callable from several threads, each with its own scratch.
  /// - Parameter coarse: has the row and all that are in the graph or on their way into it.
  func insert(row: UInt32, scratch: GraphScratch, coarse: CoarseVectors? = nil) {
    precondition(Int(row) < capacity)
    let isNew = !lists.contains(row)
    links.prepare(row)
    defer { if isNew { addToCount(1) } }
    guard let entry = claimEntry(row), entry != row else {
      if isNew { assign(row, scratch.chosen.base, 0) }
      return
    }
    gatherCandidates(for: row, from: entry, scratch: scratch, coarse: coarse)
    if coarse != nil { rescoreCandidates(of: row, scratch: scratch) }
    if let twin = duplicate(of: row, among: scratch) {
      link(row, asDuplicateOf: twin, scratch: scratch)
      return
    }
    scratch.chosen.reserve(degree)
    let chosen = scratch.chosen.base
    let picked = prune.choose(
      for: row, from: scratch.candidates.base, scratch.candidateCount, limit: degree, into: chosen,
      scratch: scratch)
    assign(row, chosen, picked)
    if isNew { adopt(row, among: chosen, picked, scratch: scratch) }
    for index in 0..<picked { addEdge(from: chosen[index], to: row, scratch: scratch) }
  }

  private func assign(_ row: UInt32, _ list: UnsafePointer<UInt32>, _ count: Int) {
    lists.withLock(row) { $0.assign(list, count) }
  }

  /// Searches for the row's own vector; all rows of the beam and all that were expanded on the way become
  /// `scratch.candidates`, ascending.
  /// - Parameter coarse: compares these in place of the vectors; then distances are in other units.
  func gatherCandidates(
    for row: UInt32, from entry: UInt32, scratch: GraphScratch, coarse: CoarseVectors? = nil
  ) {
    scratch.reserveBatch(max(neighboursMax, 64))
    scratch.keys.reserve(buildEffort)
    scratch.candidateCount = 0
    let batch = scratch.batch
    var visited = scratch.visited.begin(rowCount: capacity)
    defer { scratch.visited.end(visited) }
    var beam = Beam(keys: scratch.keys.base, capacity: buildEffort)
    func score(_ count: Int) {
      if let coarse {
        coarse.batch(from: row, to: batch.rows, batch.pointers, count, into: batch.distances)
      } else {
        locate(batch.rows, count, into: batch.pointers)
        links.batch(from: row, to: batch.rows, batch.pointers, count, into: batch.distances)
      }
    }
    _ = visited.insert(row)
    if visited.insert(entry) {
      batch.rows[0] = entry
      score(1)
      beam.insert(CandidateKey(distance: batch.distances[0], row: entry))
    }
    var passed = 0
    while let next = beam.popNearest() {
      let fresh = visited.keepNew(batch.rows, lists.read(next.row, into: batch.rows))
      if let upcoming = beam.peekNearest() { lists.prefetch(upcoming) }
      score(fresh)
      for index in 0..<fresh where !(batch.distances[index] > beam.bound) {
        let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
        guard beam.admits(key) else { continue }
        if let leaving = beam.insert(key), leaving.isExpanded {
          scratch.candidates.reserve(passed + 1, keeping: passed)
          scratch.candidates[passed] = leaving
          passed += 1
        }
      }
    }
    // The beam is sorted and nearer than all that left it.
    let total = beam.count + passed
    scratch.candidates.reserve(total, keeping: passed)
    let candidates = scratch.candidates.base
    sortKeys(candidates, passed)
    (candidates + beam.count).update(from: candidates, count: passed)
    candidates.update(from: beam.keys, count: beam.count)
    scratch.candidateCount = total
  }

  /// Gives the candidates their exact distances, ascending.
  private func rescoreCandidates(of row: UInt32, scratch: GraphScratch) {
    let count = scratch.candidateCount
    scratch.reserveBatch(count)
    let batch = scratch.batch
    let candidates = scratch.candidates.base
    for index in 0..<count { batch.rows[index] = candidates[index].row }
    locate(batch.rows, count, into: batch.pointers)
    links.batch(from: row, to: batch.rows, batch.pointers, count, into: batch.distances)
    for index in 0..<count {
      candidates[index] = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
    }
    sortKeys(candidates, count)
  }

  /// Adds an edge; a full list is pruned.
  private func addEdge(from row: UInt32, to target: UInt32, scratch: GraphScratch) {
    lists.withLock(row) { list in
      if list.contains(target) { return }
      if list.count < list.slots {
        list.append(target)
        return
      }
      pruneList(list, of: row, adding: target, scratch: scratch)
    }
  }

  /// Prunes a locked list, together with one more row, to `degree` neighbours. Children stay.
  func pruneList(
    _ list: borrowing NeighbourLists.LockedList, of row: UInt32, adding extra: UInt32?, scratch: GraphScratch
  ) {
    scratch.rows.reserve(list.slots + 1)
    scratch.backChosen.reserve(list.slots + 1)
    let rows = scratch.rows.base
    var count = list.read(into: rows)
    if let extra {
      rows[count] = extra
      count += 1
    }
    let keys = scoreForPruning(row, rows, count, scratch: scratch)
    let chosen = scratch.backChosen.base
    guard let tree else {
      let picked = prune.choose(for: row, from: keys, count, limit: degree, into: chosen, scratch: scratch)
      list.rewrite(chosen, picked)
      return
    }
    var children = 0
    for index in 0..<count where tree.isParent(row, of: rows[index]) {
      rows[children] = rows[index]
      children += 1
    }
    var picked = prune.choose(
      for: row, from: keys, count, limit: degree - children, into: chosen, scratch: scratch)
    for index in 0..<children {
      var isChosen = false
      for place in 0..<picked where chosen[place] == rows[index] { isChosen = true }
      if isChosen { continue }
      chosen[picked] = rows[index]
      picked += 1
    }
    list.rewrite(chosen, picked)
  }

  /// The rows as keys by their distance to `row`, ascending.
  func scoreForPruning(
    _ row: UInt32, _ rows: UnsafePointer<UInt32>, _ count: Int, scratch: GraphScratch
  ) -> UnsafeMutablePointer<CandidateKey> {
    scratch.pointers.reserve(count)
    scratch.distances.reserve(count)
    scratch.backKeys.reserve(count)
    let pointers = scratch.pointers.base
    locate(rows, count, into: pointers)
    links.batch(from: row, to: rows, pointers, count, into: scratch.distances.base)
    let keys = scratch.backKeys.base
    for index in 0..<count {
      keys[index] = CandidateKey(distance: scratch.distances[index], row: rows[index])
    }
    sortKeys(keys, count)
    return keys
  }

  /// A candidate with the very bytes of the row, if the search met one.
  private func duplicate(of row: UInt32, among scratch: GraphScratch) -> UInt32? {
    for index in 0..<min(scratch.candidateCount, Self.twinSearchMax)
    where links.isDuplicate(scratch.candidates[index], of: row) {
      return scratch.candidates[index].row
    }
    return nil
  }

  /// Duplicates form a tree: each hangs from one with room, found by walking from twin to twin, and only
  /// the first is linked to the rest of the graph. Thousands of them cost no more than as many others.
  private func link(_ row: UInt32, asDuplicateOf twin: UInt32, scratch: GraphScratch) {
    var (parent, previous) = (twin, row)
    var stepsLeft = Self.twinStepsMax
    var random = SplitMix64(seed: UInt64(row))
    scratch.rows.reserve(neighboursMax + 1)
    scratch.chosen.reserve(neighboursMax + 1)
    let twins = scratch.chosen.base
    while true {
      // Before anybody sees the row: from then on others may hang from it.
      assign(row, &parent, 1)
      let next: UInt32? = lists.withLock(parent) { list in
        let count = list.read(into: scratch.rows.base)
        var twinCount = 0
        for index in 0..<count where links.isDuplicate(scratch.rows[index], row) {
          let other = scratch.rows[index]
          // Only away from where the walk comes from, or it would go to and fro.
          let leadsOn = tree.map { $0.isParent(parent, of: other) } ?? (other != previous)
          if other == row || !leadsOn { continue }
          twins[twinCount] = other
          twinCount += 1
        }
        if twinCount >= twinsMax, tree != nil || stepsLeft > 0 {
          return twins[Int(random.next() % UInt64(twinCount))]
        }
        if list.contains(row) { return nil }
        tree?.adopt(row, by: parent)
        // Afterwards the list has at most `degree` neighbours, so there is room.
        if list.count == list.slots { pruneList(list, of: parent, adding: nil, scratch: scratch) }
        list.append(row)
        return nil
      }
      guard let next else { return }
      (previous, parent) = (parent, next)
      stepsLeft -= 1
    }
  }
}

/// Sorts keys, ascending.
func sortKeys(_ keys: UnsafeMutablePointer<CandidateKey>, _ count: Int) {
  var buffer = UnsafeMutableBufferPointer(start: keys, count: count)
  buffer.sort()
}
