// Which folder a collection is served from, and which version of its embedder made its vectors
// (`spec/storage.md`, "The folder of a node"). Replacing a small file is what switches a collection over.

import Core
import Storage

/// The version of a module that made the vectors of a collection.
struct EmbedderVersion: Sendable, Equatable {
  /// As the registry counted it then.
  var number: UInt32
  var digest: Digest
}

/// A collection is built anew for another version of its embedder; each time is a generation.
struct Generation: Sendable, Equatable {
  /// Counts from 1.
  var number: UInt32 = 1
  /// Nil for a collection without an embedder.
  var embedder: EmbedderVersion?

  /// The folder of collection `name` in `collections/`. A plus sign is in no name, so folders never clash.
  func folder(of name: String) -> String { number == 1 ? name : "\(name)+\(number)" }

  /// The collection that a folder in `collections/` belongs to.
  static func owner(ofFolder folder: String) -> String { String(folder.prefix { $0 != "+" }) }
}

/// The files in `generations/`: for each collection that is not of the first generation, of which it is.
struct GenerationFiles: Sendable {
  let path: String
  let files: any FileSystem

  private static let title = "roost-generation 1"
  private static let temporarySuffix = ".tmp"

  /// Numbers by name of the collection. Removes what a crash has left unfinished.
  func load() async throws(RoostError) -> [String: UInt32] {
    var numbers: [String: UInt32] = [:]
    for name in try await files.list(path) {
      let file = path + "/" + name
      if name.hasSuffix(GenerationFiles.temporarySuffix) {
        try await files.remove(file)
        continue
      }
      let lines = try await SmallFile.read(file, title: GenerationFiles.title, files: files)
      guard lines.count == 1, let number = UInt32(lines[0]), number > 0 else {
        throw .corrupted("the generation of collection '\(name)' is not understood", file: file, offset: 0)
      }
      numbers[name] = number
    }
    return numbers
  }

  /// Durable when this returns.
  func save(_ number: UInt32, of name: String) async throws(RoostError) {
    try await SmallFile.write(
      path + "/" + name, title: GenerationFiles.title, lines: ["\(number)"], directory: path, files: files)
  }

  func has(_ name: String) async throws(RoostError) -> Bool { try await files.exists(path + "/" + name) }

  func remove(_ name: String) async throws(RoostError) {
    guard try await has(name) else { return }
    try await files.remove(path + "/" + name)
    try await files.syncDirectory(path)
  }
}

/// The file in a collection's folder that says which version of its embedder made its vectors. Backups have it, too.
enum EmbedderFile {
  private static let name = "EMBEDDER"
  private static let title = "roost-embedder 1"

  /// Durable when this returns.
  static func write(
    _ embedder: EmbedderVersion, in folder: String, files: any FileSystem
  ) async throws(RoostError) {
    try await SmallFile.write(
      folder + "/" + name, title: title, lines: ["\(embedder.number) \(embedder.digest.text)"],
      directory: folder, files: files)
  }

  /// Nil when there is none.
  static func read(_ folder: String, files: any FileSystem) async throws(RoostError) -> EmbedderVersion? {
    let file = folder + "/" + name
    guard try await files.exists(file) else { return nil }
    let lines = try await SmallFile.read(file, title: title, files: files)
    let words = lines.first?.split(separator: " ", omittingEmptySubsequences: false) ?? []
    guard lines.count == 1, words.count == 2, let number = UInt32(words[0]),
      let digest = Digest(text: words[1])
    else { throw .corrupted("the version of the embedder is not understood", file: file, offset: 0) }
    return EmbedderVersion(number: number, digest: digest)
  }
}
