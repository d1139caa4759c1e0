// Roost guest SDK: what a transform changes in a record, encoded as the host reads it.

/// Attributes to set or remove. Of two changes of one field the last one counts.
public struct Changes {
  private var entries: [(name: [UInt8], value: [UInt8])] = []

  init() {}

  public mutating func set(_ name: Bytes, _ value: FieldValue) {
    var encoded: [UInt8] = []
    Changes.encode(value, into: &encoded)
    put(name, encoded)
  }

  public mutating func set(_ name: StaticString, _ value: FieldValue) { set(Bytes(name), value) }
  public mutating func remove(_ name: Bytes) { put(name, [0]) }
  public mutating func remove(_ name: StaticString) { remove(Bytes(name)) }

  private mutating func put(_ name: Bytes, _ value: [UInt8]) {
    let name = [UInt8](unsafeUninitializedCapacity: name.count) { target, count in
      for index in 0..<name.count { target[index] = name[index] }
      count = name.count
    }
    entries.removeAll { $0.name == name }
    // Ascending by the bytes of the names.
    var place = entries.count
    while place > 0, Changes.precedes(name, entries[place - 1].name) { place -= 1 }
    entries.insert((name, value), at: place)
  }

  private static func precedes(_ a: [UInt8], _ b: [UInt8]) -> Bool {
    for index in 0..<min(a.count, b.count) where a[index] != b[index] { return a[index] < b[index] }
    return a.count < b.count
  }

  /// The payload of changes.
  var encoded: [UInt8] {
    var bytes: [UInt8] = []
    Changes.varint(entries.count, into: &bytes)
    for entry in entries {
      Changes.varint(entry.name.count, into: &bytes)
      bytes += entry.name
      bytes += entry.value
    }
    return bytes
  }

  private static func varint(_ value: Int, into bytes: inout [UInt8]) {
    var rest = UInt32(value)
    while rest >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    bytes.append(UInt8(rest))
  }

  private static func fixed(_ bits: UInt64, into bytes: inout [UInt8]) {
    for shift in 0..<UInt64(8) { bytes.append(UInt8(truncatingIfNeeded: bits >> (8 * shift))) }
  }

  private static func run(_ tag: UInt8, _ content: Bytes, into bytes: inout [UInt8]) {
    bytes.append(tag)
    varint(content.count, into: &bytes)
    append(content, into: &bytes)
  }

  private static func append(_ content: Bytes, into bytes: inout [UInt8]) {
    for index in 0..<content.count { bytes.append(content[index]) }
  }

  private static func sized(_ tag: UInt8, _ content: Bytes, into bytes: inout [UInt8]) {
    bytes.append(tag)
    for shift in 0..<4 { bytes.append(UInt8(truncatingIfNeeded: content.count >> (8 * shift))) }
    append(content, into: &bytes)
  }

  private static func encode(_ value: FieldValue, into bytes: inout [UInt8]) {
    switch value {
    case .null: bytes.append(0)
    case .bool(let flag): bytes.append(flag ? 2 : 1)
    case .int(let number):
      bytes.append(3)
      fixed(UInt64(bitPattern: number), into: &bytes)
    case .double(let number):
      bytes.append(4)
      fixed(number.bitPattern, into: &bytes)
    case .string(let text): run(5, text, into: &bytes)
    case .bytes(let content): run(6, content, into: &bytes)
    case .geo(let latitude, let longitude):
      bytes.append(7)
      fixed(latitude.bitPattern, into: &bytes)
      fixed(longitude.bitPattern, into: &bytes)
    case .datetime(let micros):
      bytes.append(8)
      fixed(UInt64(bitPattern: micros), into: &bytes)
    case .array(let elements): sized(9, elements.encoded, into: &bytes)
    case .map(let fields): sized(10, fields.bytes, into: &bytes)
    }
  }
}
