// A collection: the whole storage engine behind one face. Writes go through one commit loop
// (`CollectionCommit.swift`); reads take a snapshot and never wait for writers.

import Core
import Synchronization

/// A durable, searchable set of records, in a folder of its own.
///
/// Safe to use from any number of tasks. Every acknowledged write is durable as `SyncPolicy` says and
/// visible to every query that starts after the acknowledgement.
public final class Collection: Sendable {
  public let path: String
  public let schema: CollectionSchema
  public let options: StorageOptions
  let runtime: Runtime
  let memory: CollectionMemory
  let clock: HybridClock
  /// Held while the set of files or the newest memtable changes.
  let writeLock = AsyncLock()
  /// Held by whoever flushes or compacts.
  let maintenanceLock = AsyncLock()
  let flushSignal = AsyncSignal()
  /// Searches and other reads at work.
  let readers = UserCount()
  let writer: WriteSide
  let published: Mutex<Published>
  let commits = Mutex(CommitQueue())
  let status: Mutex<Status>
  let searchLoad = SearchLoad()

  /// What readers see; replaced as a whole at the end of each commit, flush and compaction.
  struct Published: Sendable {
    var sequence: UInt64
    var liveCount: Int
    var active: Memtable
    var activeRows: Int
    /// Oldest first.
    var sealed: [Memtable]
    /// Oldest first.
    var segments: [Segment]
  }

  /// State of the writing side. Safety of `@unchecked Sendable`: used only while `writeLock` is held.
  final class WriteSide: @unchecked Sendable {
    var manifest: Manifest
    var log: LogWriter
    var nextFileNumber: UInt64
    /// The last call of which a tombstone refused something. Until it is flushed it may be replayed, and must
    /// meet the tombstone again.
    var refusedSequence: UInt64 = 0

    init(manifest: Manifest, log: LogWriter, nextFileNumber: UInt64) {
      self.manifest = manifest
      self.log = log
      self.nextFileNumber = nextFileNumber
    }

    func takeFileNumber() -> UInt64 {
      defer { nextFileNumber += 1 }
      return nextFileNumber
    }
  }

  struct Status: Sendable {
    var isClosed = false
    var isMaintaining = false
    /// The flush or merge that is going on.
    var work: WorkControl?
    /// How far a check is that somebody makes of this collection.
    var check: MaintenanceProgress?
    /// What the last flush or merge took.
    var lastWork = WorkMemory.Usage()
    /// Whether a task will sync the log soon (`SyncPolicy.interval`).
    var isSyncScheduled = false
    /// Why the last flush or compaction failed, until one succeeds.
    var maintenanceFailure: RoostError?
    var flushes = 0
    var compactions = 0
    var recovery = RecoveryReport()
    /// Keeps others out of the folder until the collection is closed.
    var folderLock: (any FileLock)?
  }

  init(
    path: String, schema: CollectionSchema, options: StorageOptions, runtime: Runtime,
    memory: CollectionMemory, clock: HybridClock, writer: WriteSide, published: Published,
    folderLock: any FileLock, recovery: RecoveryReport
  ) {
    self.path = path
    self.schema = schema
    self.options = options
    self.runtime = runtime
    self.memory = memory
    self.clock = clock
    self.writer = writer
    self.published = Mutex(published)
    memory.balance(published.segments)
    status = Mutex(Status(recovery: recovery, folderLock: folderLock))
  }

  var executor: any TaskExecutor { runtime.executors[0] }

  /// The snapshot of everything acknowledged so far.
  func snapshot() -> Snapshot {
    published.withLock { state in
      var sources: [RowSource] = [.memtable(state.active, rows: state.activeRows)]
      for memtable in state.sealed.reversed() { sources.append(.memtable(memtable, rows: memtable.rowCount)) }
      for segment in state.segments.reversed() { sources.append(.segment(segment)) }
      return Snapshot(sequence: state.sequence, sources: sources, liveCount: state.liveCount)
    }
  }

  /// Begins a read, which `close` waits for; `readers.leave()` must follow.
  func beginReading() throws(RoostError) {
    guard readers.enter() else { throw RoostError(.unavailable, "the collection is closed", at: path) }
  }

  func requireOpen() throws(RoostError) {
    if status.withLock({ $0.isClosed }) {
      throw RoostError(.unavailable, "the collection is closed", at: path)
    }
  }

  /// Waits for running writes and searches, stops maintenance, makes everything durable and marks the folder as
  /// cleanly closed, unless an earlier failure of the disk has left a log in doubt. Later calls throw
  /// `.unavailable`. Safe to call twice.
  public func close() async throws(RoostError) {
    let wasClosed = status.withLock { status in
      defer { status.isClosed = true }
      status.work?.stop()
      return status.isClosed
    }
    if wasClosed { return }
    flushSignal.fire()  // writes that wait for room give up
    await readers.drain()
    await maintenanceLock.acquire()
    await writeLock.acquire()
    defer {
      writeLock.release()
      maintenanceLock.release()
    }
    do throws(RoostError) { try await markClean() } catch {
      await release()
      throw error
    }
    await release()
  }

  private func markClean() async throws(RoostError) {
    try await writer.log.sync()
    // What a failed manifest holds is not what is in memory; only a recovery can tell.
    guard writer.manifest.isHealthy else { return }
    var logs = [writer.manifest.number: writer.manifest.length, writer.log.number: writer.log.length]
    for memtable in published.withLock({ $0.sealed }) {
      let file = try await runtime.files.open(path + "/" + FileName.wal(memtable.number), [.read])
      logs[memtable.number] = try await file.size()
      await file.close()
    }
    try await CleanMarker(logs: logs).write(directory: path, files: runtime.files)
  }

  private func release() async {
    await writer.log.close()
    await writer.manifest.close()
    for segment in published.withLock({ $0.segments }) { await segment.file.file.close() }
    status.withLock { $0.folderLock = nil }
  }
}

/// Numbers about an open collection.
public struct CollectionStats: Sendable, Equatable {
  public var liveRecords = 0
  /// Rows that were overwritten or deleted and await compaction.
  public var deadRows = 0
  /// Deletes that are remembered, so that older writes lose against them.
  public var tombstones = 0
  public var memtableRows = 0
  public var sealedMemtables = 0
  public var segments = 0
  public var segmentBytes: UInt64 = 0
  public var walBytes: UInt64 = 0
  /// Memory that the collection holds itself, without mapped pages.
  public var heapBytes = 0
  /// Pages that were read from disk and are kept in memory.
  public var pageCache = PageCacheStats()
  /// Whether every segment is used in place from the mapping.
  public var isResident = true
  public var sequence: UInt64 = 0
  public var flushes = 0
  public var compactions = 0
  /// The flush, merge or check that is going on.
  public var maintenance: MaintenanceProgress?
  /// The failure of background work that is still unresolved.
  public var maintenanceFailure: RoostError?
  public var recovery = RecoveryReport()
}

extension Collection {
  public func stats() async -> CollectionStats {
    let state = published.withLock { $0 }
    var stats = CollectionStats()
    stats.liveRecords = state.liveCount
    stats.memtableRows = state.activeRows + state.sealed.reduce(0) { $0 + $1.rowCount }
    stats.sealedMemtables = state.sealed.count
    stats.segments = state.segments.count
    stats.tombstones =
      state.active.tombstoneCount + state.sealed.reduce(0) { $0 + $1.tombstoneCount }
      + state.segments.reduce(0) { $0 + $1.tombstoneCount }
    stats.segmentBytes = state.segments.reduce(0) { $0 + $1.fileBytes }
    stats.deadRows = stats.memtableRows + state.segments.reduce(0) { $0 + $1.rowCount } - state.liveCount
    stats.heapBytes =
      state.active.memoryBytes + state.sealed.reduce(0) { $0 + $1.memoryBytes }
      + state.segments.reduce(0) { $0 + $1.heapBytes }
    stats.pageCache = memory.pages.stats
    stats.heapBytes += stats.pageCache.usedBytes
    stats.isResident = state.segments.allSatisfy { $0.file.isMapped }
    stats.sequence = state.sequence
    status.withLock { status in
      stats.flushes = status.flushes
      stats.compactions = status.compactions
      stats.maintenance = status.work?.progress ?? status.check
      stats.maintenanceFailure = status.maintenanceFailure
      stats.recovery = status.recovery
    }
    await writeLock.acquire()
    stats.walBytes = writer.log.length
    writeLock.release()
    return stats
  }
}
