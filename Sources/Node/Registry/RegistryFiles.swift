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
