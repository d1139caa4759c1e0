// Values as bytes that sort: one order over all scalars, for facets and for scans ordered by a field.

/// A scalar in the total order of values (`spec/filter.md`, "Total order"): null, false, true, numbers by
/// exact value, datetimes, strings, bytes, geo points. Values that a filter calls equal have equal keys.
public struct SortKey: Hashable, Comparable, Sendable {
  /// Compares as the values do, byte by byte; a prefix sorts first.
  public let bytes: [UInt8]

  private enum Rank {
    static let null: UInt8 = 0
    static let bool: UInt8 = 1
    static let number: UInt8 = 2
    static let datetime: UInt8 = 3
    static let string: UInt8 = 4
    static let bytes: UInt8 = 5
    static let geo: UInt8 = 6
  }

  package init(bytes: [UInt8]) { self.bytes = bytes }

  /// Nil for arrays and maps, which have no place in the order.
  public init?(_ value: Value) {
    var bytes: [UInt8] = []
    switch value {
    case .array, .map: return nil
    case .null: SortKey.append(.null, to: &bytes)
    case .bool(let flag): SortKey.append(.bool(flag), to: &bytes)
    case .int(let number): SortKey.append(.int(number), to: &bytes)
    case .double(let number): SortKey.append(.double(number), to: &bytes)
    case .datetime(let micros): SortKey.append(.datetime(micros), to: &bytes)
    case .string(let text):
      bytes.append(Rank.string)
      bytes.append(contentsOf: text.utf8)
    case .bytes(let content):
      bytes.append(Rank.bytes)
      bytes.append(contentsOf: content)
    case .geo(let latitude, let longitude):
      SortKey.append(.geo(latitude: latitude, longitude: longitude), to: &bytes)
    }
    self.bytes = bytes
  }

  /// Appends the key of a scalar.
  package static func append(_ value: ScalarView, to bytes: inout [UInt8]) {
    switch value {
    case .null: bytes.append(Rank.null)
    case .bool(let flag):
      bytes.append(Rank.bool)
      bytes.append(flag ? 1 : 0)
    case .int(let number): appendNumber(number, to: &bytes)
    case .double(let number):
      switch CanonicalNumber(number) {
      case .whole(let whole): appendNumber(whole, to: &bytes)
      case .other(let other):
        bytes.append(Rank.number)
        append(orderedBits(other), to: &bytes)
        append(UInt16(0), to: &bytes)
      }
    case .datetime(let micros):
      bytes.append(Rank.datetime)
      append(UInt64(bitPattern: micros) ^ 1 << 63, to: &bytes)
    case .string(let text):
      bytes.append(Rank.string)
      bytes.append(contentsOf: text)
    case .bytes(let content):
      bytes.append(Rank.bytes)
      bytes.append(contentsOf: content)
    case .geo(let latitude, let longitude):
      bytes.append(Rank.geo)
      append(orderedBits(latitude + 0), to: &bytes)
      append(orderedBits(longitude + 0), to: &bytes)
    }
  }

  /// An int lies at or above a double by less than the distance to the next one: the double, then the rest.
  private static func appendNumber(_ number: Int64, to bytes: inout [UInt8]) {
    var floor = Double(number)
    if floor >= 0x1p63 || Int64(floor) > number { floor = floor.nextDown }
    bytes.append(Rank.number)
    append(orderedBits(floor), to: &bytes)
    // Doubles near 2^63 are 1024 apart, so 16 bits hold the rest.
    append(UInt16(number - Int64(floor)), to: &bytes)
  }

  private static func orderedBits(_ number: Double) -> UInt64 {
    let bits = number.bitPattern
    return bits >> 63 == 1 ? ~bits : bits | 1 << 63
  }

  private static func double(ofOrderedBits bits: UInt64) -> Double {
    Double(bitPattern: bits >> 63 == 1 ? bits & ~(1 << 63) : ~bits)
  }

  private static func append<T: FixedWidthInteger>(_ number: T, to bytes: inout [UInt8]) {
    withUnsafeBytes(of: number.bigEndian) { bytes.append(contentsOf: $0) }
  }

  /// The value. A number that is whole and fits 64 bits comes back as an int.
  public var value: Value {
    func word(_ offset: Int) -> UInt64 {
      bytes[offset..<offset + 8].reduce(0) { $0 << 8 | UInt64($1) }
    }
    switch bytes.first {
    case Rank.bool where bytes.count == 2: return .bool(bytes[1] == 1)
    case Rank.number where bytes.count == 11:
      let number = SortKey.double(ofOrderedBits: word(1))
      let rest = Int64(bytes[9]) << 8 | Int64(bytes[10])
      guard case .whole(let whole) = CanonicalNumber(number) else { return .double(number) }
      return .int(whole + rest)
    case Rank.datetime where bytes.count == 9: return .datetime(Int64(bitPattern: word(1) ^ 1 << 63))
    case Rank.string: return .string(String(decoding: bytes.dropFirst(), as: UTF8.self))
    case Rank.bytes: return .bytes(Array(bytes.dropFirst()))
    case Rank.geo where bytes.count == 17:
      return .geo(
        latitude: SortKey.double(ofOrderedBits: word(1)), longitude: SortKey.double(ofOrderedBits: word(9)))
    default: return .null
    }
  }

  public static func < (a: SortKey, b: SortKey) -> Bool { compare(a.bytes, b.bytes) < 0 }

  package static func compare(_ a: [UInt8], _ b: [UInt8]) -> Int {
    a.withUnsafeBytes { a in b.withUnsafeBytes { compareBytes(a, $0) } }
  }
}
