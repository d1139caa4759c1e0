// Turns a backup into a collection while no node has the data folder.

import Core
import Storage

extension NodeServer {
  /// Restores the backup in folder `backup` as collection `name` of the data folder, which is made when
  /// it is missing. Returns the collection's folder.
  /// - Throws: `.locked` when a node runs on the folder, `.alreadyExists`, and what
  ///   `Collection.restore` throws.
  public static func restore(
    _ backup: String, as name: String, dataPath: String, runtime: Runtime
  ) async throws(RoostError) -> String {
    try validateName(name, what: "collection")
    let folder = try await DataFolder.open(dataPath, runtime: runtime)
    defer { folder.release() }
    let target = folder.collectionsPath + "/" + name
    guard try await !Collection.exists(target, files: runtime.files) else {
      throw RoostError(
        .alreadyExists, "there is a collection '\(name)' already", at: target,
        remedy: "drop it, or restore under another name")
    }
    try await Collection.restore(from: backup, to: target, runtime: runtime)
    return target
  }
}
