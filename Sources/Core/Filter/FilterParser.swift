// Reads the filter language that people type (`spec/filter.md`, "Text") by recursive descent:
//   or := and ("or" and)*    and := not ("and" not)*    not := "not" not | primary

extension Filter {
  /// Reads filter text such as `section = "graphics" and size in 100..2000`.
  /// Throws `.invalidArgument` with the place `filter character N` (from 1), or `.limitExceeded`.
  public init(text: String) throws(RoostError) {
    guard text.utf8.count <= Limits.filterTextBytesMax else {
      throw RoostError(
        .limitExceeded, "filter text of \(text.utf8.count) bytes, the limit is \(Limits.filterTextBytesMax)",
        at: "filter")
    }
    var parser = try FilterParser(text)
    self = try parser.parse()
    try validate()
  }

  /// The character (from 1) at which `Filter(text:)` found the error, for a caret under the text.
  public static func position(of error: RoostError) -> Int? {
    let prefix = "filter character "
    guard error.place.hasPrefix(prefix) else { return nil }
    return Int(error.place.dropFirst(prefix.count))
  }
}

struct FilterParser {
  /// Parentheses and `not` that may be open at once. They need not make nodes, so this bounds the
  /// recursion; `Filter.validate` bounds the tree.
  private static let nestingMax = 2 * Limits.filterDepthMax + 2

  private var lexer: FilterLexer
  private var token: FilterToken
  private var nesting = 0

  init(_ text: String) throws(RoostError) {
    lexer = FilterLexer(Array(text.utf8))
    token = try lexer.next()
  }

  mutating func parse() throws(RoostError) -> Filter {
    let filter = try disjunction()
    guard token.kind == .end else { throw expected("'and', 'or' or the end") }
    return filter
  }

  private mutating func disjunction() throws(RoostError) -> Filter {
    var parts = [try conjunction()]
    while try takeKeyword("or") { parts.append(try conjunction()) }
    return parts.count == 1 ? parts[0] : .or(parts)
  }

  private mutating func conjunction() throws(RoostError) -> Filter {
    var parts = [try negation()]
    while try takeKeyword("and") { parts.append(try negation()) }
    return parts.count == 1 ? parts[0] : .and(parts)
  }

  private mutating func negation() throws(RoostError) -> Filter {
    let start = token.offset
    guard try takeKeyword("not") else { return try primary() }
    try descend(start)
    defer { nesting -= 1 }
    return .not(try negation())
  }

  private mutating func descend(_ offset: Int) throws(RoostError) {
    nesting += 1
    guard nesting <= FilterParser.nestingMax else {
      throw RoostError(
        .limitExceeded, "filter nests deeper than \(FilterParser.nestingMax)",
        at: lexer.error("", at: offset).place)
    }
  }

  private mutating func primary() throws(RoostError) -> Filter {
    let start = token.offset
    if try takeSymbol("(") {
      try descend(start)
      defer { nesting -= 1 }
      let filter = try disjunction()
      guard try takeSymbol(")") else { throw expected("')'") }
      return filter
    }
    if try takeKeyword("exists") {
      guard try takeSymbol("(") else { throw expected("'(' and a field name after 'exists'") }
      let field = try path()
      guard try takeSymbol(")") else { throw expected("')'") }
      return .exists(field: field)
    }
    // `true` and `false` stand alone; before an operator they would be a bound, which they cannot be.
    if try takeKeyword("true") { return .and([]) }
    if try takeKeyword("false") { return .or([]) }
    if let value = try takeLiteral() { return try chain(from: value) }
    return try comparison()
  }

  /// `1 < size <= 5`: both bounds around the field. `5 > size` alone is read too.
  private mutating func chain(from first: Value) throws(RoostError) -> Filter {
    guard let left = try takeOperator(["<", "<=", ">", ">="]) else {
      throw expected("'<', '<=', '>' or '>=' after a value")
    }
    let field = try path()
    var range = FilterRange()
    if left.hasPrefix("<") {
      range.lower = left == "<" ? .exclusive(first) : .inclusive(first)
      if let right = try takeOperator(["<", "<="]) {
        let second = try literal()
        range.upper = right == "<" ? .exclusive(second) : .inclusive(second)
      }
    } else {
      range.upper = left == ">" ? .exclusive(first) : .inclusive(first)
      if let right = try takeOperator([">", ">="]) {
        let second = try literal()
        range.lower = right == ">" ? .exclusive(second) : .inclusive(second)
      }
    }
    return .range(field: field, range)
  }

  private mutating func comparison() throws(RoostError) -> Filter {
    let field = try path()
    if try takeSymbol("=") { return .equals(field: field, try literal()) }
    if try takeSymbol("!=") { return .not(.equals(field: field, try literal())) }
    if try takeSymbol("<") { return .range(field: field, FilterRange(upper: .exclusive(try literal()))) }
    if try takeSymbol("<=") { return .range(field: field, FilterRange(upper: .inclusive(try literal()))) }
    if try takeSymbol(">") { return .range(field: field, FilterRange(lower: .exclusive(try literal()))) }
    if try takeSymbol(">=") { return .range(field: field, FilterRange(lower: .inclusive(try literal()))) }
    if try takeKeyword("in") { return try membership(field) }
    if try takeKeyword("not") {
      guard try takeKeyword("in") else { throw expected("'in' after 'not'") }
      return .not(try membership(field))
    }
    throw expected("an operator (= != < <= > >= in) after the field name")
  }

  private mutating func membership(_ field: String) throws(RoostError) -> Filter {
    guard try takeSymbol("(") else {
      let lower = try literal()
      guard try takeSymbol("..") else { throw expected("'..' and the upper end of the range") }
      return .range(field: field, FilterRange(lower: .inclusive(lower), upper: .inclusive(try literal())))
    }
    var values: [Value] = []
    if try takeSymbol(")") { return .isIn(field: field, values) }
    repeat {
      values.append(try literal())
    } while try takeSymbol(",")
    guard try takeSymbol(")") else { throw expected("',' or ')'") }
    return .isIn(field: field, values)
  }

  private mutating func path() throws(RoostError) -> String {
    let start = token.offset
    var names: [String] = []
    repeat {
      switch token.kind {
      case .name(let name): names.append(name)
      case .word(let word) where !FilterLexer.reserved.contains(word.lowercased()): names.append(word)
      case .word(let word):
        throw expected("a field name", remedy: "write `\(word)` in backticks if it is the name of a field")
      default: throw expected("a field name")
      }
      try advance()
    } while try takeSymbol(".")
    do {
      return try FieldPath(names: names).text
    } catch {
      throw RoostError(error.kind, error.message, at: lexer.error("", at: start).place)
    }
  }

  private mutating func literal() throws(RoostError) -> Value {
    if let value = try takeLiteral() { return value }
    if try takeKeyword("true") { return .bool(true) }
    if try takeKeyword("false") { return .bool(false) }
    if case .word(let word) = token.kind, !FilterLexer.reserved.contains(word.lowercased()) {
      throw expected("a value", remedy: "put text in quotes: \"\(word)\"")
    }
    throw expected("a value (a number, \"text\", true, false, null or datetime\"…\")")
  }

  private mutating func takeLiteral() throws(RoostError) -> Value? {
    if case .literal(let value) = token.kind {
      try advance()
      return value
    }
    if try takeKeyword("null") { return .null }
    if try takeKeyword("infinity") { return .double(.infinity) }
    return nil
  }

  private mutating func advance() throws(RoostError) { token = try lexer.next() }

  private mutating func takeKeyword(_ keyword: String) throws(RoostError) -> Bool {
    guard case .word(let word) = token.kind, word.lowercased() == keyword else { return false }
    try advance()
    return true
  }

  private mutating func takeSymbol(_ symbol: String) throws(RoostError) -> Bool {
    guard token.kind == .symbol(symbol) else { return false }
    try advance()
    return true
  }

  private mutating func takeOperator(_ symbols: [String]) throws(RoostError) -> String? {
    for symbol in symbols where try takeSymbol(symbol) { return symbol }
    return nil
  }

  private func expected(_ what: String, remedy: String = "") -> RoostError {
    let found =
      switch token.kind {
      case .word(let text): "'\(text)'"
      case .name(let text): "`\(text)`"
      case .literal(let value): FilterText.text(of: value)
      case .symbol(let text): "'\(text)'"
      case .end: "the end"
      }
    return lexer.error("expected \(what), found \(found)", at: token.offset, remedy: remedy)
  }
}
