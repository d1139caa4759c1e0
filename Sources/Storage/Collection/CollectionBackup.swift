// Backup by hard links, and restore that trusts nothing it has not checked.

import Core

extension Collection {
  /// Writes a consistent copy of the collection into a new folder: hard links to the segments and a
  /// manifest of its own. It holds every write acknowledged before the call, and takes no space of its own
  /// until segments are compacted away here.
  /// - Parameter directory: on the same file system; must not exist or be empty.
  public func backup(to directory: String) async throws(RoostError) {
    try requireOpen()
    let files = runtime.files
    try await files.makeDirectory(directory)
    guard try await files.list(directory).isEmpty else {
      throw RoostError(.alreadyExists, "the folder is not empty", at: directory, remedy: "name a new folder")
    }
    try await flush()
    await maintenanceLock.acquire()
    defer { maintenanceLock.release() }
    await writeLock.acquire()
    let flushed = writer.manifest.state.flushedSequence
    var state = writer.manifest.state
    let segments = published.withLock { $0.segments }
    for segment in segments {
      state.segments[segment.number] = (0..<segment.rowCount).compactMap { row in
        let death = segment.deadAt.load(row)
        return death != 0 && death <= flushed ? UInt32(row) : nil
      }
    }
    writeLock.release()
    for segment in segments {
      try await files.link(segment.file.path, to: directory + "/" + FileName.segment(segment.number))
    }
    try await Self.writeFreshManifest(directory, state: state, files: files)
  }

  /// A manifest with an empty WAL, marked as cleanly closed.
  private static func writeFreshManifest(
    _ directory: String, state: ManifestState, files: any FileSystem
  ) async throws(RoostError) {
    var state = state
    let (logNumber, manifestNumber) = (state.nextFileNumber, state.nextFileNumber + 1)
    state.nextFileNumber += 2
    state.walFloor = logNumber
    let log = try await LogWriter.create(
      directory + "/" + FileName.wal(logNumber), kind: .wal, number: logNumber, files: files)
    let manifest = try await Manifest.create(directory, number: manifestNumber, state: state, files: files)
    try await CleanMarker(logs: [logNumber: log.length, manifestNumber: manifest.length])
      .write(directory: directory, files: files)
    await log.close()
    await manifest.close()
    if let parent = parentDirectory(directory) { try await files.syncDirectory(parent) }
  }

  /// Copies a backup into a new folder, after every checksum of it has been verified.
  /// - Throws: `.corrupted` naming file and offset; then nothing is left at `directory`.
  public static func restore(from backup: String, to directory: String, runtime: Runtime)
    async throws(RoostError)
  {
    let files = runtime.files
    let report = try await verify(backup, runtime: runtime)
    if let problem = report.problems.first { throw problem }
    if try await files.exists(directory), try await !files.list(directory).isEmpty {
      throw RoostError(.alreadyExists, "the folder is not empty", at: directory, remedy: "name a new folder")
    }
    try await files.makeDirectory(directory)
    do throws(RoostError) {
      // CURRENT last: until it is there, the folder is no collection.
      let names = try await files.list(backup).filter { $0 != lockName && $0 != Manifest.currentName }
      for name in names + [Manifest.currentName] {
        try await FileCopy.copy(backup + "/" + name, to: directory + "/" + name, files: files)
      }
      try await files.syncDirectory(directory)
      if let parent = parentDirectory(directory) { try await files.syncDirectory(parent) }
      let copied = try await verify(directory, runtime: runtime)
      if let problem = copied.problems.first { throw problem }
    } catch {
      try? await destroy(directory, files: files)
      throw error
    }
  }
}
