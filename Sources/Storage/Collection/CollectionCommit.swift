// The way of a write: queue → one frame per call, one sync per group (group commit) → memtable and
// graph → publish → acknowledge. One commit loop runs at a time and only while there is work.

import Core
import Synchronization

/// A call waiting to be committed.
struct PendingWrite: Sendable {
  var operations: [WriteOperation]
  var entryBytes: Int
  var continuation: UnsafeContinuation<Result<WriteOutcome, RoostError>, Never>
}

struct WriteOutcome: Sendable {
  /// Deletes that hit a living record.
  var deleted = 0
  /// The version that each operation got.
  var versions: [Version] = []
}

struct CommitQueue: Sendable {
  var pending: [PendingWrite] = []
  var isRunning = false
}

extension Collection {
  /// Calls that share one sync, at most.
  private static let groupCallsMax = 256
  static let sealedMemtablesMax = 2

  /// Stores records, replacing those with the same ids. All or nothing becomes durable and visible.
  /// - Returns: the version of each record.
  /// - Throws: `.invalidArgument` or `.limitExceeded` naming the record that does not fit.
  public func put(_ records: [PutRecord]) async throws(RoostError) -> [Version] {
    try requireOpen()
    guard records.count <= Limits.batchRecordsMax else {
      throw RoostError(
        .limitExceeded, "\(records.count) records in one call, the limit is \(Limits.batchRecordsMax)",
        at: "put")
    }
    guard !records.isEmpty else { return [] }
    var operations: [WriteOperation] = []
    operations.reserveCapacity(records.count)
    for record in records { operations.append(try operation(record, version: .zero)) }
    return try await commit(operations).versions
  }

  /// The operation that stores a record. Throws what is wrong with it, naming the record.
  func operation(_ record: PutRecord, version: Version) throws(RoostError) -> WriteOperation {
    do throws(RoostError) {
      try record.id.validate()
      guard record.source == nil else {
        throw RoostError(
          .invalidArgument, "the source must be embedded before the record is stored", at: "source",
          remedy: "put it through a node, into a collection with an embedder")
      }
      let vectors = try schema.storedVectors(record.vectors)
      let payload = try record.payload.validatedEncoding()
      return .put(id: record.id, version: version, vectors: vectors, payload: payload)
    } catch {
      throw RoostError(
        error.kind, error.message, at: "record \(record.id.text), \(error.place)", remedy: error.remedy)
    }
  }

  /// Deletes records; ids that are not there are fine.
  /// - Returns: how many records there were.
  public func delete(_ ids: [RecordID]) async throws(RoostError) -> Int {
    try requireOpen()
    guard ids.count <= Limits.batchRecordsMax else {
      throw RoostError(
        .limitExceeded, "\(ids.count) ids in one call, the limit is \(Limits.batchRecordsMax)", at: "delete")
    }
    guard !ids.isEmpty else { return 0 }
    for id in ids { try id.validate() }
    return try await commit(ids.map { .delete(id: $0, version: .zero) }).deleted
  }

  /// - Parameter operations: those with version zero get theirs when they are committed.
  func commit(_ operations: [WriteOperation]) async throws(RoostError) -> WriteOutcome {
    let entryBytes = operations.reduce(0) { sum, operation in
      guard case .put(_, _, _, let payload) = operation else { return sum }
      return sum + EntryArena.byteCount(idBytes: Limits.keyBytesMax + 2, payloadBytes: payload.count)
    }
    let result = await withUnsafeContinuation { continuation in
      let starts = commits.withLock { queue in
        queue.pending.append(
          PendingWrite(operations: operations, entryBytes: entryBytes, continuation: continuation))
        defer { queue.isRunning = true }
        return !queue.isRunning
      }
      if starts { Task(executorPreference: executor) { await self.runCommitLoop() } }
    }
    return try result.get()
  }

  private func runCommitLoop() async {
    while true {
      let group = commits.withLock { queue in
        let count = min(queue.pending.count, Self.groupCallsMax)
        if count == 0 { queue.isRunning = false }
        defer { queue.pending.removeFirst(count) }
        return Array(queue.pending[..<count])
      }
      if group.isEmpty { return }
      await writeLock.acquire()
      await commitGroup(group)
      writeLock.release()
    }
  }

  /// Commits the group in as few syncs as the memtable allows.
  private func commitGroup(_ group: [PendingWrite]) async {
    var rest = group[...]
    while !rest.isEmpty {
      var rows = 0
      var bytes = 0
      var count = 0
      for write in rest {
        let fits =
          rows + write.operations.count <= options.memtableRows
          && bytes + write.entryBytes <= options.memtableEntryBytes
        guard fits || count == 0 else { break }
        rows += write.operations.count
        bytes += write.entryBytes
        count += 1
      }
      let part = Array(rest.prefix(count))
      rest = rest.dropFirst(count)
      do throws(RoostError) {
        try requireOpen()
        try await makeRoom(rows: rows, entryBytes: bytes)
      } catch {
        for write in part { write.continuation.resume(returning: .failure(error)) }
        continue
      }
      await commitPart(part)
    }
  }

  private func commitPart(_ part: [PendingWrite]) async {
    // Everything that can fail for one call alone comes before the log.
    var accepted: [(write: PendingWrite, existing: [SegmentFact?])] = []
    for var write in part {
      do throws(RoostError) {
        let existing = try await resolveInSegments(write.operations)
        // Versions rise in the order of the log. Otherwise of two calls that race for an id the later one
        // could be the older one, which a delete hides only until its tombstone is flushed.
        for index in write.operations.indices {
          if write.operations[index].version == .zero {
            write.operations[index].version = clock.next()
          } else {
            clock.observe(write.operations[index].version)
          }
        }
        accepted.append((write, existing))
      } catch {
        write.continuation.resume(returning: .failure(error))
      }
    }
    guard !accepted.isEmpty else { return }
    let firstSequence = published.withLock { $0.sequence } + 1
    do throws(RoostError) {
      var frames = ByteWriter()
      for (index, item) in accepted.enumerated() {
        LogFormat.encodeFrame(
          WriteBatch.encode(item.write.operations), sequence: firstSequence + UInt64(index),
          syncedThrough: writer.log.syncedThrough, into: &frames)
      }
      try await writer.log.append(frames.bytes)
      if options.sync == .always { try await writer.log.sync() }
    } catch {
      for item in accepted { item.write.continuation.resume(returning: .failure(error)) }
      return
    }
    var batches: [ApplyBatch] = []
    for (index, item) in accepted.enumerated() {
      batches.append(
        ApplyBatch(
          operations: item.write.operations, existing: item.existing, sequence: firstSequence + UInt64(index))
      )
    }
    if case .interval(let milliseconds) = options.sync { scheduleSync(afterMilliseconds: milliseconds) }
    let outcomes = await apply(batches)
    for (item, applied) in zip(accepted, outcomes) {
      var outcome = applied
      outcome.versions = item.write.operations.map(\.version)
      item.write.continuation.resume(returning: .success(outcome))
    }
  }

  /// Syncs the log once, a while after the first write that is not durable yet.
  private func scheduleSync(afterMilliseconds milliseconds: Int) {
    let starts = status.withLock { status in
      defer { status.isSyncScheduled = true }
      return !status.isSyncScheduled
    }
    if starts { Task(executorPreference: executor) { await self.syncLater(milliseconds) } }
  }

  private func syncLater(_ milliseconds: Int) async {
    try? await runtime.clock.sleep(nanos: UInt64(milliseconds) * 1_000_000)
    await writeLock.acquire()
    status.withLock { $0.isSyncScheduled = false }
    // A failure makes the log refuse every later write, which is how callers learn of it.
    if !status.withLock({ $0.isClosed }) { try? await writer.log.sync() }
    writeLock.release()
  }

  // MARK: room

  /// Seals the memtable when the writes do not fit. Called and returning with the write lock held;
  /// gives it away while it waits for a flush.
  private func makeRoom(rows: Int, entryBytes: Int) async throws(RoostError) {
    while !published.withLock({ $0.active }).fits(rows: rows, entryBytes: entryBytes) {
      if published.withLock({ $0.sealed.count }) < Self.sealedMemtablesMax {
        try await rotate(minimumRows: rows, minimumEntryBytes: entryBytes)
        startMaintenance()
        return
      }
      let seen = flushSignal.count
      // After `seen`: `close` fires the signal once it has said that it closes.
      try requireOpen()
      startMaintenance()
      writeLock.release()
      await flushSignal.wait(past: seen)
      await writeLock.acquire()
      try requireOpen()
      let isFull = published.withLock { $0.sealed.count } >= Self.sealedMemtablesMax
      if isFull, let failure = status.withLock({ $0.maintenanceFailure }) {
        throw RoostError(
          failure.kind, "writes wait for a flush that fails: \(failure.message)", at: failure.place,
          remedy: failure.remedy)
      }
    }
  }

  /// Seals the active memtable and starts an empty one with a WAL of its own.
  func rotate(minimumRows: Int = 0, minimumEntryBytes: Int = 0) async throws(RoostError) {
    try await writer.log.sync()
    let number = writer.takeFileNumber()
    var options = options
    options.memtableRows = max(options.memtableRows, minimumRows)
    options.memtableEntryBytes = max(options.memtableEntryBytes, minimumEntryBytes)
    let memtable = try Memtable(number: number, schema: schema, options: options)
    let log = try await createLog(number)
    let old = writer.log
    writer.log = log
    published.withLock { state in
      state.sealed.append(state.active)
      state.active = memtable
      state.activeRows = 0
    }
    await old.close()
  }

  private func createLog(_ number: UInt64) async throws(RoostError) -> LogWriter {
    let (file, files) = (path + "/" + FileName.wal(number), runtime.files)
    do throws(RoostError) {
      let log = try await LogWriter.create(file, kind: .wal, number: number, files: files)
      do throws(RoostError) { try await files.syncDirectory(path) } catch {
        await log.close()
        throw error
      }
      return log
    } catch {
      // To recovery, a log that is there says that the one before it is complete. As writes go on in that
      // one, this one must be gone for good.
      do throws(RoostError) {
        if try await files.exists(file) { try await files.remove(file) }
        try await files.syncDirectory(path)
      } catch let second { writer.log.refuseWrites(after: second) }
      throw error
    }
  }
}
