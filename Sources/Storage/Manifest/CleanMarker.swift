// CLEAN: what the logs looked like when the collection was closed in good order. With it, a log must
// end exactly where it says; without it (after a crash) a torn tail is what a crash leaves.

import Core

struct CleanMarker: Sendable, Equatable {
  static let fileName = "CLEAN"
  private static let title = "roost-clean 1"

  /// File number and length of each log.
  var logs: [UInt64: UInt64]

  func write(directory: String, files: any FileSystem) async throws(RoostError) {
    let lines = logs.sorted { $0.key < $1.key }.map { "log \($0.key) \($0.value)" }
    try await SmallFile.write(
      directory + "/" + Self.fileName, title: Self.title, lines: lines, directory: directory, files: files)
  }

  /// Nil when there is no marker: the last close was not a clean one.
  static func read(directory: String, files: any FileSystem) async throws(RoostError) -> CleanMarker? {
    let path = directory + "/" + fileName
    guard try await files.exists(path) else { return nil }
    var logs: [UInt64: UInt64] = [:]
    for line in try await SmallFile.read(path, title: title, files: files) {
      let words = line.split(separator: " ")
      guard words.count == 3, words[0] == "log", let number = UInt64(words[1]), let length = UInt64(words[2])
      else {
        throw .corrupted("line '\(line)' is not understood", file: path, offset: 0)
      }
      logs[number] = length
    }
    return CleanMarker(logs: logs)
  }
}
