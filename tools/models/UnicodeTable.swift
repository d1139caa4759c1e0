// What the tokenizer of uncased BERT models does to each scalar, as two-level tables: control characters and
// marks go, letters lose their accents and capitals, punctuation and Chinese characters stand alone.

import Foundation

struct UnicodeTable {
  /// The numbers that the guest's tokenizer knows.
  private enum Kind: UInt32 {
    case letter = 0
    case dropped = 1
    case space = 2
    case alone = 3
  }

  private static let pageCount = 0x300
  /// In place of where the result's scalars begin: the scalar itself.
  private static let same: UInt32 = 0xfffff

  private(set) var pages: [UInt16] = []
  private(set) var blocks: [UInt16] = []
  private(set) var results: [UInt32] = []
  private(set) var scalars: [UInt32] = []

  init() {
    var known: [UInt32: UInt16] = [:]
    var places: [[UInt32]: UInt32] = [:]
    var knownBlocks: [[UInt16]: UInt16] = [:]
    for page in 0..<Self.pageCount {
      var block: [UInt16] = []
      for low in 0..<256 {
        let result = result(of: UInt32(page * 256 + low), &places)
        if known[result] == nil {
          known[result] = UInt16(results.count)
          results.append(result)
        }
        block.append(known[result] ?? 0)
      }
      if knownBlocks[block] == nil {
        knownBlocks[block] = UInt16(blocks.count / 256)
        blocks += block
      }
      pages.append(knownBlocks[block] ?? 0)
    }
  }

  /// Where the scalars begin (from bit 8), how many there are (bits 4 to 7), and the kind.
  private mutating func result(of value: UInt32, _ places: inout [[UInt32]: UInt32]) -> UInt32 {
    guard let scalar = Unicode.Scalar(value) else { return Kind.dropped.rawValue }
    if scalar == "\t" || scalar == "\n" || scalar == "\r" { return Kind.space.rawValue }
    switch scalar.properties.generalCategory {
    case .control, .format, .privateUse, .surrogate, .unassigned: return Kind.dropped.rawValue
    case .spaceSeparator, .lineSeparator, .paragraphSeparator: return Kind.space.rawValue
    default: break
    }
    if value == 0 || value == 0xfffd { return Kind.dropped.rawValue }
    let isAlone = Self.isPunctuation(scalar) || Self.isChinese(value)
    let plain = String(scalar).decomposedStringWithCanonicalMapping.unicodeScalars
      .filter { $0.properties.generalCategory != .nonspacingMark }
    let lower = plain.flatMap { $0.properties.lowercaseMapping.unicodeScalars.map(\.value) }
    guard !lower.isEmpty else { return Kind.dropped.rawValue }
    let kind: Kind = isAlone ? .alone : .letter
    if lower == [value] { return Self.same << 8 | 1 << 4 | kind.rawValue }
    if places[lower] == nil {
      places[lower] = UInt32(scalars.count)
      scalars += lower
    }
    return (places[lower] ?? 0) << 8 | UInt32(lower.count) << 4 | kind.rawValue
  }

  private static func isPunctuation(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 33...47, 58...64, 91...96, 123...126: return true
    default: break
    }
    switch scalar.properties.generalCategory {
    case .connectorPunctuation, .dashPunctuation, .openPunctuation, .closePunctuation, .initialPunctuation,
      .finalPunctuation, .otherPunctuation:
      return true
    default: return false
    }
  }

  private static func isChinese(_ value: UInt32) -> Bool {
    switch value {
    case 0x4e00...0x9fff, 0x3400...0x4dbf, 0x20000...0x2a6df, 0x2a700...0x2b73f, 0x2b740...0x2b81f,
      0x2b820...0x2ceaf, 0xf900...0xfaff, 0x2f800...0x2fa1f:
      true
    default: false
    }
  }
}
