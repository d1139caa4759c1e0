// Creating, opening and recovering a collection: manifest → segments → WALs, in that order. Nothing is
// guessed: what is not exactly as a crash would leave it is an error that names file and offset.

import Core

/// What opening a collection found.
public struct RecoveryReport: Sendable, Equatable {
  /// Whether the collection had been closed in good order.
  public var wasClean = true
  /// Calls that were read back from WALs.
  public var replayedBatches = 0
  /// Bytes of unacknowledged writes that a crash had left behind, now cut off.
  public var tornBytes: UInt64 = 0
  /// Files of unfinished flushes and compactions that were removed.
  public var removedFiles: [String] = []
}

extension Collection {
  static let lockName = "LOCK"

  /// Whether `path` holds a collection that was created completely.
  public static func exists(_ path: String, files: any FileSystem) async throws(RoostError) -> Bool {
    try await files.exists(path + "/" + Manifest.currentName)
  }

  /// Creates an empty collection in a folder of its own; what an unfinished creation left there is removed.
  /// - Throws: `.alreadyExists`, or `.invalidArgument` when the schema is not valid.
  public static func create(
    _ path: String, schema: CollectionSchema, options: StorageOptions = StorageOptions(), runtime: Runtime
  ) async throws(RoostError) -> Collection {
    try schema.validate()
    let files = runtime.files
    try await files.makeDirectory(path)
    let lock = try await files.lock(path + "/" + lockName)
    guard try await !exists(path, files: files) else {
      throw RoostError(.alreadyExists, "there is a collection already", at: path)
    }
    try await requireUnfinished(path, files: files)
    for name in try await files.list(path) where name != lockName {
      guard isOurs(name) else {
        throw RoostError(
          .alreadyExists, "the folder holds other files, such as '\(name)'", at: path,
          remedy: "use an empty folder")
      }
      try await files.remove(path + "/" + name)
    }
    let log = try await LogWriter.create(path + "/" + FileName.wal(2), kind: .wal, number: 2, files: files)
    let state = ManifestState(
      schema: schema, nextFileNumber: 3, walFloor: 2, flushedSequence: 0, lastVersion: .zero)
    let manifest = try await Manifest.create(path, number: 1, state: state, files: files)
    if let parent = parentDirectory(path) { try await files.syncDirectory(parent) }
    let memtable = try Memtable(number: 2, schema: schema, options: options)
    return Collection(
      path: path, schema: schema, options: options, runtime: runtime,
      memory: try CollectionMemory(totalBytes: options.memoryBytes, schema: schema),
      clock: HybridClock(clock: runtime.clock, node: 0),
      writer: WriteSide(manifest: manifest, log: log, nextFileNumber: 3),
      published: Published(
        sequence: 0, liveCount: 0, active: memtable, activeRows: 0, sealed: [], segments: []),
      folderLock: lock, recovery: RecoveryReport())
  }

  /// Opens a collection and recovers what was acknowledged before.
  /// - Throws: `.notFound`; `.locked` when another process has it open; `.corrupted` naming file and
  ///   offset; `.unsupportedVersion` for a newer format.
  public static func open(
    _ path: String, options: StorageOptions = StorageOptions(), runtime: Runtime
  ) async throws(RoostError) -> Collection {
    let files = runtime.files
    guard try await exists(path, files: files) else {
      throw RoostError(
        .notFound, "there is no collection here", at: path, remedy: "create it first, or check the path")
    }
    let lock = try await files.lock(path + "/" + lockName)
    let clean = try await CleanMarker.read(directory: path, files: files)
    let loaded = try await Manifest.load(path, clean: clean, files: files)
    var report = RecoveryReport()
    report.wasClean = clean != nil
    report.tornBytes = loaded.outcome.tornBytes
    let memory = try CollectionMemory(totalBytes: options.memoryBytes, schema: loaded.state.schema)
    let segments = try await openSegments(path, loaded.state, memory: memory, files: files)
    let (logs, unneeded, lastNumber) = try await sortFiles(path, loaded, clean: clean, files: files)
    let manifest: Manifest
    if clean != nil {
      try await files.remove(path + "/" + CleanMarker.fileName)
      try await files.syncDirectory(path)
      manifest = try await Manifest.reopen(path, loaded, files: files)
    } else {
      // Whoever had it open may have met a failed sync, after which the kernel shows data that is not on the
      // disk and never will be. So what an unclean end has left is written anew rather than appended to.
      manifest = try await Manifest.rewrite(path, loaded, number: lastNumber + 1, files: files)
      if let last = logs.last {
        try await LogWriter.rewrite(path + "/" + FileName.wal(last), directory: path, files: files)
      }
    }
    // Not before the manifest is known to be on disk: the one that was read may have been in memory only, and
    // the one on disk may still need these files.
    for name in unneeded where try await files.exists(path + "/" + name) {
      try await files.remove(path + "/" + name)
      report.removedFiles.append(name)
    }
    return try await replay(
      logs, path: path, options: options, runtime: runtime, manifest: manifest, segments: segments,
      memory: memory, clean: clean,
      lock: lock, report: report)
  }

  /// Marks a folder whose collection is being removed.
  private static let droppedName = "DROPPED"

  /// Makes sure that a folder without CURRENT is the rest of a creation or of a removal, rather than a
  /// collection that has lost it.
  /// - Throws: `.corrupted` when there are files that may hold records.
  public static func requireUnfinished(_ path: String, files: any FileSystem) async throws(RoostError) {
    if try await files.exists(path + "/" + droppedName) { return }
    for name in try await files.list(path) {
      switch FileName(name) {
      case .segment: break
      case .wal:
        let file = try await files.open(path + "/" + name, [.read])
        let size = try await file.size()
        await file.close()
        if size <= UInt64(LogFormat.headerBytes) { continue }
      case .manifest, nil: continue
      }
      throw .corrupted("CURRENT is missing, but \(name) may hold records", file: path, offset: 0)
    }
  }

  /// Removes a collection for good. It must not be open.
  public static func destroy(_ path: String, files: any FileSystem) async throws(RoostError) {
    let (current, dropped) = (path + "/" + Manifest.currentName, path + "/" + droppedName)
    // From the rename on, what a crash leaves is known to be on its way out, down to the mark itself.
    if try await files.exists(current) {
      try await files.rename(current, to: dropped)
      try await files.syncDirectory(path)
    }
    for name in try await files.list(path) where name != droppedName {
      try await files.remove(path + "/" + name)
    }
    if try await files.exists(dropped) {
      try await files.syncDirectory(path)
      try await files.remove(dropped)
    }
    try await files.removeDirectory(path)
    if let parent = parentDirectory(path) { try await files.syncDirectory(parent) }
  }

  static func parentDirectory(_ path: String) -> String? {
    guard let slash = path.lastIndex(of: "/") else { return "." }
    return slash == path.startIndex ? "/" : String(path[..<slash])
  }

  private static func isOurs(_ name: String) -> Bool {
    FileName(name) != nil || name.hasSuffix(".tmp") || name == CleanMarker.fileName || name == droppedName
  }

  private static func openSegments(
    _ path: String, _ state: ManifestState, memory: CollectionMemory, files: any FileSystem
  ) async throws(RoostError) -> [Segment] {
    var segments: [Segment] = []
    var sizes: [UInt64: Int] = [:]
    for number in state.segments.keys {
      sizes[number] = try await fileBytes(path + "/" + FileName.segment(number), files)
    }
    let mapped = memory.mapped(sizes)
    for (number, deadRows) in state.segments.sorted(by: { $0.key < $1.key }) {
      let segment = try await Segment.open(
        path + "/" + FileName.segment(number), number: number, schema: state.schema,
        mapped: mapped.contains(number), memory: memory, files: files)
      for row in deadRows {
        guard Int(row) < segment.rowCount else {
          throw .corrupted(
            "the manifest marks row \(row) of segment \(number), which has \(segment.rowCount)", file: path,
            offset: 0)
        }
        // Dead before anything that is still to come: no snapshot can be older than the opening.
        segment.kill(row: row, at: 1, persisted: true)
      }
      segments.append(segment)
    }
    return segments
  }

  /// Opens a segment that has just been written, in place when it fits beside what `others` use.
  static func openSegment(
    _ path: String, number: UInt64, schema: CollectionSchema, others: [Segment], memory: CollectionMemory,
    files: any FileSystem
  ) async throws(RoostError) -> Segment {
    let file = path + "/" + FileName.segment(number)
    let bytes = try await fileBytes(file, files)
    return try await Segment.open(
      file, number: number, schema: schema, mapped: memory.fits(bytes, beside: others), memory: memory,
      files: files)
  }

  static func fileBytes(_ path: String, _ files: any FileSystem) async throws(RoostError) -> Int {
    let file = try await files.open(path, [.read])
    let result: Result<UInt64, RoostError>
    do throws(RoostError) { result = .success(try await file.size()) } catch { result = .failure(error) }
    await file.close()
    return Int(try result.get())
  }

  /// Finds the WALs to replay, what no manifest mentions, and the highest file number.
  private static func sortFiles(
    _ path: String, _ loaded: Manifest.Loaded, clean: CleanMarker?, files: any FileSystem
  ) async throws(RoostError) -> (logs: [UInt64], unneeded: [String], lastNumber: UInt64) {
    var logs: [UInt64] = []
    var unneeded: [String] = []
    var lastNumber = loaded.state.nextFileNumber
    for name in try await files.list(path) {
      let isNeeded: Bool
      lastNumber = max(lastNumber, FileName(name)?.number ?? 0)
      switch FileName(name) {
      case .manifest(let number): isNeeded = number == loaded.number
      case .segment(let number): isNeeded = loaded.state.segments[number] != nil
      case .wal(let number):
        isNeeded = try await holdsWrites(path, number, loaded, clean: clean, files: files)
        if isNeeded { logs.append(number) }
      case nil: isNeeded = !name.hasSuffix(".tmp")
      }
      if !isNeeded { unneeded.append(name) }
    }
    logs.sort()
    try checkLogs(logs, path, loaded, clean: clean)
    return (logs, unneeded, lastNumber)
  }

  /// Throws when a WAL that must be there is missing.
  static func checkLogs(
    _ logs: [UInt64], _ path: String, _ loaded: Manifest.Loaded, clean: CleanMarker?
  ) throws(RoostError) {
    guard let clean else {
      // It was durable before any manifest named it.
      guard logs.first == loaded.state.walFloor else {
        throw .corrupted(
          "the oldest WAL that is needed is missing or has no header",
          file: path + "/" + FileName.wal(loaded.state.walFloor), offset: 0)
      }
      return
    }
    let expected = clean.logs.keys.filter { $0 != loaded.number }.sorted()
    guard expected == logs else {
      throw RoostError(
        .corrupted, "WALs \(logs) are here, the clean close left \(expected)", at: path,
        remedy: "restore this collection from a backup")
    }
  }

  /// Whether a WAL may hold writes that are in no segment.
  static func holdsWrites(
    _ path: String, _ number: UInt64, _ loaded: Manifest.Loaded, clean: CleanMarker?, files: any FileSystem
  ) async throws(RoostError) -> Bool {
    guard number >= loaded.state.walFloor else { return false }
    // A clean close lists every WAL in use; others are creations that failed.
    if let clean { return clean.logs[number] != nil }
    return try await !LogReader.isUnfinishedCreation(
      path + "/" + FileName.wal(number), kind: .wal, number: number, files: files)
  }
}
