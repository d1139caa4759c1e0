// Random filters and payloads that meet each other: few names, few values, all the edges.

import Core

/// Draws from a seeded source; the same seed gives the same sequence.
struct FilterGenerator {
  private var random: SplitMix64

  static let names = ["a", "b", "c", "kind", "a.b", "größe", "in", "x-y", "back`slash\\"]
  static let scalars: [Value] = [
    .null, .bool(true), .bool(false), .int(0), .int(1), .int(-1), .int(.max), .int(.min), .int(.max - 1),
    .int(1 << 53), .int(1 << 53 + 1), .int(-(1 << 53) - 1), .double(0), .double(-0.0), .double(1),
    .double(0.5),
    .double(-1.5), .double(0x1p53), .double(0x1p53 + 2), .double(0x1p63), .double(-0x1p63),
    .double(-0x1.8p63),
    .double(.infinity), .double(-.infinity), .double(1e300), .double(.leastNonzeroMagnitude), .string(""),
    .string("a"),
    .string("ab"), .string("b"), .string("é"), .string("e\u{301}"), .string("quo\"te\\ \n\u{1}"), .bytes([]),
    .bytes([0]), .bytes([0, 255]), .bytes([97]), .string("Ab b, größe!"), .string("GRÖSSE a b"),
    .string("b a 漢字 É"), .geo(latitude: 48.2, longitude: 16.4), .geo(latitude: 90, longitude: 30),
    .geo(latitude: 10, longitude: 180), .geo(latitude: 10, longitude: -180),
    .geo(latitude: -33.3, longitude: -70),
    .geo(latitude: -0.0, longitude: 0), .geo(latitude: 0, longitude: 0), .datetime(0), .datetime(1),
    .datetime(1_767_323_045_000_006), .datetime(.max), .datetime(.min),
  ]
  static let ids: [RecordID] = [
    .number(0), .number(1), .number(.max), .key("a"), .key("1"), .key("é"),
    .key(String(repeating: "k", count: 64)),
  ]
  static let texts = ["a", "b", "A b", "größe", "漢", "ab b", "gr", "a a", "b, a?", "字 É"]
  static let ordered = scalars.filter { value in
    switch value {
    case .int, .double, .string, .bytes, .datetime: true
    default: false
    }
  }

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func below(_ limit: Int) -> Int { Int.random(in: 0..<limit, using: &random) }

  private mutating func pick<T>(_ values: [T]) -> T { values[below(values.count)] }

  mutating func value(depth: Int) -> Value {
    switch depth < 4 ? below(10) : 9 {
    case 0:
      var values: [Value] = []
      for _ in 0..<below(4) { values.append(value(depth: depth + 1)) }
      return .array(values)
    case 1, 2: return .map(fields(depth: depth + 1))
    default: return pick(FilterGenerator.scalars)
    }
  }

  private mutating func fields(depth: Int) -> [String: Value] {
    var fields: [String: Value] = [:]
    for _ in 0..<below(6) { fields[pick(FilterGenerator.names)] = value(depth: depth) }
    return fields
  }

  mutating func payload() -> Payload { Payload(fields(depth: 0)) }

  mutating func id() -> RecordID { pick(FilterGenerator.ids) }

  private mutating func path() throws -> FieldPath {
    var names: [String] = []
    for _ in 0...(below(3) == 0 ? 1 + below(2) : 0) { names.append(pick(FilterGenerator.names)) }
    return try FieldPath(names: names)
  }

  /// Valid areas only: near the places among the scalars, some over the antimeridian and the poles.
  mutating func area() -> GeoArea {
    while true {
      let area: GeoArea
      switch below(3) {
      case 0: area = .circle(center: place(), radiusMeters: pick([0, 1000, 1e6, 8e6, 1.5e7, 3e7]))
      case 1:
        let (a, b) = (place(), place())
        area = .box(
          southWest: GeoPoint(latitude: min(a.latitude, b.latitude), longitude: a.longitude),
          northEast: GeoPoint(latitude: max(a.latitude, b.latitude), longitude: b.longitude))
      default: area = .polygon((0..<3 + below(4)).map { _ in place() })
      }
      if (try? Filter.field("x", .within(area)).validate()) != nil { return area }
    }
  }

  mutating func place() -> GeoPoint {
    if below(4) == 0, case .geo(let latitude, let longitude) = pick(FilterGenerator.scalars) {
      return GeoPoint(latitude: latitude, longitude: longitude)
    }
    // Multiples of a sixteenth are exact, and so are their sums.
    return GeoPoint(latitude: Double(below(2881)) / 16 - 90, longitude: Double(below(5761)) / 16 - 180)
  }

  private mutating func bound(_ value: Value) -> FilterRange.Bound {
    below(2) == 0 ? .inclusive(value) : .exclusive(value)
  }

  private mutating func range() -> FilterRange {
    let first = pick(FilterGenerator.ordered)
    let alike = FilterGenerator.ordered.filter { FilterGenerator.isAlike($0, first) }
    switch below(3) {
    case 0: return FilterRange(lower: bound(first))
    case 1: return FilterRange(upper: bound(first))
    default: return FilterRange(lower: bound(first), upper: bound(pick(alike)))
    }
  }

  private static func isAlike(_ a: Value, _ b: Value) -> Bool {
    switch (a, b) {
    case (.int, .int), (.int, .double), (.double, .int), (.double, .double), (.string, .string),
      (.bytes, .bytes), (.datetime, .datetime):
      true
    default: false
    }
  }

  /// `and` and `or` never have exactly one part, so the text of the filter reads back as it was.
  mutating func filter(depth: Int = 0) throws -> Filter {
    switch depth < 4 ? below(12) : below(6) {
    case 0..<5: return .field(try path(), predicate())
    case 5: return .hasID((0..<below(4)).map { _ in id() })
    case 6: return .nested(try path(), try filter(depth: depth + 1))
    case 7: return .not(try filter(depth: depth + 1))
    case let drawn:
      var parts: [Filter] = []
      let count = below(8) == 0 ? 0 : 2 + below(3)
      for _ in 0..<count { parts.append(try filter(depth: depth + 1)) }
      return drawn < 10 ? .and(parts) : .or(parts)
    }
  }

  private mutating func predicate() -> FieldPredicate {
    switch below(12) {
    case 0...2: .equals(pick(FilterGenerator.scalars))
    case 3: .isIn((0..<below(below(8) == 0 ? 80 : 5)).map { _ in pick(FilterGenerator.scalars) })
    case 4, 5: .range(range())
    case 6: .exists
    case 7: .hasValue
    case 8, 9: .text(TextMatch(pick(TextMatch.Mode.allCases), pick(FilterGenerator.texts)))
    default: .within(area())
    }
  }

  /// Every `name` in the payload replaced by mutated bytes: flips, cuts and insertions.
  mutating func damage(_ bytes: [UInt8]) -> [UInt8] {
    var bytes = bytes
    for _ in 0...below(3) where !bytes.isEmpty {
      switch below(3) {
      case 0: bytes[below(bytes.count)] = UInt8(below(256))
      case 1: bytes.removeLast(below(bytes.count))
      default: bytes.insert(UInt8(below(256)), at: below(bytes.count))
      }
    }
    return bytes
  }
}
