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
    let generations = GenerationFiles(path: folder.generationsPath, files: runtime.files)
    // A collection of a later generation is in another folder.
    let isLater = try await generations.has(name)
    let exists = try await Collection.exists(target, files: runtime.files)
    guard !isLater, !exists else {
      throw RoostError(
        .alreadyExists, "there is a collection '\(name)' already", at: target,
        remedy: "drop it, or restore under another name")
    }
    try await Collection.restore(from: backup, to: target, runtime: runtime)
    return target
  }
}
