// Small checksummed text files that are replaced as a whole: CURRENT and CLEAN.
// Each has a title line, its lines, and a last line "crc32c XXXXXXXX" over all before it.

import Core

package enum SmallFile {
  private static let bytesMax = 64 * 1024

  package static func write(
    _ path: String, title: String, lines: [String], directory: String, files: any FileSystem
  ) async throws(RoostError) {
    let body = ([title] + lines).map { $0 + "\n" }.joined()
    let text = body + "crc32c \(hex(crc32c(Array(body.utf8))))\n"
    try await FileBytes.replace(path, with: Array(text.utf8), in: directory, files: files)
  }

  /// The lines after the title.
  package static func read(_ path: String, title: String, files: any FileSystem) async throws(RoostError)
    -> [String]
  {
    let buffer = try await FileBytes.buffer(path, atMost: bytesMax, files: files)
    defer { withExtendedLifetime(buffer) {} }
    return try parse(buffer.bytes, path: path, title: title)
  }

  static func parse(_ bytes: UnsafeRawBufferPointer, path: String, title: String) throws(RoostError)
    -> [String]
  {
    func refuse(_ message: String) -> RoostError { .corrupted(message, file: path, offset: 0) }
    guard let text = String(validating: bytes, as: UTF8.self), text.last == "\n" else {
      throw refuse("the file is damaged")
    }
    var lines = text.dropLast().split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let sum = lines.removeLast()
    let body = lines.map { $0 + "\n" }.joined()
    guard sum == "crc32c \(hex(crc32c(Array(body.utf8))))" else {
      throw refuse("the file has a wrong checksum")
    }
    guard lines.first == title else {
      throw RoostError(
        .unsupportedVersion, "the file begins with '\(lines.first ?? "")', expected '\(title)'", at: path,
        remedy: "use the program that wrote it, or a newer one")
    }
    return Array(lines.dropFirst())
  }

  private static func hex(_ value: UInt32) -> String {
    let digits = String(value, radix: 16)
    return String(repeating: "0", count: 8 - digits.count) + digits
  }
}
