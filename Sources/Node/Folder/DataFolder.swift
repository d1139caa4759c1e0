// The folder of a node: who may use it, which format it has, where things are.
//
//   LOCK           held while a node runs
//   ROOST          format version and node id
//   collections/   one folder per collection
//   generations/   of which generation a collection is, if not the first
//   modules/       published modules and their list, and cache/ of compiled ones

import Core
import Storage
import Synchronization

/// A locked data folder of a format that this node understands.
final class DataFolder: Sendable {
  let path: String
  let nodeID: UInt32
  private let lock: Mutex<(any FileLock)?>

  private static let formatName = "ROOST"
  private static let formatTitle = "roost-data 1"
  private static let lockName = "LOCK"

  var collectionsPath: String { path + "/collections" }
  var modulesPath: String { path + "/modules" }
  /// Which folder a collection is served from, if not its first.
  var generationsPath: String { path + "/generations" }
  /// Copies that are being verified; emptied at every start.
  var scratchPath: String { path + "/scratch" }

  private init(path: String, nodeID: UInt32, lock: any FileLock) {
    self.path = path
    self.nodeID = nodeID
    self.lock = Mutex(lock)
  }

  /// Lets another node have the folder.
  func release() { lock.withLock { $0 = nil } }

  /// Opens the folder, or makes an empty or missing one into a data folder. Throws `.locked` when another
  /// node has it, `.unsupportedVersion` when a newer Roost wrote it, `.invalidArgument` when it holds
  /// something else, `.readOnly` or `.permissionDenied` when it cannot be written.
  static func open(_ path: String, runtime: Runtime) async throws(RoostError) -> DataFolder {
    let files = runtime.files
    try await files.makeDirectory(path)
    let format = path + "/" + formatName
    let isNew = try await !files.exists(format)
    if isNew {
      let strangers = try await files.list(path).filter { $0 != lockName && $0 != formatName + ".tmp" }
      guard strangers.isEmpty else {
        throw RoostError(
          .invalidArgument, "the folder holds '\(strangers[0])' and is no data folder of Roost", at: path,
          remedy: "choose an empty folder or one that Roost has made")
      }
    }
    let lock: any FileLock
    do throws(RoostError) {
      lock = try await files.lock(path + "/" + lockName)
    } catch {
      guard error.kind == .locked else { throw error }
      throw RoostError(
        .locked, "another node uses the data folder: \(error.message)", at: path,
        remedy: "stop that node or choose another folder")
    }
    if isNew {
      let id = UInt32(truncatingIfNeeded: runtime.random.next()) | 1
      try await SmallFile.write(
        format, title: formatTitle, lines: ["node \(id)"], directory: path, files: files)
    }
    let lines = try await SmallFile.read(format, title: formatTitle, files: files)
    guard let words = lines.first?.split(separator: " "), words.count == 2, words[0] == "node",
      let nodeID = UInt32(words[1])
    else { throw .corrupted("the node id is missing", file: format, offset: 0) }
    let folder = DataFolder(path: path, nodeID: nodeID, lock: lock)
    try await files.makeDirectory(folder.collectionsPath)
    try await files.makeDirectory(folder.modulesPath)
    try await files.makeDirectory(folder.generationsPath)
    try await files.syncDirectory(path)
    return folder
  }
}
