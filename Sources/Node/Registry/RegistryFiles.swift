// The files of the registry: contents named by their digests, and one table that names them. A content is
// durable before the table that mentions it, so a crash leaves at most a file that nobody names.

import Core

struct RegistryFiles: Sendable {
  let path: String
  let files: any FileSystem

  private static let tableName = "REGISTRY"
  private static let suffix = ".wasm"
  private static let temporarySuffix = ".tmp"

  private func contentPath(_ digest: Digest) -> String { "\(path)/\(digest.text)\(RegistryFiles.suffix)" }

  // MARK: The table

  /// The table as it was saved last; an empty one at first.
  func load() async throws(RoostError) -> RegistryTable {
    let path = path + "/" + RegistryFiles.tableName
    guard try await files.exists(path) else { return RegistryTable() }
    let bytes = try await FileBytes.read(path, atMost: RegistryTable.fileBytesMax, files: files)
    return try RegistryTable(decoding: bytes, file: path)
  }

  /// Durable when this returns; after a failure either table may be what `load` finds.
  func save(_ table: RegistryTable) async throws(RoostError) {
    let bytes = table.encoded()
    guard bytes.count <= RegistryTable.fileBytesMax else {
      throw RoostError(
        .limitExceeded,
        "the registry would have \(bytes.count) bytes, the limit is "
          + "\(RegistryTable.fileBytesMax)", at: "modules", remedy: "delete modules that nobody uses")
    }
    try await FileBytes.replace(path + "/" + RegistryFiles.tableName, with: bytes, in: path, files: files)
  }

  // MARK: Contents

  /// Stores a module under its digest; one that is there is written anew, as it may be damaged.
  func store(_ bytes: [UInt8], as digest: Digest) async throws(RoostError) {
    try await FileBytes.replace(contentPath(digest), with: bytes, in: path, files: files)
  }

  /// Reads a module back. Throws `.corrupted` when it is not what was stored.
  func read(
    _ digest: Digest, byteCount: UInt64, workers: any Workers
  ) async throws(RoostError) -> [UInt8] {
    let path = contentPath(digest)
    func damaged(_ message: String) -> RoostError {
      RoostError(.corrupted, message, at: path, remedy: "publish the module again")
    }
    guard try await files.exists(path) else { throw damaged("the module's file is missing") }
    let bytes = try await FileBytes.read(path, atMost: Limits.moduleBytesMax, files: files)
    guard bytes.count == byteCount else { throw damaged("the module does not have \(byteCount) bytes") }
    guard await workers.run({ Digest(of: bytes) }) == digest else {
      throw damaged("the module's bytes are not those that were published")
    }
    return bytes
  }

  /// Removes contents that no version has, and what a crash has left.
  func sweep(keeping digests: Set<Digest>) async throws(RoostError) {
    let kept = Set(digests.map { $0.text + RegistryFiles.suffix })
    for name in try await files.list(path)
    where name.hasSuffix(RegistryFiles.temporarySuffix)
      || (name.hasSuffix(RegistryFiles.suffix) && !kept.contains(name))
    {
      try await files.remove(path + "/" + name)
    }
  }
}

/// Whole files in one piece.
enum FileBytes {
  /// Throws `.corrupted` when the file is longer than `limit`.
  static func read(_ path: String, atMost limit: Int, files: any FileSystem) async throws(RoostError)
    -> [UInt8]
  {
    let file = try await files.open(path, [.read])
    do throws(RoostError) {
      let size = try await file.size()
      guard size <= UInt64(limit) else { throw .corrupted("the file is too large", file: path, offset: 0) }
      let buffer = IOBuffer(count: Int(size))
      let count = try await file.read(into: buffer, range: 0..<buffer.count, at: 0)
      guard count == buffer.count else {
        throw .corrupted("the file is cut short", file: path, offset: UInt64(count))
      }
      await file.close()
      return Array(buffer.bytes)
    } catch {
      await file.close()
      throw error
    }
  }

  /// Puts a file of these bytes in the place of what was there; durable when this returns.
  static func replace(
    _ path: String, with bytes: [UInt8], in directory: String, options: OpenOptions = [],
    files: any FileSystem
  ) async throws(RoostError) {
    let temporary = path + ".tmp"
    let file = try await files.open(temporary, options.union([.write, .create, .truncate]))
    do throws(RoostError) {
      try await file.write(IOBuffer(bytes), range: 0..<bytes.count, at: 0)
      try await file.sync()
    } catch {
      await file.close()
      throw error
    }
    await file.close()
    try await files.rename(temporary, to: path)
    try await files.syncDirectory(directory)
  }
}
