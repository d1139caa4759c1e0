// The names of files in a collection's folder.

/// What a file of a collection is, read off its name.
enum FileName: Equatable {
  case manifest(UInt64)
  case wal(UInt64)
  case segment(UInt64)

  static func manifest(_ number: UInt64) -> String { "MANIFEST-" + padded(number) }
  static func wal(_ number: UInt64) -> String { padded(number) + ".wal" }
  static func segment(_ number: UInt64) -> String { padded(number) + ".seg" }

  init?(_ name: String) {
    if name.hasPrefix("MANIFEST-"), let number = UInt64(name.dropFirst(9)) {
      self = .manifest(number)
    } else if name.hasSuffix(".wal"), let number = UInt64(name.dropLast(4)) {
      self = .wal(number)
    } else if name.hasSuffix(".seg"), let number = UInt64(name.dropLast(4)) {
      self = .segment(number)
    } else {
      return nil
    }
  }

  var number: UInt64 {
    switch self {
    case .manifest(let number), .wal(let number), .segment(let number): number
    }
  }

  private static func padded(_ number: UInt64) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 8 - digits.count)) + digits
  }
}
