// A bounds-checked cursor over bytes that came from outside (disk, wire, guests, files).
// Every decoder of Roost reads through this type; nothing else turns offsets into pointers.

/// Reads little-endian values from a byte range; every read is checked and throws
/// `.corrupted` when the bytes end too soon. The bytes must outlive the reader.
public struct ByteReader {
  private let base: UnsafeRawBufferPointer
  /// Bytes consumed so far.
  public private(set) var offset: Int = 0

  public init(_ bytes: UnsafeRawBufferPointer) { base = bytes }

  public var remaining: Int { base.count - offset }
  public var isAtEnd: Bool { offset == base.count }

  @inline(__always)
  private mutating func take(_ count: Int) throws(RoostError) -> UnsafeRawBufferPointer {
    guard count >= 0, count <= remaining else {
      throw RoostError(
        .corrupted, "needed \(count) bytes, only \(remaining) are left", at: "byte \(offset)")
    }
    defer { offset += count }
    return UnsafeRawBufferPointer(rebasing: base[offset..<offset + count])
  }

  @inline(__always)
  public mutating func integer<T: FixedWidthInteger>(_ type: T.Type = T.self) throws(RoostError) -> T {
    T(littleEndian: try take(MemoryLayout<T>.size).loadUnaligned(as: T.self))
  }

  public mutating func u8() throws(RoostError) -> UInt8 { try integer() }
  public mutating func u16() throws(RoostError) -> UInt16 { try integer() }
  public mutating func u32() throws(RoostError) -> UInt32 { try integer() }
  public mutating func u64() throws(RoostError) -> UInt64 { try integer() }
  public mutating func i64() throws(RoostError) -> Int64 { try integer() }
  public mutating func f32() throws(RoostError) -> Float { Float(bitPattern: try integer()) }
  public mutating func f64() throws(RoostError) -> Double { Double(bitPattern: try integer()) }

  /// LEB128, at most ten bytes, minimal encodings only.
  public mutating func varint() throws(RoostError) -> UInt64 {
    let start = offset
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try u8()
      let bits = UInt64(byte & 0x7f)
      if shift == 63 && bits > 1 || shift > 63 {
        throw RoostError(.corrupted, "varint is longer than 64 bits", at: "byte \(start)")
      }
      value |= bits << shift
      if byte & 0x80 == 0 {
        if byte == 0 && shift > 0 {
          throw RoostError(.corrupted, "varint is not minimal", at: "byte \(start)")
        }
        return value
      }
      shift += 7
    }
  }

  /// A varint that must be at most `limit`; the way to read every count and length.
  public mutating func count(_ what: StaticString, atMost limit: Int) throws(RoostError) -> Int {
    let start = offset
    let value = try varint()
    guard value <= UInt64(limit) else {
      throw RoostError(.limitExceeded, "\(what) is \(value), the limit is \(limit)", at: "byte \(start)")
    }
    return Int(value)
  }

  /// The next `count` bytes in place, without a copy.
  public mutating func bytes(_ count: Int) throws(RoostError) -> UnsafeRawBufferPointer {
    try take(count)
  }

  public mutating func array(_ count: Int) throws(RoostError) -> [UInt8] { Array(try take(count)) }

  /// A varint length followed by that many bytes.
  public mutating func blob(_ what: StaticString, atMost limit: Int) throws(RoostError) -> [UInt8] {
    try array(try count(what, atMost: limit))
  }

  /// A varint length followed by UTF-8; invalid UTF-8 is refused.
  public mutating func string(_ what: StaticString, atMost limit: Int) throws(RoostError) -> String {
    let start = offset
    let raw = try take(try count(what, atMost: limit))
    guard let text = String(validating: raw, as: UTF8.self) else {
      throw RoostError(.corrupted, "\(what) is not valid UTF-8", at: "byte \(start)")
    }
    return text
  }

  public mutating func skip(_ count: Int) throws(RoostError) { _ = try take(count) }

  public func expectEnd(_ what: StaticString) throws(RoostError) {
    guard isAtEnd else {
      throw RoostError(.corrupted, "\(remaining) bytes follow the end of \(what)", at: "byte \(offset)")
    }
  }
}

extension Array where Element == UInt8 {
  /// Runs `body` with a reader over the whole array.
  public func withReader<T>(_ body: (inout ByteReader) throws(RoostError) -> T) throws(RoostError) -> T {
    try withUnsafeBufferPointer { (raw) throws(RoostError) in
      var reader = ByteReader(UnsafeRawBufferPointer(raw))
      return try body(&reader)
    }
  }
}
