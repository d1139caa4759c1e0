// What may follow a field name in filter text: comparisons, lists, words, areas, null and nested filters.

extension FilterParser {
  mutating func condition(on path: FieldPath) throws(RoostError) -> Filter {
    if try takeSymbol("=") { return .field(path, .equals(try literal())) }
    if try takeSymbol("!=") { return .not(.field(path, .equals(try literal()))) }
    if try takeSymbol("<") { return .field(path, .range(FilterRange(upper: .exclusive(try literal())))) }
    if try takeSymbol("<=") { return .field(path, .range(FilterRange(upper: .inclusive(try literal())))) }
    if try takeSymbol(">") { return .field(path, .range(FilterRange(lower: .exclusive(try literal())))) }
    if try takeSymbol(">=") { return .field(path, .range(FilterRange(lower: .inclusive(try literal())))) }
    if token.kind == .symbol("[") { return try nested(path) }
    if try takeKeyword("is") { return try state(path) }
    if try takeKeyword("not") {
      guard let filter = try wordCondition(path) else {
        throw expected("'in', 'contains', 'starts with', 'matches' or 'within' after 'not'")
      }
      return .not(filter)
    }
    if let filter = try wordCondition(path) { return filter }
    throw expected(
      "an operator after the field name (= != < <= > >= in, contains, starts with, matches, within, is, [)")
  }

  /// A condition whose operator is a word; these words are no keywords elsewhere.
  private mutating func wordCondition(_ path: FieldPath) throws(RoostError) -> Filter? {
    if try takeKeyword("in") { return .field(path, try membership()) }
    if try takeKeyword("contains") { return try containment(path) }
    if try takeKeyword("starts") {
      guard try takeKeyword("with") else { throw expected("'with' after 'starts'") }
      return .field(path, .range(FilterRange(startingWith: try text("after 'starts with'"))))
    }
    if try takeKeyword("matches") { return .field(path, .text(try words())) }
    if try takeKeyword("within") { return .field(path, .within(try area())) }
    return nil
  }

  private mutating func membership() throws(RoostError) -> FieldPredicate {
    if token.kind == .symbol("(") {
      return .isIn(try list { (parser) throws(RoostError) in try parser.literal() })
    }
    let lower = try literal()
    guard try takeSymbol("..") else { throw expected("'..' and the upper end of the range") }
    return .range(FilterRange(lower: .inclusive(lower), upper: .inclusive(try literal())))
  }

  private mutating func containment(_ path: FieldPath) throws(RoostError) -> Filter {
    let isAll = try takeKeyword("all")
    var isList = isAll
    if !isList { isList = try takeKeyword("any") }
    if isList {
      guard token.kind == .symbol("(") else { throw expected("'(' and values") }
      let values = try list { (parser) throws(RoostError) in try parser.literal() }
      guard isAll else { return .field(path, .isIn(values)) }
      return values.count == 1
        ? .field(path, .equals(values[0])) : .and(values.map { .field(path, .equals($0)) })
    }
    return .field(path, .equals(try literal()))
  }

  /// `( element, … )`, possibly empty.
  private mutating func list<T>(
    _ element: (inout FilterParser) throws(RoostError) -> T
  ) throws(RoostError) -> [T] {
    guard try takeSymbol("(") else { throw expected("'('") }
    if try takeSymbol(")") { return [] }
    var values: [T] = []
    repeat { values.append(try element(&self)) } while try takeSymbol(",")
    guard try takeSymbol(")") else { throw expected("',' or ')'") }
    return values
  }

  mutating func ids() throws(RoostError) -> [RecordID] {
    try list { (parser) throws(RoostError) in try parser.id() }
  }

  private mutating func id() throws(RoostError) -> RecordID {
    let start = token.offset
    let id: RecordID
    switch token.kind {
    case .literal(.int(let number)) where number >= 0: id = .number(UInt64(number))
    case .largeInteger(let number): id = .number(number)
    case .literal(.string(let key)): id = .key(key)
    default: throw expected("an id (a number from 0 on, or a \"key\")")
    }
    try advance()
    do {
      try id.validate()
      return id
    } catch {
      throw RoostError(error.kind, error.message, at: lexer.place(start))
    }
  }

  private mutating func text(_ place: String) throws(RoostError) -> String {
    guard case .literal(.string(let text)) = token.kind else { throw expected("\"text\" \(place)") }
    try advance()
    return text
  }

  private mutating func words() throws(RoostError) -> TextMatch {
    var mode = TextMatch.Mode.all
    for candidate in TextMatch.Mode.allCases where try takeKeyword("\(candidate)") {
      mode = candidate
      break
    }
    return TextMatch(mode, try text("or one of 'all', 'any', 'phrase', 'prefix' after 'matches'"))
  }

  private mutating func state(_ path: FieldPath) throws(RoostError) -> Filter {
    let isNegated = try takeKeyword("not")
    let filter: Filter
    if try takeKeyword("null") {
      filter = .field(path, .equals(.null))
    } else if try takeKeyword("missing") {
      return isNegated ? .field(path, .exists) : .not(.field(path, .exists))
    } else if try takeKeyword("empty") {
      return isNegated ? .field(path, .hasValue) : .not(.field(path, .hasValue))
    } else {
      throw expected("'null', 'missing' or 'empty' after 'is'")
    }
    return isNegated ? .not(filter) : filter
  }

  private mutating func nested(_ path: FieldPath) throws(RoostError) -> Filter {
    try descend(token.offset)
    defer { nesting -= 1 }
    try advance()
    let filter = try disjunction()
    guard try takeSymbol("]") else { throw expected("']'") }
    return .nested(path, filter)
  }

  private mutating func area() throws(RoostError) -> GeoArea {
    if try takeKeyword("box") {
      let start = token.offset
      let corners = try list { (parser) throws(RoostError) in try parser.point() }
      guard corners.count == 2 else {
        throw lexer.error(
          "expected the south-west and the north-east corner of a box, found \(corners.count) points",
          at: start)
      }
      return .box(southWest: corners[0], northEast: corners[1])
    }
    if try takeKeyword("polygon") {
      return .polygon(try list { (parser) throws(RoostError) in try parser.point() })
    }
    let start = token.offset
    guard case .literal(let value) = token.kind else {
      throw expected("a distance such as '5 km', 'box' or 'polygon' after 'within'")
    }
    let distance: Double
    switch value {
    case .int(let number): distance = Double(number)
    case .double(let number): distance = number
    default: throw expected("a distance such as '5 km', 'box' or 'polygon' after 'within'")
    }
    guard distance >= 0 else { throw lexer.error("expected a distance from 0 on", at: start) }
    try advance()
    let meters: Double
    if try takeKeyword("km") {
      meters = distance * 1000
    } else if try takeKeyword("m") {
      meters = distance
    } else {
      throw expected("'m' or 'km' after the distance")
    }
    guard try takeKeyword("of") else { throw expected("'of' and a place") }
    return .circle(center: try point(), radiusMeters: meters)
  }

  private mutating func point() throws(RoostError) -> GeoPoint {
    guard case .literal(.geo(let latitude, let longitude)) = token.kind else {
      throw expected("a place such as geo\"48.2,16.37\"")
    }
    try advance()
    return GeoPoint(latitude: latitude, longitude: longitude)
  }
}

extension FilterRange {
  /// All strings that begin with `prefix`: from it up to, without, the first string above them all.
  public init(startingWith prefix: String) {
    self.init(lower: .inclusive(.string(prefix)))
    // UTF-8 sorts as scalars do, so that is the prefix with its last scalar raised by one.
    var scalars = Array(prefix.unicodeScalars)
    while let last = scalars.popLast() {
      // 0xD800...0xDFFF are no scalars.
      if let next = Unicode.Scalar(last.value == 0xD7FF ? 0xE000 : last.value + 1) {
        var end = String.UnicodeScalarView(scalars)
        end.append(next)
        upper = .exclusive(.string(String(end)))
        return
      }
    }
  }
}
