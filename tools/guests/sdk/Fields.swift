// Roost guest SDK: the payload of a candidate, or the parameters of a query, read in place.

/// One attribute value.
public enum FieldValue {
  case null
  case bool(Bool)
  case int(Int64)
  case double(Double)
  case string(Bytes)
  case bytes(Bytes)
  /// Degrees.
  case geo(latitude: Double, longitude: Double)
  /// Microseconds since 1970-01-01T00:00:00Z.
  case datetime(Int64)
  case array(Elements)
  case map(Fields)

  /// An int or a double as a double.
  @inline(__always)
  public var number: Double? {
    switch self {
    case .int(let value): Double(value)
    case .double(let value): value
    default: nil
    }
  }
}

/// Named values in the host's encoding (spec/wasm-abi.md, "Payloads"). The host writes it, so lengths in it
/// are trusted.
public struct Fields {
  public let bytes: Bytes

  @inline(__always)
  public init(_ bytes: Bytes) { self.bytes = bytes }

  /// The value of a field; nil when there is none. Reads the fields before it, but not their values.
  @inline(__always)
  public func value(_ name: Bytes) -> FieldValue? {
    var cursor = Cursor(at: bytes.start)
    for _ in 0..<cursor.varint() {
      let found = cursor.run()
      if found.equals(name) { return cursor.value() }
      cursor.skipValue()
    }
    return nil
  }

  @inline(__always) public func value(_ name: StaticString) -> FieldValue? { value(Bytes(name)) }
  @inline(__always) public func number(_ name: Bytes) -> Double? { value(name)?.number }
  @inline(__always) public func number(_ name: StaticString) -> Double? { number(Bytes(name)) }

  @inline(__always)
  public func string(_ name: Bytes) -> Bytes? {
    if case .string(let text)? = value(name) { return text }
    return nil
  }
  @inline(__always) public func string(_ name: StaticString) -> Bytes? { string(Bytes(name)) }

  @inline(__always)
  public func bool(_ name: StaticString) -> Bool? {
    if case .bool(let flag)? = value(name) { return flag }
    return nil
  }
}

/// The elements of an array value.
public struct Elements: Sequence, IteratorProtocol {
  private var cursor: Cursor
  public private(set) var count: Int
  /// The count and the elements as the host encodes them.
  let encoded: Bytes

  @inline(__always)
  init(cursor: Cursor, count: Int, encoded: Bytes) {
    self.cursor = cursor
    self.count = count
    self.encoded = encoded
  }

  @inline(__always)
  public mutating func next() -> FieldValue? {
    guard count > 0 else { return nil }
    count -= 1
    return cursor.value()
  }
}

/// Walks over encoded values.
struct Cursor {
  var at: UnsafeRawPointer

  @inline(__always)
  private mutating func take<T: BitwiseCopyable>(_ type: T.Type) -> T {
    defer { at += MemoryLayout<T>.size }
    return at.loadUnaligned(as: T.self)
  }

  @inline(__always)
  mutating func varint() -> Int {
    var byte = take(UInt8.self)
    if byte < 0x80 { return Int(byte) }
    var value = UInt32(byte & 0x7f)
    var shift: UInt32 = 7
    repeat {
      byte = take(UInt8.self)
      value |= UInt32(byte & 0x7f) &<< shift
      shift += 7
    } while byte >= 0x80
    return Int(value)
  }

  /// A length and that many bytes.
  @inline(__always)
  mutating func run() -> Bytes {
    let count = varint()
    defer { at += count }
    return Bytes(start: at, count: count)
  }

  @inline(__always)
  mutating func skipValue() {
    switch take(UInt8.self) {
    case 3, 4, 8: at += 8
    case 7: at += 16
    case 5, 6: _ = run()
    case 9, 10: at += Int(take(UInt32.self))
    default: break
    }
  }

  @inline(__always)
  mutating func value() -> FieldValue {
    switch take(UInt8.self) {
    case 1: return .bool(false)
    case 2: return .bool(true)
    case 3: return .int(take(Int64.self))
    case 4: return .double(take(Double.self))
    case 5: return .string(run())
    case 6: return .bytes(run())
    case 7: return .geo(latitude: take(Double.self), longitude: take(Double.self))
    case 8: return .datetime(take(Int64.self))
    case 9:
      let size = Int(take(UInt32.self))
      let content = Bytes(start: at, count: size)
      defer { at = content.start + size }
      let count = varint()
      return .array(Elements(cursor: self, count: count, encoded: content))
    case 10:
      let size = Int(take(UInt32.self))
      defer { at += size }
      return .map(Fields(Bytes(start: at, count: size)))
    default: return .null
    }
  }
}
