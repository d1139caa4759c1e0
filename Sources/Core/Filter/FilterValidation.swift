// What a filter must satisfy before it is compiled or sent.

extension Filter {
  /// Refuses a filter that exceeds a limit or compares with what has no order: throws
  /// `.limitExceeded` or `.invalidArgument` and names the field.
  public func validate() throws(RoostError) {
    var budget = Limits.filterNodesMax
    try validate(depth: 0, budget: &budget)
  }

  private func validate(depth: Int, budget: inout Int) throws(RoostError) {
    guard depth <= Limits.filterDepthMax else {
      throw RoostError(.limitExceeded, "filter nests deeper than \(Limits.filterDepthMax)", at: "filter")
    }
    budget -= 1
    switch self {
    case .equals(let field, let value):
      _ = try FieldPath(field)
      try Filter.validate(value, field: field)
    case .isIn(let field, let values):
      _ = try FieldPath(field)
      budget -= values.count
      for value in values { try Filter.validate(value, field: field) }
    case .range(let field, let range):
      _ = try FieldPath(field)
      try range.validate(field: field)
    case .exists(let field): _ = try FieldPath(field)
    case .and(let parts), .or(let parts):
      for part in parts { try part.validate(depth: depth + 1, budget: &budget) }
    case .not(let part): try part.validate(depth: depth + 1, budget: &budget)
    }
    guard budget >= 0 else {
      throw RoostError(.limitExceeded, "filter has more than \(Limits.filterNodesMax) nodes", at: "filter")
    }
  }

  private static func validate(_ value: Value, field: String) throws(RoostError) {
    switch value {
    case .array, .map:
      throw RoostError(
        .invalidArgument, "a field cannot be compared with an array or a map", at: "filter field '\(field)'",
        remedy: "compare with one value; it matches any element, and a.b looks inside the map a")
    case .double(let number) where number.isNaN: throw Filter.notANumber(field)
    case .geo(let latitude, let longitude) where latitude.isNaN || longitude.isNaN:
      throw Filter.notANumber(field)
    default: break
    }
  }

  fileprivate static func notANumber(_ field: String) -> RoostError {
    RoostError(.invalidArgument, "nothing compares with NaN", at: "filter field '\(field)'")
  }
}

extension FilterRange {
  fileprivate func validate(field: String) throws(RoostError) {
    let kinds = [try lower.orderedKind(field: field), try upper.orderedKind(field: field)].compactMap { $0 }
    guard let first = kinds.first else {
      throw RoostError(
        .invalidArgument, "a range needs at least one bound", at: "filter field '\(field)'",
        remedy: "use exists(\(field)) to ask whether the field is there")
    }
    guard kinds.allSatisfy({ $0 == first }) else {
      throw RoostError(
        .invalidArgument, "the bounds of a range are of different types", at: "filter field '\(field)'")
    }
  }
}

extension FilterRange.Bound {
  package var value: Value? {
    switch self {
    case .unbounded: nil
    case .inclusive(let value), .exclusive(let value): value
    }
  }

  /// The type in whose order the bound stands; nil when unbounded.
  fileprivate func orderedKind(field: String) throws(RoostError) -> UInt8? {
    switch value {
    case nil: return nil
    case .double(let number)? where number.isNaN: throw Filter.notANumber(field)
    case .int?, .double?: return ValueTag.double
    case .string?: return ValueTag.string
    case .bytes?: return ValueTag.bytes
    case .datetime?: return ValueTag.datetime
    default:
      throw RoostError(
        .invalidArgument, "a range needs numbers, text, bytes or datetimes as bounds",
        at: "filter field '\(field)'")
    }
  }
}
