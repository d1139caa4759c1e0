// What names a record inside a collection: a number or a short key. Order and byte encoding agree,
// so that indexes on disk can compare encoded ids with memcmp.

/// A record's identity: an unsigned number, or a key of 1 to 64 bytes of UTF-8.
/// Numbers sort before keys; keys sort by their bytes.
public enum RecordID: Hashable, Comparable, Sendable {
  case number(UInt64)
  case key(String)

  /// Reads what a person types: decimal digits (without sign or leading zero) are a number, the rest a key.
  public init(text: String) throws(RoostError) {
    if let number = UInt64(text), String(number) == text {
      self = .number(number)
    } else {
      self = .key(text)
      try validate()
    }
  }

  public func validate() throws(RoostError) {
    guard case .key(let key) = self else { return }
    let count = key.utf8.count
    guard count > 0 else { throw RoostError(.invalidArgument, "a key must not be empty", at: "id") }
    guard count <= Limits.keyBytesMax else {
      throw RoostError(
        .limitExceeded, "key of \(count) bytes, the limit is \(Limits.keyBytesMax)", at: "id")
    }
  }

  public var text: String {
    switch self {
    case .number(let number): String(number)
    case .key(let key): key
    }
  }

  public static func < (a: RecordID, b: RecordID) -> Bool {
    switch (a, b) {
    case (.number(let x), .number(let y)): x < y
    case (.number, .key): true
    case (.key, .number): false
    case (.key(let x), .key(let y)): x.utf8.lexicographicallyPrecedes(y.utf8)
    }
  }

  public static func == (a: RecordID, b: RecordID) -> Bool {
    switch (a, b) {
    case (.number(let x), .number(let y)): x == y
    case (.key(let x), .key(let y)): x.utf8.elementsEqual(y.utf8)  // bytes, not canonical equivalence
    default: false
    }
  }

  public func hash(into hasher: inout Hasher) {
    switch self {
    case .number(let number): hasher.combine(number)
    case .key(var key): key.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
    }
  }

  // Encoding: tag 0 and eight big-endian bytes, or tag 1, a length byte and the key. The sort key
  // (without the length byte) compares with memcmp in the order of `<`.

  public func encode(into writer: inout ByteWriter) {
    switch self {
    case .number(let number):
      writer.u8(0)
      writer.integer(number.bigEndian.littleEndian)
    case .key(let key):
      writer.u8(1)
      writer.u8(UInt8(key.utf8.count))
      writer.raw(Array(key.utf8))
    }
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    let start = reader.offset
    switch try reader.u8() {
    case 0: self = .number(UInt64(bigEndian: try reader.integer(UInt64.self).littleEndian))
    case 1:
      let count = Int(try reader.u8())
      guard count > 0, count <= Limits.keyBytesMax else {
        throw RoostError(.corrupted, "key of \(count) bytes", at: "byte \(start)")
      }
      guard let key = String(validating: try reader.bytes(count), as: UTF8.self) else {
        throw RoostError(.corrupted, "key is not valid UTF-8", at: "byte \(start)")
      }
      self = .key(key)
    case let tag: throw RoostError(.corrupted, "unknown id tag \(tag)", at: "byte \(start)")
    }
  }
}
