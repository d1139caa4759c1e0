// Appends frames to a log file. One task at a time; what it must never do is go on after the state
// of the file has become unknown.

import Core

/// The writing end of a WAL or manifest.
///
/// A failed sync leaves unknown what is on disk (the kernel may have dropped the dirty pages), so the
/// writer refuses everything after it. A failed write is cut off, durably, and the writer goes on, which
/// is how a full disk heals once there is space again; if it cannot be cut off, the writer refuses as well.
///
/// Safety of `@unchecked Sendable`: confined to the commit loop of its owner, one call at a time.
final class LogWriter: @unchecked Sendable {
  let path: String
  let number: UInt64
  private let file: any File
  /// Bytes of the file that hold good frames.
  private(set) var length: UInt64
  /// How much of `length` is known to be durable.
  private(set) var syncedThrough: UInt64
  private(set) var failure: RoostError?

  private init(path: String, number: UInt64, file: any File, length: UInt64) {
    self.path = path
    self.number = number
    self.file = file
    self.length = length
    syncedThrough = length
  }

  /// Creates the file with its header, durable once the caller has synced the folder.
  static func create(
    _ path: String, kind: LogFormat.Kind, number: UInt64, files: any FileSystem
  ) async throws(RoostError) -> LogWriter {
    let file = try await files.open(path, [.write, .create, .truncate])
    let header = IOBuffer(LogFormat.encodeHeader(kind: kind, number: number))
    do throws(RoostError) {
      try await file.write(header, range: 0..<header.count, at: 0)
      try await file.sync()
    } catch {
      await file.close()
      try? await files.remove(path)  // recovery knows an unfinished creation when it meets one
      throw error
    }
    return LogWriter(path: path, number: number, file: file, length: UInt64(header.count))
  }

  /// Goes on after the last good frame of an existing log; what follows it is cut off.
  static func reopen(
    _ path: String, number: UInt64, length: UInt64, files: any FileSystem
  ) async throws(RoostError) -> LogWriter {
    let file = try await files.open(path, [.read, .write])
    if try await file.size() != length { try await file.truncate(to: length) }
    try await file.sync()
    return LogWriter(path: path, number: number, file: file, length: length)
  }

  /// Replaces a log by a copy of itself that is known to be durable.
  static func rewrite(_ path: String, directory: String, files: any FileSystem) async throws(RoostError) {
    let temporary = path + ".tmp"
    try await FileCopy.copy(path, to: temporary, files: files)
    try await files.rename(temporary, to: path)
    try await files.syncDirectory(directory)
  }

  /// Writes encoded frames (`LogFormat.encodeFrame`) at the end of the file.
  func append(_ frames: [UInt8]) async throws(RoostError) {
    if let failure { throw failure }
    let buffer = IOBuffer(frames)
    do throws(RoostError) {
      try await file.write(buffer, range: 0..<buffer.count, at: length)
    } catch {
      // Were the cut not durable, a power loss could bring back a frame that its caller was told has failed.
      do throws(RoostError) {
        try await file.truncate(to: length)
        try await file.sync()
      } catch let second {
        failure = refusal(after: second)
      }
      throw error
    }
    length += UInt64(buffer.count)
  }

  /// Returns once every appended frame is durable.
  func sync() async throws(RoostError) {
    if let failure { throw failure }
    let target = length
    do throws(RoostError) { try await file.sync() } catch {
      failure = refusal(after: error)
      throw error
    }
    syncedThrough = target
  }

  /// Refuses all further writes, as after a failed sync.
  func refuseWrites(after error: RoostError) { failure = failure ?? refusal(after: error) }

  func close() async { await file.close() }

  private func refusal(after error: RoostError) -> RoostError {
    RoostError(
      .readOnly, "the log takes no more writes since an earlier failure: \(error.message)", at: path,
      remedy: "mend the disk and restart the node; everything acknowledged before is safe")
  }
}
