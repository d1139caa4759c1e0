// The manifest: a log of version edits, and CURRENT, which names the manifest that counts.
// The scheme is LevelDB's: an edit is durable before anyone acts on it.

import Core

/// The writing end. Safety of `@unchecked Sendable`: used only under the collection's write lock.
final class Manifest: @unchecked Sendable {
  static let currentName = "CURRENT"
  private static let currentTitle = "roost-current 1"
  /// A manifest is rewritten as a snapshot when it has grown past this and four times its snapshot.
  private static let rewriteBytes: UInt64 = 1 << 20

  let directory: String
  private let files: any FileSystem
  private(set) var state: ManifestState
  private var log: LogWriter
  private var sequence: UInt64
  private var snapshotBytes: UInt64
  private var failure: RoostError?

  private init(
    directory: String, files: any FileSystem, state: ManifestState, log: LogWriter, sequence: UInt64,
    snapshotBytes: UInt64
  ) {
    self.directory = directory
    self.files = files
    self.state = state
    self.log = log
    self.sequence = sequence
    self.snapshotBytes = snapshotBytes
  }

  var number: UInt64 { log.number }
  var length: UInt64 { log.length }
  var path: String { log.path }
  /// Whether the file is known to hold just what `state` says.
  var isHealthy: Bool { failure == nil && log.failure == nil }

  /// Writes a new manifest that begins with a snapshot of `state`, and makes it current.
  static func create(
    _ directory: String, number: UInt64, state: ManifestState, files: any FileSystem
  ) async throws(RoostError) -> Manifest {
    let log = try await writeSnapshot(directory, number: number, state: state, files: files)
    try await makeCurrent(directory, number: number, files: files)
    return Manifest(
      directory: directory, files: files, state: state, log: log, sequence: 1, snapshotBytes: log.length)
  }

  /// Appends an edit and returns once it is durable.
  func apply(_ edit: VersionEdit) async throws(RoostError) {
    if let failure { throw failure }
    var next = state
    try edit.apply(to: &next)
    var writer = ByteWriter()
    LogFormat.encodeFrame(
      ManifestRecord.edit(edit).encoded(), sequence: sequence + 1, syncedThrough: log.syncedThrough,
      into: &writer)
    try await log.append(writer.bytes)
    try await log.sync()
    sequence += 1
    state = next
    if log.length > Self.rewriteBytes, log.length > 4 * snapshotBytes { await rewrite() }
  }

  func close() async { await log.close() }

  /// Starts a new file with a snapshot. The edit that led here is durable already, so a failure before
  /// CURRENT is touched is harmless; after that it is unknown which file counts, and no edit may follow.
  private func rewrite() async {
    let next = state.nextFileNumber
    state.nextFileNumber += 1
    let fresh: LogWriter
    do throws(RoostError) {
      fresh = try await Self.writeSnapshot(directory, number: next, state: state, files: files)
    } catch {
      try? await files.remove(directory + "/" + FileName.manifest(next))
      return
    }
    do throws(RoostError) { try await Self.makeCurrent(directory, number: next, files: files) } catch {
      failure = RoostError(
        .readOnly, "the manifest could not be switched: \(error.message)", at: directory,
        remedy: "mend the disk and restart the node")
      await fresh.close()
      return
    }
    let old = log
    log = fresh
    sequence = 1
    snapshotBytes = fresh.length
    await old.close()
    try? await files.remove(old.path)  // an orphan is removed at the next opening
  }

  private static func makeCurrent(_ directory: String, number: UInt64, files: any FileSystem)
    async throws(RoostError)
  {
    try await SmallFile.write(
      directory + "/" + currentName, title: currentTitle, lines: [FileName.manifest(number)],
      directory: directory, files: files)
  }

  private static func writeSnapshot(
    _ directory: String, number: UInt64, state: ManifestState, files: any FileSystem
  ) async throws(RoostError) -> LogWriter {
    let log = try await LogWriter.create(
      directory + "/" + FileName.manifest(number), kind: .manifest, number: number, files: files)
    var writer = ByteWriter()
    LogFormat.encodeFrame(
      ManifestRecord.snapshot(state).encoded(), sequence: 1, syncedThrough: log.syncedThrough, into: &writer)
    try await log.append(writer.bytes)
    try await log.sync()
    try await files.syncDirectory(directory)
    return log
  }

  // MARK: reading

  struct Loaded {
    var number: UInt64
    var path: String
    var state: ManifestState
    var sequence: UInt64
    var outcome: LogReader.Outcome
  }

  /// Reads CURRENT and the manifest that it names; changes nothing.
  static func load(_ directory: String, clean: CleanMarker?, files: any FileSystem) async throws(RoostError)
    -> Loaded
  {
    let current = directory + "/" + currentName
    let lines = try await SmallFile.read(current, title: currentTitle, files: files)
    guard lines.count == 1, case .manifest(let number) = FileName(lines[0]) else {
      throw .corrupted("CURRENT names no manifest", file: current, offset: 0)
    }
    let path = directory + "/" + lines[0]
    var exactLength: UInt64?
    if let clean {
      guard let length = clean.logs[number] else {
        throw .corrupted(
          "CLEAN does not list \(lines[0])", file: directory + "/" + CleanMarker.fileName, offset: 0)
      }
      exactLength = length
    }
    var state: ManifestState?
    var sequence: UInt64 = 0
    let outcome = try await LogReader.read(
      path, kind: .manifest, number: number, exactLength: exactLength, files: files
    ) { (frame) throws(RoostError) in
      switch try ManifestRecord(decoding: frame.body) {
      case .snapshot(let snapshot):
        guard state == nil else { throw RoostError(.corrupted, "a second snapshot") }
        state = snapshot
      case .edit(let edit):
        guard var next = state else { throw RoostError(.corrupted, "an edit before the snapshot") }
        try edit.apply(to: &next)
        state = next
      }
      sequence = frame.sequence
    }
    guard let state else {
      throw .corrupted("the manifest holds no snapshot", file: path, offset: outcome.length)
    }
    return Loaded(number: number, path: path, state: state, sequence: sequence, outcome: outcome)
  }

  /// Goes on in a new file after `load`, so that nothing depends on the old one.
  static func rewrite(
    _ directory: String, _ loaded: Loaded, number: UInt64, files: any FileSystem
  ) async throws(RoostError) -> Manifest {
    var state = loaded.state
    state.nextFileNumber = max(state.nextFileNumber, number + 1)
    let manifest = try await create(directory, number: number, state: state, files: files)
    try await files.remove(loaded.path)
    return manifest
  }

  /// Goes on writing after `load`.
  static func reopen(
    _ directory: String, _ loaded: Loaded, files: any FileSystem
  ) async throws(RoostError) -> Manifest {
    let log = try await LogWriter.reopen(
      loaded.path, number: loaded.number, length: loaded.outcome.length, files: files)
    return Manifest(
      directory: directory, files: files, state: loaded.state, log: log, sequence: loaded.sequence,
      snapshotBytes: log.length)
  }
}
