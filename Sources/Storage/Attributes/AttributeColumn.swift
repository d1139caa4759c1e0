// One column of an attribute index: the distinct values of one type at one path, and the rows that hold
// each. `spec/storage.md`, "Attributes".

import Core

/// What a column holds. The raw values are part of the file format.
enum AttributeKind: UInt8, CaseIterable, Sendable {
  /// One key: the rows in which the path is there, whatever it holds.
  case present = 1
  case null = 2
  case bool = 3
  case int = 4
  case double = 5
  case datetime = 6
  case string = 7
  case bytes = 8
  case geo = 9
  /// Words of strings, as `TextTokenizer` cuts them.
  case token = 10
  /// One key: the rows in which the path holds something besides null.
  case value = 11

  /// Bytes of a key of fixed size; nil when keys are byte strings.
  var keyBytes: Int? {
    switch self {
    case .present, .value, .null, .bool, .int, .double, .datetime: 8
    case .geo: 16
    case .string, .bytes, .token: nil
    }
  }
}

/// Keys of fixed size: words that sort as the values do.
enum AttributeKey {
  @inline(__always)
  static func int(_ value: Int64) -> UInt64 { UInt64(bitPattern: value) ^ (1 << 63) }

  /// −0 counts as 0; NaN cannot be stored.
  @inline(__always)
  static func double(_ value: Double) -> UInt64 {
    let bits = (value + 0).bitPattern
    return bits >> 63 == 1 ? ~bits : bits | (1 << 63)
  }
}

/// Where a column lies in the section and what it holds.
///
/// ```
/// keys      distinct × keyBytes, or distinct + 1 offsets (u32) into the blob; padded to 8
/// ends      (distinct + 1) × u32: entries before each key, and all
/// dense     dense × u32: which keys have bits instead of a list, ascending; padded to 8
/// bits      dense × wordCount(rows) × u64
/// rows      u32 for each entry of the other keys, ascending within a key
/// blob      the bytes of the keys, one after the other
/// ```
struct AttributeColumn: Sendable, Equatable {
  /// No row has two entries, so entries count rows.
  static let singleFlag: UInt8 = 1
  /// Some values were left out: they are too long, or there was no room.
  static let partialFlag: UInt8 = 2
  /// Of words: some row has several strings at the path.
  static let manyFlag: UInt8 = 4

  var kind: AttributeKind
  var flags: UInt8 = 0
  var distinct = 0
  var entries = 0
  var denseKeys = 0
  /// Entries of dense keys.
  var denseEntries = 0
  var blobBytes = 0
  /// From the start of the section, a multiple of 8.
  var offset = 0

  var isSingle: Bool { flags & Self.singleFlag != 0 }
  var isPartial: Bool { flags & Self.partialFlag != 0 }
  var hasManyPerRow: Bool { flags & Self.manyFlag != 0 }

  private static func aligned(_ bytes: Int) -> Int { (bytes + 7) & ~7 }

  var keyAreaBytes: Int {
    if let size = kind.keyBytes { return distinct * size }
    return Self.aligned((distinct + 1) * 4)
  }
  var endsOffset: Int { offset + keyAreaBytes }
  var denseOffset: Int { endsOffset + (distinct + 1) * 4 }
  var bitsOffset: Int { Self.aligned(denseOffset + denseKeys * 4) }
  func rowsOffset(rowCount: Int) -> Int { bitsOffset + denseKeys * RowBitmap.wordCount(rowCount) * 8 }
  func blobOffset(rowCount: Int) -> Int { rowsOffset(rowCount: rowCount) + (entries - denseEntries) * 4 }
  func endOffset(rowCount: Int) -> Int { blobOffset(rowCount: rowCount) + blobBytes }

  func encode(into writer: inout ByteWriter) {
    writer.u8(kind.rawValue)
    writer.u8(flags)
    writer.count(distinct)
    writer.count(entries)
    writer.count(denseKeys)
    writer.count(denseEntries)
    writer.count(blobBytes)
    writer.count(offset)
  }

  /// - Parameter room: bytes of the section that columns may take.
  init(from reader: inout ByteReader, rowCount: Int, room: Int) throws(RoostError) {
    let start = reader.offset
    guard let kind = AttributeKind(rawValue: try reader.u8()) else {
      throw RoostError(.corrupted, "unknown kind of attribute column", at: "directory byte \(start)")
    }
    self.kind = kind
    flags = try reader.u8()
    // Each of these has at least one byte in the section, so no sum below can overflow.
    distinct = try reader.count("distinct values", atMost: room)
    entries = try reader.count("entries", atMost: room * 64)
    denseKeys = try reader.count("dense keys", atMost: distinct)
    denseEntries = try reader.count("dense entries", atMost: entries)
    blobBytes = try reader.count("key bytes", atMost: room)
    offset = try reader.count("column offset", atMost: room)
    guard offset % 8 == 0, flags <= 7, entries >= distinct, endOffset(rowCount: rowCount) <= room,
      kind.keyBytes == nil || blobBytes == 0
    else {
      throw RoostError(
        .corrupted, "an attribute column lies outside its section", at: "directory byte \(start)")
    }
  }

  init(kind: AttributeKind) { self.kind = kind }
}
