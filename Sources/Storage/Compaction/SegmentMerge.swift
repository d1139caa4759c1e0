// Merging segments: the living rows of all, for each vector field in one graph that starts from the largest
// one's edges and links the rest in (FreshDiskANN's merge, arXiv:2105.09613, section 5).

import Core

extension Collection {
  func segmentsDueForMerge() -> [Segment]? {
    let segments = published.withLock { $0.segments }
    let candidates = segments.map { segment in
      let dead = segment.persistedDeadCount
      return MergeCandidate(number: segment.number, liveRows: segment.rowCount - dead, deadRows: dead)
    }
    guard let numbers = MergePolicy.pick(candidates, perTier: options.segmentsPerTier) else { return nil }
    let due = Set(numbers)
    return segments.filter { due.contains($0.number) }
  }

  /// Replaces `inputs` by one segment of their living rows. Requires the maintenance lock.
  func merge(_ inputs: [Segment]) async throws(RoostError) {
    await writeLock.acquire()
    let flushed = writer.manifest.state.flushedSequence
    writeLock.release()
    let plan = MergePlan(inputs, flushedSequence: flushed)
    var merged: Segment?
    var order: [UInt32] = []
    if plan.liveCount > 0 {
      var graphs: [GrowingGraph] = []
      for field in schema.fields.indices { graphs.append(try await buildGraph(plan, field: field)) }
      let arranged = await SegmentSource.arrange(
        graphs, rows: Array(0..<UInt32(plan.liveCount)), workers: runtime.workers)
      order = arranged.order
      let source = SegmentSource(
        fields: arranged.fields, order: order,
        entry: { (row, body) throws(RoostError) in
          let (segment, old) = plan.place(row)
          var kept: [PayloadBlock] = []
          let payload = try RowSource.segment(segment).payload(old, keeping: &kept)
          body(try segment.idBytes(old), try segment.version(old), payload)
          withExtendedLifetime(kept) {}
        }, tombstones: [], lastSequence: inputs.map(\.footer.lastSequence).max() ?? 0)
      merged = try await writeSegment(source, replacing: inputs)
    }
    await writeLock.acquire()
    do throws(RoostError) {
      if let merged {
        for (newRow, row) in order.enumerated() {
          let (segment, old) = plan.place(row)
          let death = segment.deadAt.load(old)
          if death != 0 { merged.kill(row: UInt32(newRow), at: death) }
        }
      }
      try await install(adding: merged, removing: inputs, flushedSequence: 0, dropping: nil)
    } catch {
      writeLock.release()
      throw error
    }
    writeLock.release()
    status.withLock { $0.compactions += 1 }
    // Searches that began before still read them; what cannot be removed goes at the next opening.
    for input in inputs { try? await runtime.files.remove(input.file.path) }
  }

  /// The graph of one field over the merged rows that have a vector of it, in their new numbers.
  private func buildGraph(_ plan: MergePlan, field index: Int) async throws(RoostError) -> GrowingGraph {
    let field = schema.fields[index]
    let graph = try GrowingGraph(
      shape: field.shape, degree: field.degree, buildEffort: field.buildEffort, capacity: plan.places.count
    )
    let liveCount = UInt32(plan.liveCount)
    var hasDead = false
    /// Rows that do not come with edges.
    var loose: [Int] = []
    for (number, input) in plan.inputs.enumerated() {
      let vectors = input.fields[index]
      let newRows = try plan.newRows(ofInput: number, vectors.rows)
      try await vectors.graph.forEachNode { (node, vector, neighbours) in
        guard let row = newRows[Int(node)] else { return }
        graph.vectors.set(Int(row), from: vector)
        guard number == plan.seedInput else {
          loose.append(Int(row))
          return
        }
        if row >= liveCount { hasDead = true }
        let mapped = neighbours.compactMap { newRows[Int($0)] }
        mapped.withUnsafeBufferPointer { graph.load($0, row: row) }
      }
    }
    // Rows of the seed that died sit above the living ones; their edges are patched and they go.
    if hasDead {
      await graph.removeDead(workers: runtime.workers) { $0 >= liveCount }
    }
    await graph.insertAll(rows: loose, workers: runtime.workers)
    await runtime.workers.run { graph.improveEntry() }
    await graph.finish(workers: runtime.workers)
    // The workers stop in the middle when the task is cancelled, so rows may be missing from the graph.
    if Task.isCancelled { throw RoostError(.cancelled, "the merge was cancelled", at: path) }
    return graph
  }
}

/// How old rows map to new ones: the living rows, input after input, each in its own order; then the
/// dead rows of the seed, which take part only until its edges are patched.
///
/// A row whose death is not flushed yet counts as living: what killed it is in a WAL that may not be durable
/// and that a backup leaves out, so the row is still the record's last durable state.
struct MergePlan: Sendable {
  let inputs: [Segment]
  /// The input whose edges are taken over: the one with most living rows; nil when it is too holed.
  let seedInput: Int?
  let liveCount: Int
  /// For each new row: input (upper half) and old row (lower half).
  let places: [UInt64]
  /// For each input and old row the new row.
  let newRows: [[UInt32?]]

  init(_ inputs: [Segment], flushedSequence: UInt64) {
    self.inputs = inputs
    let live = inputs.map { segment in
      (0..<segment.rowCount).filter { row in
        let death = segment.deadAt.load(row)
        return death == 0 || death > flushedSequence
      }
    }
    let largest = live.indices.max { live[$0].count < live[$1].count }
    // Patching costs as much as linking anew when most rows are gone.
    seedInput = largest.flatMap { live[$0].count * 2 > inputs[$0].rowCount ? $0 : nil }
    var places: [UInt64] = []
    var newRows = inputs.map { [UInt32?](repeating: nil, count: $0.rowCount) }
    func add(_ input: Int, _ row: Int) {
      newRows[input][row] = UInt32(places.count)
      places.append(UInt64(input) << 32 | UInt64(row))
    }
    for input in inputs.indices {
      for row in live[input] { add(input, row) }
    }
    liveCount = places.count
    if let seedInput {
      for row in 0..<inputs[seedInput].rowCount where newRows[seedInput][row] == nil { add(seedInput, row) }
    }
    self.places = places
    self.newRows = newRows
  }

  /// The new row of each node of a field of an input.
  func newRows(ofInput input: Int, _ rows: NodeRows) throws(RoostError) -> [UInt32?] {
    if rows.isSame { return newRows[input] }
    var mapped: [UInt32?] = []
    mapped.reserveCapacity(rows.count)
    for node in 0..<UInt32(rows.count) { mapped.append(newRows[input][Int(try rows.row(ofNode: node))]) }
    return mapped
  }

  func place(_ newRow: UInt32) -> (segment: Segment, row: Int) {
    let word = places[Int(newRow)]
    return (inputs[Int(word >> 32)], Int(word & 0xffff_ffff))
  }
}
