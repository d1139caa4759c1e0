// Random payloads and filters that meet each other: few names, few values, all the edges.

import Core

struct AttributeGenerator {
  var random: SplitMix64

  static let names = ["a", "b", "kind", "a.b", "größe"]
  static let scalars: [Value] = [
    .null, .bool(true), .bool(false), .int(0), .int(1), .int(-1), .int(.max), .int(.min), .int(1 << 53),
    .int(1 << 53 + 1), .double(0), .double(-0.0), .double(1), .double(0.5), .double(-1.5), .double(0x1p53),
    .double(0x1p63), .double(-0x1p63), .double(.infinity), .double(-.infinity), .string(""), .string("a"),
    .string("ab"), .string("Red fish"), .string("blue fish, red"), .string("fish"),
    .string("fishes swim"), .string("é"), .string("e\u{301}"), .string(String(repeating: "long ", count: 60)),
    .bytes([]), .bytes([0, 255]), .bytes([UInt8](repeating: 7, count: 300)),
    .geo(latitude: 48.2, longitude: 16.4), .geo(latitude: -0.0, longitude: 0),
    .geo(latitude: 90, longitude: 180),
    .geo(latitude: -90, longitude: -180), .datetime(0), .datetime(-1), .datetime(.max), .datetime(.min),
  ]

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func pick<T>(_ values: [T]) -> T { values[random.below(values.count)] }

  mutating func value(depth: Int) -> Value {
    switch depth < 4 ? random.below(12) : 11 {
    case 0: return .array((0..<random.below(4)).map { _ in value(depth: depth + 1) })
    case 1, 2: return .map(fields(depth: depth + 1))
    case 3: return .int(Int64(random.below(50)))
    case 4: return .double(Double(random.below(500)) / 10)
    case 5:
      return .geo(latitude: Double(random.below(180)) - 90, longitude: Double(random.below(360)) - 180)
    default: return pick(Self.scalars)
    }
  }

  mutating func fields(depth: Int) -> [String: Value] {
    var fields: [String: Value] = [:]
    for _ in 0..<random.below(5) { fields[pick(Self.names)] = value(depth: depth) }
    return fields
  }

  mutating func payload() -> Payload { Payload(fields(depth: 0)) }

  mutating func field() throws -> FieldPath {
    var names = [pick(Self.names)]
    if random.below(3) == 0 { names.append(pick(Self.names)) }
    return try FieldPath(names: names)
  }

  private mutating func bound(_ value: Value) -> FilterRange.Bound {
    random.below(2) == 0 ? .inclusive(value) : .exclusive(value)
  }

  private mutating func range() -> FilterRange {
    func kind(_ value: Value) -> Int {
      switch value {
      case .int, .double: 1
      case .string: 2
      case .bytes: 3
      case .datetime: 4
      default: 0
      }
    }
    let ordered = Self.scalars.filter { kind($0) > 0 }
    let first = pick(ordered)
    let second = pick(ordered.filter { kind($0) == kind(first) })
    switch random.below(3) {
    case 0: return FilterRange(lower: bound(first))
    case 1: return FilterRange(upper: bound(first))
    default: return FilterRange(lower: bound(first), upper: bound(second))
    }
  }

  mutating func area() -> GeoArea {
    func point(_ random: inout SplitMix64) -> GeoPoint {
      GeoPoint(
        latitude: [-90, 90, 0, 48.2, Double(random.below(180)) - 90][random.below(5)],
        longitude: [-180, 180, 0, 16.4, Double(random.below(360)) - 180][random.below(5)])
    }
    switch random.below(3) {
    case 0:
      return .circle(
        center: point(&random), radiusMeters: [0, 1000, 1e6, 5e6, 3e7][random.below(5)])
    case 1:
      let (a, b) = (point(&random), point(&random))
      return .box(
        southWest: GeoPoint(latitude: min(a.latitude, b.latitude), longitude: a.longitude),
        northEast: GeoPoint(latitude: max(a.latitude, b.latitude), longitude: b.longitude))
    default: return .polygon((0..<3 + random.below(3)).map { _ in point(&random) })
    }
  }

  mutating func filter(depth: Int = 0) throws -> Filter {
    switch depth < 3 ? random.below(16) : random.below(9) {
    case 0, 1: return .field(try field(), .equals(pick(Self.scalars)))
    case 2: return .field(try field(), .isIn((0..<random.below(6)).map { _ in pick(Self.scalars) }))
    case 3, 4: return .field(try field(), .range(range()))
    case 5: return .field(try field(), .exists)
    case 6: return .field(try field(), .hasValue)
    case 7: return .field(try field(), .within(area()))
    case 8:
      let texts = ["fish", "red fish", "fish red", "blue", "fi", "red fi", "swim fishes", "nothing here"]
      return .field(try field(), .text(TextMatch(pick(TextMatch.Mode.allCases), pick(texts))))
    case 9: return .nested(try FieldPath(names: [pick(Self.names)]), try filter(depth: depth + 1))
    case 10, 11: return .not(try filter(depth: depth + 1))
    case let drawn:
      var parts: [Filter] = []
      for _ in 0..<random.below(4) { parts.append(try filter(depth: depth + 1)) }
      return drawn < 14 ? .and(parts) : .or(parts)
    }
  }
}
