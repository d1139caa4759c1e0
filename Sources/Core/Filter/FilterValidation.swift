// What a filter must satisfy before it is compiled or sent.

/// What is left of the limits of one filter.
struct FilterBudget {
  private var nodes = Limits.filterNodesMax
  private var values = Limits.filterValuesMax

  mutating func spendNode(depth: Int) throws(RoostError) {
    guard depth <= Limits.filterDepthMax else {
      throw RoostError(.limitExceeded, "filter nests deeper than \(Limits.filterDepthMax)", at: "filter")
    }
    nodes -= 1
    guard nodes >= 0 else {
      throw RoostError(.limitExceeded, "filter has more than \(Limits.filterNodesMax) parts", at: "filter")
    }
  }

  mutating func spendValues(_ count: Int) throws(RoostError) {
    values -= count
    guard values >= 0 else {
      throw RoostError(
        .limitExceeded, "the lists of a filter hold more than \(Limits.filterValuesMax) values in all",
        at: "filter", remedy: "split the filter, or mark the records with a field and ask for that")
    }
  }
}

extension Filter {
  /// Refuses a filter that exceeds a limit or compares with what has no order: throws
  /// `.limitExceeded` or `.invalidArgument` and names the field.
  public func validate() throws(RoostError) {
    var budget = FilterBudget()
    try validate(depth: 0, budget: &budget)
  }

  private func validate(depth: Int, budget: inout FilterBudget) throws(RoostError) {
    try budget.spendNode(depth: depth)
    switch self {
    case .field(let path, let predicate): try predicate.validate(path, budget: &budget)
    case .nested(_, let part), .not(let part): try part.validate(depth: depth + 1, budget: &budget)
    case .hasID(let ids):
      try budget.spendValues(ids.count)
      for id in ids { try id.validate() }
    case .and(let parts), .or(let parts):
      for part in parts { try part.validate(depth: depth + 1, budget: &budget) }
    }
  }
}

extension FieldPredicate {
  fileprivate func validate(_ path: FieldPath, budget: inout FilterBudget) throws(RoostError) {
    let place = "filter field '\(path.text)'"
    switch self {
    case .exists, .hasValue: break
    case .equals(let value): try FieldPredicate.validate(value, at: place)
    case .isIn(let values):
      try budget.spendValues(values.count)
      for value in values { try FieldPredicate.validate(value, at: place) }
    case .range(let range): try range.validate(path, at: place)
    case .text(let match): try match.validate(at: place)
    case .within(let area):
      if case .polygon(let points) = area { try budget.spendValues(points.count) }
      try area.validate(at: place)
    }
  }

  private static func validate(_ value: Value, at place: String) throws(RoostError) {
    switch value {
    case .array, .map:
      throw RoostError(
        .invalidArgument, "a field cannot be compared with an array or a map", at: place,
        remedy: "compare with one value; it matches any element, and a.b looks inside the map a")
    case .double(let number) where number.isNaN: throw notANumber(at: place)
    case .geo(let latitude, let longitude) where latitude.isNaN || longitude.isNaN:
      throw notANumber(at: place)
    default: break
    }
  }

  fileprivate static func notANumber(at place: String) -> RoostError {
    RoostError(.invalidArgument, "nothing compares with NaN", at: place)
  }
}

extension TextMatch {
  fileprivate func validate(at place: String) throws(RoostError) {
    guard text.utf8.count <= Limits.filterWordsBytesMax else {
      throw RoostError(
        .limitExceeded,
        "\(text.utf8.count) bytes of words to look for, the limit is \(Limits.filterWordsBytesMax)", at: place
      )
    }
    let words = TextTokenizer.words(of: text).count
    guard words > 0 else {
      throw RoostError(
        .invalidArgument, "there is no word to look for in '\(text)'", at: place,
        remedy: "words are made of letters and digits; use = to compare the whole text")
    }
    guard words <= Limits.filterWordsMax else {
      throw RoostError(
        .limitExceeded, "\(words) words to look for, the limit is \(Limits.filterWordsMax)", at: place)
    }
  }
}

extension FilterRange {
  fileprivate func validate(_ path: FieldPath, at place: String) throws(RoostError) {
    let kinds = [try lower.orderedKind(at: place), try upper.orderedKind(at: place)].compactMap { $0 }
    guard let first = kinds.first else {
      throw RoostError(
        .invalidArgument, "a range needs at least one bound", at: place,
        remedy: "use exists(\(path.text)) to ask whether the field is there")
    }
    guard kinds.allSatisfy({ $0 == first }) else {
      throw RoostError(.invalidArgument, "the bounds of a range are of different types", at: place)
    }
  }
}

extension FilterRange.Bound {
  /// The type in whose order the bound stands; nil when unbounded.
  fileprivate func orderedKind(at place: String) throws(RoostError) -> UInt8? {
    switch value {
    case nil: return nil
    case .double(let number)? where number.isNaN: throw FieldPredicate.notANumber(at: place)
    case .int?, .double?: return ValueTag.double
    case .string?: return ValueTag.string
    case .bytes?: return ValueTag.bytes
    case .datetime?: return ValueTag.datetime
    default:
      throw RoostError(
        .invalidArgument, "a range needs numbers, text, bytes or datetimes as bounds", at: place)
    }
  }
}
