// Background work: writing sealed memtables out as segments, then merging segments that are due.

import Core

extension Collection {
  /// With this many segments, merges come before flushes.
  private static let segmentsCrowding = 24

  /// Starts the maintenance task unless it runs already or there is nothing to do.
  func startMaintenance() {
    let starts = status.withLock { status in
      if status.isMaintaining || status.isClosed { return false }
      status.isMaintaining = true
      return true
    }
    if starts { Task(executorPreference: executor) { await self.runMaintenance() } }
  }

  private func runMaintenance() async {
    await maintenanceLock.acquire()
    var failure: RoostError?
    do throws(RoostError) {
      while !status.withLock({ $0.isClosed }) {
        // Flushes come first, as writers wait for them, until there are many segments: steady writes would
        // otherwise keep merges from ever beginning.
        let isCrowded = failure == nil && published.withLock { $0.segments.count } >= Self.segmentsCrowding
        if !isCrowded, try await flushOldest() { continue }
        // A merge that fails is tried again next time, and flushes go on.
        guard failure == nil, options.compactsAutomatically, let due = segmentsDueForMerge() else {
          if isCrowded, try await flushOldest() { continue }
          break
        }
        do throws(RoostError) { try await merge(due) } catch { failure = error }
      }
    } catch { failure = error }
    status.withLock {
      $0.maintenanceFailure = failure
      $0.isMaintaining = false
    }
    maintenanceLock.release()
    flushSignal.fire()
    // Sealed by another thread since the last look.
    if failure == nil, published.withLock({ !$0.sealed.isEmpty }) { startMaintenance() }
  }

  /// Writes everything in memory out as segments.
  public func flush() async throws(RoostError) {
    // In a task of its own: one that is cancelled would leave the graph of the memtable half done.
    let task = Task(executorPreference: executor) { () -> Result<Void, RoostError> in
      do throws(RoostError) { return .success(try await self.flushAll()) } catch { return .failure(error) }
    }
    try await task.value.get()
  }

  private func flushAll() async throws(RoostError) {
    try await sealActive()
    await maintenanceLock.acquire()
    defer { maintenanceLock.release() }
    try requireOpen()
    while try await flushOldest() {}
    status.withLock { $0.maintenanceFailure = nil }
  }

  /// Flushes, then merges all segments into one without dead rows. Throws `.cancelled`, having changed
  /// nothing, when the task is cancelled meanwhile.
  public func compact() async throws(RoostError) {
    try await flush()
    await maintenanceLock.acquire()
    defer { maintenanceLock.release() }
    try requireOpen()
    let segments = published.withLock { $0.segments }
    let isMinimal =
      segments.count <= 1 && segments.allSatisfy { $0.deadCount == 0 && $0.footer.tombstoneCount == 0 }
    if !isMinimal { try await merge(segments) }
  }

  private func sealActive() async throws(RoostError) {
    await writeLock.acquire()
    defer { writeLock.release() }
    try requireOpen()
    if !published.withLock({ $0.active.isEmpty }) { try await rotate() }
  }

  /// Flushes the oldest sealed memtable; false when there is none. Requires the maintenance lock.
  private func flushOldest() async throws(RoostError) -> Bool {
    guard let memtable = published.withLock({ $0.sealed.first }) else { return false }
    // A manifest with more segments than the limit could not be read again, so at worst we merge unasked.
    let segments = published.withLock { $0.segments }
    if segments.count >= Limits.segmentsMax / 2 { try await merge(segmentsDueForMerge() ?? segments) }
    // What a later call has killed is written, too: that call is in a WAL that may not be durable yet and
    // that a backup leaves out.
    let alive = (0..<UInt32(memtable.rowCount)).filter { row in
      let death = memtable.deadAt.load(Int(row))
      return death == 0 || death > memtable.lastSequence
    }
    let tombstones = memtable.tombstones.sorted { $0.id < $1.id }
    var segment: Segment?
    var order: [UInt32] = []
    if !alive.isEmpty || !tombstones.isEmpty {
      let living = alive.count < memtable.rowCount ? Set(alive) : []
      for graph in memtable.graphs {
        if alive.count < memtable.rowCount {
          await graph.removeDead(workers: runtime.workers) { !living.contains($0) }
        }
        await graph.finish(workers: runtime.workers)
      }
      let arranged = await SegmentSource.arrange(memtable.graphs, rows: alive, workers: runtime.workers)
      order = arranged.order
      let source = SegmentSource(
        fields: arranged.fields, order: order,
        entry: { (row, body) throws(RoostError) in
          body(
            memtable.entries.idBytes(Int(row)), memtable.entries.version(Int(row)),
            memtable.entries.payload(Int(row)))
        }, tombstones: tombstones, lastSequence: memtable.lastSequence)
      segment = try await writeSegment(source, replacing: [])
    }
    await writeLock.acquire()
    defer { writeLock.release() }
    if let segment {
      for (newRow, row) in order.enumerated() {
        let death = memtable.deadAt.load(Int(row))
        if death != 0 { segment.kill(row: UInt32(newRow), at: death) }
      }
    }
    try await install(
      adding: segment, removing: [], flushedSequence: memtable.lastSequence, dropping: memtable)
    status.withLock {
      $0.flushes += 1
      $0.maintenanceFailure = nil
    }
    flushSignal.fire()
    // What cannot be removed is below the floor and goes at the next opening.
    try? await runtime.files.remove(path + "/" + FileName.wal(memtable.number))
    return true
  }

  /// Writes and opens a segment under a new number.
  /// - Parameter replaced: segments that go once the new one is installed.
  func writeSegment(
    _ source: SegmentSource, replacing replaced: [Segment]
  ) async throws(RoostError) -> Segment {
    await writeLock.acquire()
    let number = writer.takeFileNumber()
    writeLock.release()
    let file = path + "/" + FileName.segment(number)
    do throws(RoostError) {
      _ = try await SegmentWriter.write(source, to: file, schema: schema, runtime: runtime)
      try await runtime.files.syncDirectory(path)
      let gone = Set(replaced.map(\.number))
      let others = published.withLock { $0.segments }.filter { !gone.contains($0.number) }
      return try await Self.openSegment(
        path, number: number, schema: schema, others: others, memory: memory, files: runtime.files)
    } catch {
      try? await runtime.files.remove(file)  // an orphan is removed at the next opening anyway
      throw error
    }
  }

  /// Makes a change of segments durable, then visible. Requires the write lock.
  func install(
    adding segment: Segment?, removing: [Segment], flushedSequence: UInt64, dropping memtable: Memtable?
  ) async throws(RoostError) {
    let state = published.withLock { $0 }
    let removed = Set(removing.map(\.number))
    let flushed = max(flushedSequence, writer.manifest.state.flushedSequence)
    let kept = state.segments.filter { !removed.contains($0.number) } + [segment].compactMap { $0 }
    var edit = VersionEdit(
      nextFileNumber: writer.nextFileNumber, walFloor: writer.manifest.state.walFloor,
      flushedSequence: flushed,
      lastVersion: max(writer.manifest.state.lastVersion, segment?.footer.lastVersion ?? .zero))
    if memtable != nil {
      edit.walFloor = state.sealed.count > 1 ? state.sealed[1].number : state.active.number
    }
    edit.addedSegments = [segment].compactMap { $0?.number }
    edit.removedSegments = removing.map(\.number)
    for candidate in kept {
      let rows = candidate.unpersistedDeaths(upTo: flushed)
      if !rows.isEmpty { edit.deadRows[candidate.number] = rows }
    }
    do throws(RoostError) { try await writer.manifest.apply(edit) } catch {
      // Each further try would leave another file behind. But if it is unknown whether the edit is on disk,
      // the file may be needed.
      if let segment, writer.manifest.isHealthy {
        await segment.file.file.close()
        try? await runtime.files.remove(segment.file.path)
      }
      throw error
    }
    writer.nextFileNumber = max(writer.nextFileNumber, writer.manifest.state.nextFileNumber)
    for candidate in kept { candidate.markPersisted(upTo: flushed) }
    published.withLock { state in
      state.segments = kept
      if let memtable { state.sealed.removeAll { $0 === memtable } }
    }
    memory.balance(kept)
  }
}
