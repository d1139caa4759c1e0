// The golden vectors of `spec/vectors/gossip`. Written anew, after a change of a layout, by
//   ROOST_WRITE_VECTORS=1 swift test --filter GossipTests

import Glibc
import Testing

enum GoldenFolder {
  private static let folder: String = {
    var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast(4)
    return parts.joined(separator: "/") + "/spec/vectors/gossip"
  }()

  /// The file `name.hex` holds `bytes` under a line that says what they are.
  static func check(
    _ name: String, about: String, _ bytes: [UInt8], sourceLocation: SourceLocation = #_sourceLocation
  ) {
    var expected = "# \(about)\n"
    for start in stride(from: 0, to: bytes.count, by: 16) {
      expected += bytes[start..<min(start + 16, bytes.count)].map(hex).joined(separator: " ") + "\n"
    }
    let path = folder + "/" + name + ".hex"
    if getenv("ROOST_WRITE_VECTORS") != nil {
      mkdir(folder, 0o755)
      guard let file = fopen(path, "w") else {
        Issue.record("cannot write \(path)", sourceLocation: sourceLocation)
        return
      }
      fputs(expected, file)
      fclose(file)
    }
    #expect(read(path) == expected, "\(name).hex", sourceLocation: sourceLocation)
  }

  private static func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

  private static func read(_ path: String) -> String? {
    guard let file = fopen(path, "r") else { return nil }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while true {
      let byte = fgetc(file)
      if byte == EOF { break }
      bytes.append(UInt8(truncatingIfNeeded: byte))
    }
    return String(decoding: bytes, as: UTF8.self)
  }
}
