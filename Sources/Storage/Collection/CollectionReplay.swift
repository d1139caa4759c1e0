// Reads WALs back into memtables, one memtable for each, through the same steps as live writes. A first pass
// over all logs decides whether they are whole and how large their memtables must be; the second applies
// them, a few frames at a time.

import Core

extension Collection {
  /// Operations that are applied, and linked into the graph, together.
  private static let replayedOperations = 1024
  private static let replayedBytes = 4 << 20

  static func replay(
    _ logs: [UInt64], path: String, options: StorageOptions, runtime: Runtime, manifest: Manifest,
    segments: [Segment], memory: CollectionMemory, clean: CleanMarker?, lock: any FileLock,
    report: RecoveryReport
  ) async throws(RoostError) -> Collection {
    let (state, files) = (manifest.state, runtime.files)
    var report = report
    let nextNumber = max(state.nextFileNumber, (logs.last ?? 0) + 1, manifest.number + 1)
    var surveys: [LogSurvey] = []
    var sequence = state.flushedSequence
    for (index, number) in logs.enumerated() {
      let log = try await surveyLog(
        path, number: number, schema: state.schema, after: sequence, clean: clean, files: files)
      guard log.outcome.tornBytes == 0 || index == logs.count - 1 else {
        throw .corrupted(
          "the log ends in a torn frame although a later log exists", file: path + "/" + FileName.wal(number),
          offset: log.outcome.length)
      }
      sequence = log.lastSequence
      report.replayedBatches += log.batches
      report.tornBytes += log.outcome.tornBytes
      surveys.append(log)
    }
    // The newest log goes on being written.
    guard let last = surveys.last else { throw RoostError(.corrupted, "there is no WAL", at: path) }
    let writer = try await LogWriter.reopen(
      path + "/" + FileName.wal(last.number), number: last.number, length: last.outcome.length, files: files)
    let lastVersion = surveys.map(\.lastVersion).max() ?? .zero
    let live = segments.reduce(0) { $0 + $1.rowCount - $1.deadCount }
    let first = try surveys[0].makeMemtable(schema: state.schema, options: options)
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
    for (index, log) in surveys.enumerated() {
      if index > 0 {
        let memtable = try log.makeMemtable(schema: state.schema, options: options)
        collection.published.withLock { state in
          state.sealed.append(state.active)
          state.active = memtable
          state.activeRows = 0
        }
      }
      try await collection.replay(log)
    }
    // The workers stop in the middle when the task is cancelled, so rows may be missing from the graph.
    if Task.isCancelled { throw RoostError(.cancelled, "opening was cancelled", at: path) }
    collection.startMaintenance()
    return collection
  }

  /// Applies one log to the active memtable.
  private func replay(_ log: LogSurvey) async throws(RoostError) {
    var cursor = try await LogCursor.open(
      path + "/" + FileName.wal(log.number), outcome: log.outcome, files: runtime.files)
    var batches: [ApplyBatch] = []
    var operations = 0
    var bytes = 0
    while let frame = try cursor.next() {
      let decoded = try WriteBatch.decode(frame.body, rowBytes: schema.rowBytes)
      batches.append(
        ApplyBatch(
          operations: decoded, existing: try await resolveInSegments(decoded), sequence: frame.sequence))
      operations += decoded.count
      bytes += frame.body.count
      if operations >= Self.replayedOperations || bytes >= Self.replayedBytes {
        _ = await apply(batches)
        batches.removeAll(keepingCapacity: true)
        (operations, bytes) = (0, 0)
      }
    }
    if !batches.isEmpty { _ = await apply(batches) }
  }

  /// What the first pass over a WAL finds out.
  struct LogSurvey {
    var number: UInt64
    var outcome: LogReader.Outcome
    var batches = 0
    /// Records put, and the bytes of their ids and payloads.
    var rows = 0
    var entryBytes = 0
    var lastSequence: UInt64
    var lastVersion = Version.zero

    /// A memtable with room for all of the log, even if the options have become smaller.
    func makeMemtable(schema: CollectionSchema, options: StorageOptions) throws(RoostError) -> Memtable {
      var options = options
      options.memtableRows = max(options.memtableRows, rows)
      options.memtableEntryBytes = max(options.memtableEntryBytes, entryBytes)
      return try Memtable(number: number, schema: schema, options: options)
    }
  }

  /// Reads a WAL through; its frames must go on right after `sequence`.
  static func surveyLog(
    _ path: String, number: UInt64, schema: CollectionSchema, after sequence: UInt64, clean: CleanMarker?,
    files: any FileSystem
  ) async throws(RoostError) -> LogSurvey {
    var survey = LogSurvey(
      number: number, outcome: LogReader.Outcome(length: 0, tornBytes: 0), lastSequence: sequence)
    survey.outcome = try await LogReader.read(
      path + "/" + FileName.wal(number), kind: .wal, number: number, exactLength: clean?.logs[number],
      files: files
    ) { (frame) throws(RoostError) in
      guard frame.sequence == survey.lastSequence + 1 else {
        throw RoostError(.corrupted, "write \(frame.sequence) follows write \(survey.lastSequence)")
      }
      survey.lastSequence = frame.sequence
      survey.batches += 1
      for operation in try WriteBatch.decode(frame.body, rowBytes: schema.rowBytes) {
        survey.lastVersion = max(survey.lastVersion, operation.version)
        guard case .put(let id, _, _, let payload) = operation else { continue }
        survey.rows += 1
        survey.entryBytes += EntryArena.byteCount(
          idBytes: id.encodedBytes.count, payloadBytes: payload.count)
      }
    }
    return survey
  }
}
