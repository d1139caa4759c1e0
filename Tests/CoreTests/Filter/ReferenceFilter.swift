// The meaning of a filter, written to be obviously right: over a decoded payload, with no thought of speed.

import Core

/// The slow evaluator that `CompiledFilter` is compared with.
enum ReferenceFilter {
  static func matches(_ filter: Filter, _ payload: Payload, id: RecordID) -> Bool {
    switch filter {
    case .and(let parts): parts.allSatisfy { matches($0, payload, id: id) }
    case .or(let parts): parts.contains { matches($0, payload, id: id) }
    case .not(let part): !matches(part, payload, id: id)
    case .hasID(let ids): ids.contains(id)
    case .nested(let path, let part):
      values(at: path, payload).flatMap(maps).contains { matches(part, Payload($0), id: id) }
    case .field(let path, .exists): !values(at: path, payload).isEmpty
    case .field(let path, .hasValue):
      values(at: path, payload).contains { value in
        !maps(value).isEmpty || scalars(value).contains { $0 != .null }
      }
    case .field(let path, let predicate):
      values(at: path, payload).flatMap(scalars).contains { passes($0, predicate) }
    }
  }

  private static func passes(_ value: Value, _ predicate: FieldPredicate) -> Bool {
    switch (predicate, value) {
    case (.equals(let wanted), _): isEqual(value, wanted)
    case (.isIn(let list), _): list.contains { isEqual(value, $0) }
    case (.range(let range), _):
      isWithin(value, range.lower, wantedOrder: -1) && isWithin(value, range.upper, wantedOrder: 1)
    case (.text(let match), .string(let text)): ReferenceWords.matches(match, text)
    case (.within(let area), .geo(let latitude, let longitude)):
      ReferenceArea.contains(area, GeoPoint(latitude: latitude, longitude: longitude))
    default: false
    }
  }

  /// What stands at the path; an array on the way is looked into, element by element.
  private static func values(at path: FieldPath, _ payload: Payload) -> [Value] {
    var found: [Value] = [.map(payload.fields)]
    for name in path.names {
      found = found.flatMap(maps).compactMap { fields in
        fields.first { $0.key.utf8.elementsEqual(name.utf8) }?.value
      }
    }
    return found
  }

  private static func maps(_ value: Value) -> [[String: Value]] {
    switch value {
    case .map(let fields): [fields]
    case .array(let values): values.flatMap(maps)
    default: []
    }
  }

  private static func scalars(_ value: Value) -> [Value] {
    switch value {
    case .array(let values): values.flatMap(scalars)
    case .map: []
    default: [value]
    }
  }

  private static func isEqual(_ a: Value, _ b: Value) -> Bool {
    if let order = order(a, b) { return order == 0 }
    switch (a, b) {
    case (.null, .null): return true
    case (.bool(let x), .bool(let y)): return x == y
    case (.geo(let latitude, let longitude), .geo(let otherLatitude, let otherLongitude)):
      return latitude == otherLatitude && longitude == otherLongitude
    default: return false
    }
  }

  /// `bound` compares with `value` as `wantedOrder`, or equally when the bound is inclusive.
  private static func isWithin(_ value: Value, _ bound: FilterRange.Bound, wantedOrder: Int) -> Bool {
    switch bound {
    case .unbounded: true
    case .inclusive(let limit): order(limit, value).map { $0 == wantedOrder || $0 == 0 } ?? false
    case .exclusive(let limit): order(limit, value).map { $0 == wantedOrder } ?? false
    }
  }

  /// -1, 0 or 1; nil for values that have no common order.
  private static func order(_ a: Value, _ b: Value) -> Int? {
    switch (a, b) {
    case (.int(let x), .int(let y)): sign(x, y)
    case (.datetime(let x), .datetime(let y)): sign(x, y)
    case (.double(let x), .double(let y)): sign(x, y)
    case (.int(let x), .double(let y)): order(x, y)
    case (.double(let x), .int(let y)): -order(y, x)
    case (.string(let x), .string(let y)): order(Array(x.utf8), Array(y.utf8))
    case (.bytes(let x), .bytes(let y)): order(x, y)
    default: nil
    }
  }

  private static func order(_ int: Int64, _ double: Double) -> Int {
    if double >= 0x1p63 { return -1 }
    if double < -0x1p63 { return 1 }
    let whole = double.rounded(.towardZero)  // exact, and fits
    let order = sign(int, Int64(whole))
    return order != 0 ? order : sign(whole, double)
  }

  private static func sign<T: Comparable>(_ x: T, _ y: T) -> Int { x < y ? -1 : x == y ? 0 : 1 }

  private static func order(_ x: [UInt8], _ y: [UInt8]) -> Int {
    x.lexicographicallyPrecedes(y) ? -1 : x == y ? 0 : 1
  }
}
