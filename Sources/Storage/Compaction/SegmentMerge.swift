// Merging segments: the living rows of all, for each vector field in one graph that starts from the largest
// one's edges and links the rest in (FreshDiskANN's merge, arXiv:2105.09613, section 5). Its memory is a
// `WorkMemory`; nothing counts before the manifest says so, so a merge that ends early, by a crash or on request,
// just begins again.

import Core

extension Collection {
  /// Decoded payload blocks of each input. Rows that are written one after the other mostly come from few blocks.
  private static let mergeCacheBytes = 1 << 18

  func segmentsDueForMerge() -> [Segment]? {
    let segments = published.withLock { $0.segments }
    let candidates = segments.map { segment in
      let dead = segment.persistedDeadCount
      return MergeCandidate(
        number: segment.number, liveRows: segment.rowCount - dead, deadRows: dead,
        tombstones: segment.tombstoneCount)
    }
    guard let numbers = MergePolicy.pick(candidates, perTier: options.segmentsPerTier) else { return nil }
    let due = Set(numbers)
    return segments.filter { due.contains($0.number) }
  }

  /// Replaces `inputs` by one segment of their living rows and the tombstones that are still needed. Requires
  /// the maintenance lock.
  /// - Throws: `.cancelled` when the task was cancelled or the collection closed; then nothing has changed.
  func merge(_ inputs: [Segment]) async throws(RoostError) {
    let control = beginWork(.merge)
    defer { endWork() }
    if try await !merge(inputs, dropping: options.tombstones.limit, control) {
      _ = try await merge(inputs, dropping: .zero, control)
    }
  }

  /// - Parameter limit: tombstones up to this version may go.
  /// - Returns: false, with nothing changed, when a tombstone that was dropped has been needed meanwhile.
  private func merge(
    _ inputs: [Segment], dropping limit: Version, _ control: WorkControl
  ) async throws(RoostError) -> Bool {
    await writeLock.acquire()
    let flushed = writer.manifest.state.flushedSequence
    let mayDrop = writer.refusedSequence <= flushed
    writeLock.release()
    let work = workMemory()
    let workers = runtime.workers
    let plan = try await MergePlan.make(
      inputs, flushedSequence: flushed, work: work, workers: workers)
    control.begin(records: plan.liveCount, linking: plan.liveCount - plan.seedRange.count)
    let numbers = Set(inputs.map(\.number))
    let others = published.withLock { $0.segments }.filter { !numbers.contains($0.number) }
    let tombstones = MergedTombstones(inputs, others: others, limit: mayDrop ? limit : .zero) {
      plan.isKept(input: $0, row: $1)
    }
    var merged: Segment?
    var order: [UInt32] = []
    if plan.liveCount > 0 || inputs.contains(where: { $0.tombstoneCount > 0 }) {
      var graphs: [GrowingGraph] = []
      for field in schema.fields.indices {
        graphs.append(try await buildGraph(plan, field: field, work, control))
      }
      let arranged = await SegmentSource.arrange(
        graphs, rows: Array(0..<UInt32(plan.liveCount)), workers: workers)
      order = arranged.order
      // Not the cache that searches use: its lock must not be held by a thread that has to wait for a core.
      let caches = inputs.map { $0.payloads.copy(cacheBytes: Self.mergeCacheBytes) }
      let source = SegmentSource(
        fields: arranged.fields, order: order,
        entry: { (row, body) throws(RoostError) in
          let (input, old) = plan.place(row)
          let segment = plan.inputs[input]
          let place = try segment.payloadPlace(old)
          let block = try caches[input].block(place.block)
          body(try segment.idBytes(old), try segment.version(old), try block.payload(at: place.offset))
          withExtendedLifetime(block) {}
        }, idBytesMax: inputs.reduce(0) { $0 + $1.footer.section(.ids).byteCount },
        tombstones: tombstones, lastSequence: inputs.map(\.footer.lastSequence).max() ?? 0)
      merged = try await writeSegment(source, replacing: inputs, work: work, control: control)
    }
    if let empty = merged, empty.rowCount == 0, empty.tombstoneCount == 0 {
      await discard(empty)
      merged = nil
    }
    await writeLock.acquire()
    if tombstones.dropped > 0, writer.refusedSequence > writer.manifest.state.flushedSequence {
      writeLock.release()
      if let merged { await discard(merged) }
      return false
    }
    do throws(RoostError) {
      if let merged {
        // No flush ran meanwhile, so whatever died and was kept is not persisted.
        let rows = order
        await runtime.workers.run {
          let deaths = plan.deaths()
          if deaths.isEmpty { return }
          for (newRow, row) in rows.enumerated() {
            if let sequence = deaths[row] { merged.kill(row: UInt32(newRow), at: sequence) }
          }
        }
      }
      try await install(adding: merged, removing: inputs, flushedSequence: 0, dropping: nil)
    } catch {
      writeLock.release()
      throw error
    }
    writeLock.release()
    status.withLock {
      $0.compactions += 1
      $0.lastWork = work.usage
    }
    // Searches that began before still read them; what cannot be removed goes at the next opening.
    for input in inputs { try? await runtime.files.remove(input.file.path) }
    return true
  }

  /// Gets rid of a segment that was never installed; what cannot be removed goes at the next opening.
  private func discard(_ segment: Segment) async {
    await segment.file.file.close()
    try? await runtime.files.remove(segment.file.path)
  }

  /// The graph of one field over the merged rows that have a vector of it, in their new numbers.
  private func buildGraph(
    _ plan: MergePlan, field index: Int, _ work: WorkMemory, _ control: WorkControl
  ) async throws(RoostError) -> GrowingGraph {
    let workers = runtime.workers
    let field = schema.fields[index]
    let graph = try GrowingGraph(
      shape: field.shape, degree: field.degree, buildEffort: field.buildEffort, capacity: plan.count,
      memory: try await GraphMemory(
        shape: field.shape, degree: field.degree, capacity: plan.count, from: work))
    let liveCount = UInt32(plan.liveCount)
    var hasDead = false
    /// Rows that do not come with edges.
    var loose: [Int] = []
    for (number, input) in plan.inputs.enumerated() {
      let vectors = input.fields[index]
      let newRows = try await plan.newRows(ofInput: number, vectors.rows, work: work, workers: workers)
      let isSeed = number == plan.seedInput
      for node in 0..<newRows.count where newRows[node] != RowTable.none {
        if !isSeed { loose.append(Int(newRows[node])) } else if newRows[node] >= liveCount { hasDead = true }
      }
      try await vectors.graph.forEachNode(workers: workers, control: control) {
        (node, vector, neighbours) in
        let row = newRows[Int(node)]
        guard row != RowTable.none else { return }
        graph.vectors.set(Int(row), from: vector)
        guard isSeed else { return }
        let mapped = neighbours.map { newRows[Int($0)] }.filter { $0 != RowTable.none }
        mapped.withUnsafeBufferPointer { graph.load($0, row: row) }
      }
    }
    // Rows of the seed that died sit above the living ones; their edges are patched and they go.
    if hasDead {
      await graph.removeDead(workers: workers, control: control) { $0 >= liveCount }
    }
    // Neighbours lie close together in the inputs. When the vectors are in a scratch file, rows that are linked
    // one after the other should need the same pages of it.
    let order: InsertionOrder = work.usage.spilledBytes > 0 ? .asStored : .spread
    await graph.insertAll(rows: loose, order: order, workers: workers, control: control)
    try control.check()
    await workers.run { graph.improveEntry() }
    await graph.finish(workers: workers, control: control)
    // The workers stop in the middle, so rows may be missing from the graph.
    try control.check()
    return graph
  }
}
