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
  /// - Throws: `.cancelled` when the task is cancelled; what was not written then is written later.
  public func flush() async throws(RoostError) {
    try await sealActive()
    await maintenanceLock.acquire()
    defer { maintenanceLock.release() }
    try requireOpen()
    while try await flushOldest() {}
    status.withLock { $0.maintenanceFailure = nil }
  }

  /// Flushes, then merges all segments into one without dead rows and without the tombstones that the policy
  /// lets go. Throws `.cancelled`, having changed nothing, when the task is cancelled meanwhile.
  public func compact() async throws(RoostError) {
    try await flush()
    await maintenanceLock.acquire()
    defer { maintenanceLock.release() }
    try requireOpen()
    let segments = published.withLock { $0.segments }
    if try !isMinimal(segments) { try await merge(segments) }
  }

  /// Whether a merge of all segments would change nothing.
  private func isMinimal(_ segments: [Segment]) throws(RoostError) -> Bool {
    guard let segment = segments.first else { return true }
    guard segments.count == 1, segment.deadCount == 0 else { return false }
    let limit = options.tombstones.limit
    for rank in 0..<segment.tombstoneCount where try segment.tombstone(atRank: rank).version <= limit {
      return false
    }
    return true
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
    let control = beginWork(.flush)
    defer { endWork() }
    let (segment, order) = try await write(memtable, control)
    await writeLock.acquire()
    defer { writeLock.release() }
    if let segment {
      await runtime.workers.run {
        for (newRow, row) in order.enumerated() {
          let death = memtable.deadAt.load(Int(row))
          if death != 0 { segment.kill(row: UInt32(newRow), at: death) }
        }
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

  /// Writes a sealed memtable out as a segment, none when there is nothing to keep of it.
  /// - Returns: the segment, and the memtable's row of each of its rows.
  private func write(
    _ memtable: Memtable, _ control: WorkControl
  ) async throws(RoostError) -> (Segment?, [UInt32]) {
    let (deadAt, lastSequence, count) = (memtable.deadAt, memtable.lastSequence, memtable.rowCount)
    // What a later call has killed is written, too: that call is in a WAL that may not be durable yet and that
    // a backup leaves out.
    let isDead: @Sendable (UInt32) -> Bool = { row in
      let death = deadAt.load(Int(row))
      return death != 0 && death <= lastSequence
    }
    let kept = (0..<UInt32(count)).filter { !isDead($0) }
    let tombstones = memtable.tombstones
    if kept.isEmpty && tombstones.isEmpty { return (nil, []) }
    control.begin(records: kept.count, linking: 0)
    let work = workMemory()
    let workers = runtime.workers
    // Searches go on in the memtable's own graph, and older snapshots want rows that are dead by now.
    var graphs: [GrowingGraph] = []
    for original in memtable.graphs {
      let graph = GrowingGraph(
        copying: original, rows: count,
        memory: try await work.block(GraphMemory.listBytes(degree: original.degree, capacity: count)))
      if kept.count < count {
        await graph.removeDead(workers: workers, control: control, isDead: isDead)
      }
      await graph.finish(workers: workers, control: control)
      try control.check()
      graphs.append(graph)
    }
    let arranged = await SegmentSource.arrange(graphs, rows: kept, workers: workers)
    let source = SegmentSource(
      fields: arranged.fields, order: arranged.order,
      entry: { (row, body) throws(RoostError) in
        body(
          memtable.entries.idBytes(Int(row)), memtable.entries.version(Int(row)),
          memtable.entries.payload(Int(row)))
      }, idBytesMax: kept.reduce(0) { $0 + memtable.entries.idBytes(Int($1)).count },
      tombstones: SortedTombstones(tombstones), lastSequence: lastSequence)
    let segment = try await writeSegment(source, replacing: [], work: work, control: control)
    return (segment, arranged.order)
  }

  func workMemory() -> WorkMemory {
    WorkMemory(limit: options.workMemoryBytes, directory: path, files: runtime.files)
  }

  /// Makes a flush or merge visible from outside. Requires the maintenance lock, as does `endWork`.
  func beginWork(_ kind: MaintenanceProgress.Kind) -> WorkControl {
    // A flush that writers wait for, merges without which flushes would have to stop.
    let control = WorkControl(kind, place: path, clock: runtime.clock, load: searchLoad) { [weak self] in
      guard let self else { return true }
      return published.withLock {
        kind == .flush
          ? $0.sealed.count >= Self.sealedMemtablesMax : $0.segments.count >= Self.segmentsCrowding
      }
    }
    let isClosed = status.withLock { status in
      status.work = control
      return status.isClosed
    }
    if isClosed { control.stop() }
    return control
  }

  func endWork() { status.withLock { $0.work = nil } }

  /// Writes and opens a segment under a new number.
  /// - Parameter replaced: segments that go once the new one is installed.
  func writeSegment(
    _ source: SegmentSource, replacing replaced: [Segment], work: WorkMemory, control: WorkControl
  ) async throws(RoostError) -> Segment {
    await writeLock.acquire()
    let number = writer.takeFileNumber()
    writeLock.release()
    let file = path + "/" + FileName.segment(number)
    do throws(RoostError) {
      _ = try await SegmentWriter.write(
        source, to: file, schema: schema, runtime: runtime, work: work, control: control)
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
