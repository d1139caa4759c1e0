// Reads WALs back into memtables, one memtable for each, through the same steps as live writes.

import Core

extension Collection {
  static func replay(
    _ logs: [UInt64], path: String, options: StorageOptions, runtime: Runtime, manifest: Manifest,
    segments: [Segment], memory: CollectionMemory, clean: CleanMarker?, lock: any FileLock,
    report: RecoveryReport
  ) async throws(RoostError) -> Collection {
    let (state, files) = (manifest.state, runtime.files)
    var report = report
    let nextNumber = max(state.nextFileNumber, (logs.last ?? 0) + 1, manifest.number + 1)
    var read: [ReplayedLog] = []
    var sequence = state.flushedSequence
    for (index, number) in logs.enumerated() {
      let log = try await readLog(
        path, number: number, schema: state.schema, after: sequence, clean: clean, files: files)
      guard log.outcome.tornBytes == 0 || index == logs.count - 1 else {
        throw .corrupted(
          "the log ends in a torn frame although a later log exists", file: path + "/" + FileName.wal(number),
          offset: log.outcome.length)
      }
      sequence = log.batches.last?.sequence ?? sequence
      report.replayedBatches += log.batches.count
      report.tornBytes += log.outcome.tornBytes
      read.append(log)
    }
    // The newest log goes on being written.
    guard let last = read.last else { throw RoostError(.corrupted, "there is no WAL", at: path) }
    let writer = try await LogWriter.reopen(
      path + "/" + FileName.wal(last.number), number: last.number, length: last.outcome.length, files: files)
    let lastVersion = read.flatMap(\.batches).flatMap(\.operations).map(\.version).max() ?? .zero
    let live = segments.reduce(0) { $0 + $1.rowCount - $1.deadCount }
    let first = try read[0].makeMemtable(schema: state.schema, options: options)
    let collection = Collection(
      path: path, schema: state.schema, options: options, runtime: runtime, memory: memory,
      clock: HybridClock(
        clock: runtime.clock, node: 0, startingAfter: max(lastVersion, state.lastVersion)),
      writer: WriteSide(manifest: manifest, log: writer, nextFileNumber: nextNumber),
      published: Published(
        sequence: state.flushedSequence, liveCount: live, active: first, activeRows: 0, sealed: [],
        segments: segments),
      folderLock: lock, recovery: report)
    await collection.writeLock.acquire()
    defer { collection.writeLock.release() }
    for (index, log) in read.enumerated() {
      if index > 0 {
        let memtable = try log.makeMemtable(schema: state.schema, options: options)
        collection.published.withLock { state in
          state.sealed.append(state.active)
          state.active = memtable
          state.activeRows = 0
        }
      }
      var batches: [ApplyBatch] = []
      for batch in log.batches {
        batches.append(
          ApplyBatch(
            operations: batch.operations, existing: try await collection.resolveInSegments(batch.operations),
            sequence: batch.sequence))
      }
      _ = await collection.apply(batches)
    }
    // The workers stop in the middle when the task is cancelled, so rows may be missing from the graph.
    if Task.isCancelled { throw RoostError(.cancelled, "opening was cancelled", at: path) }
    collection.startMaintenance()
    return collection
  }

  struct ReplayedLog {
    struct Batch {
      var sequence: UInt64
      var operations: [WriteOperation]
    }
    var number: UInt64
    var batches: [Batch]
    var outcome: LogReader.Outcome

    /// A memtable with room for all of the log, even if the options have become smaller.
    func makeMemtable(schema: CollectionSchema, options: StorageOptions) throws(RoostError) -> Memtable {
      var rows = 0
      var bytes = 0
      for batch in batches {
        for case .put(let id, _, _, let payload) in batch.operations {
          rows += 1
          bytes += EntryArena.byteCount(idBytes: id.encodedBytes.count, payloadBytes: payload.count)
        }
      }
      var options = options
      options.memtableRows = max(options.memtableRows, rows)
      options.memtableEntryBytes = max(options.memtableEntryBytes, bytes)
      return try Memtable(number: number, schema: schema, options: options)
    }
  }

  /// Reads a WAL; its frames must go on right after `sequence`.
  static func readLog(
    _ path: String, number: UInt64, schema: CollectionSchema, after sequence: UInt64, clean: CleanMarker?,
    files: any FileSystem
  ) async throws(RoostError) -> ReplayedLog {
    var batches: [ReplayedLog.Batch] = []
    var previous = sequence
    let outcome = try await LogReader.read(
      path + "/" + FileName.wal(number), kind: .wal, number: number, exactLength: clean?.logs[number],
      files: files
    ) { (frame) throws(RoostError) in
      guard frame.sequence == previous + 1 else {
        throw RoostError(.corrupted, "write \(frame.sequence) follows write \(previous)")
      }
      previous = frame.sequence
      batches.append(
        ReplayedLog.Batch(
          sequence: frame.sequence,
          operations: try WriteBatch.decode(frame.body, rowBytes: schema.rowBytes)))
    }
    return ReplayedLog(number: number, batches: batches, outcome: outcome)
  }
}
