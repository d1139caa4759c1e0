// The counterpart of ByteReader: builds little-endian byte strings.

/// Appends little-endian values to a growing byte array.
public struct ByteWriter: Sendable {
  public private(set) var bytes: [UInt8]

  public init(reserving capacity: Int = 0) {
    bytes = []
    bytes.reserveCapacity(capacity)
  }

  public var count: Int { bytes.count }

  @inline(__always)
  public mutating func integer<T: FixedWidthInteger>(_ value: T) {
    withUnsafeBytes(of: value.littleEndian) { bytes.append(contentsOf: $0) }
  }

  public mutating func u8(_ value: UInt8) { bytes.append(value) }
  public mutating func u16(_ value: UInt16) { integer(value) }
  public mutating func u32(_ value: UInt32) { integer(value) }
  public mutating func u64(_ value: UInt64) { integer(value) }
  public mutating func i64(_ value: Int64) { integer(value) }
  public mutating func f32(_ value: Float) { integer(value.bitPattern) }
  public mutating func f64(_ value: Double) { integer(value.bitPattern) }

  public mutating func varint(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  public mutating func count(_ value: Int) { varint(UInt64(value)) }

  public mutating func raw(_ source: UnsafeRawBufferPointer) { bytes.append(contentsOf: source) }
  public mutating func raw(_ source: [UInt8]) { bytes.append(contentsOf: source) }

  public mutating func blob(_ source: [UInt8]) {
    count(source.count)
    bytes.append(contentsOf: source)
  }

  public mutating func string(_ text: String) {
    var text = text
    text.withUTF8 {
      count($0.count)
      bytes.append(contentsOf: $0)
    }
  }

  /// Zero bytes until the length is a multiple of `alignment` (a power of two).
  public mutating func pad(to alignment: Int) {
    let rest = bytes.count & (alignment - 1)
    if rest != 0 { zeros(alignment - rest) }
  }

  public mutating func zeros(_ count: Int) {
    // An array is appended as one block; `repeatElement` goes byte by byte in debug builds.
    bytes.append(contentsOf: [UInt8](repeating: 0, count: count))
  }

  /// Forgets everything from `count` on.
  public mutating func truncate(to count: Int) {
    precondition(count >= 0 && count <= bytes.count)
    bytes.removeLast(bytes.count - count)
  }

  /// Forgets everything but keeps the memory for what is written next.
  public mutating func removeAll() { bytes.removeAll(keepingCapacity: true) }

  public mutating func withMutableBytes<T>(_ body: (UnsafeMutableRawBufferPointer) -> T) -> T {
    bytes.withUnsafeMutableBytes { body($0) }
  }

  /// Overwrites a value written before, e.g. a length that is known only at the end.
  public mutating func patch<T: FixedWidthInteger>(_ value: T, at offset: Int) {
    precondition(offset >= 0 && offset + MemoryLayout<T>.size <= bytes.count)
    withUnsafeBytes(of: value.littleEndian) { source in
      for index in source.indices { bytes[offset + index] = source[index] }
    }
  }
}
