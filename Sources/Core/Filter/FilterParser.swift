// Reads the filter language that people type (`spec/filter.md`, "Text") by recursive descent:
//   or := and ("or" and)*    and := not ("and" not)*    not := "not" not | primary

extension Filter {
  /// Reads filter text such as `section = "graphics" and size in 100..2000`.
  /// Throws `.invalidArgument` with the place `filter line L, character C` (from 1), or `.limitExceeded`.
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

  /// The line and the character in it (from 1) at which `Filter(text:)` found the error, for a caret.
  public static func position(of error: RoostError) -> (line: Int, character: Int)? {
    let prefix = "filter line "
    guard error.place.hasPrefix(prefix) else { return nil }
    let numbers = error.place.dropFirst(prefix.count).split(separator: ", character ")
    guard numbers.count == 2, let line = Int(numbers[0]), let character = Int(numbers[1]) else { return nil }
    return (line, character)
  }
}

struct FilterParser {
  /// Parentheses and `not` that may be open at once. They need not make nodes, so this bounds the
  /// recursion; `Filter.validate` bounds the tree.
  private static let nestingMax = 2 * Limits.filterDepthMax + 2

  private(set) var lexer: FilterLexer
  private(set) var token: FilterToken
  var nesting = 0

  init(_ text: String) throws(RoostError) {
    lexer = FilterLexer(Array(text.utf8))
    token = try lexer.next()
  }

  mutating func parse() throws(RoostError) -> Filter {
    let filter = try disjunction()
    guard token.kind == .end else { throw expected("'and', 'or' or the end") }
    return filter
  }

  mutating func disjunction() throws(RoostError) -> Filter {
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

  mutating func descend(_ offset: Int) throws(RoostError) {
    nesting += 1
    guard nesting <= FilterParser.nestingMax else {
      throw RoostError(
        .limitExceeded, "filter nests deeper than \(FilterParser.nestingMax)",
        at: lexer.place(offset))
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
      let path = try path()
      guard try takeSymbol(")") else { throw expected("')'") }
      return .field(path, .exists)
    }
    // `true` and `false` stand alone; before an operator they would be a bound, which they cannot be.
    if try takeKeyword("true") { return .and([]) }
    if try takeKeyword("false") { return .or([]) }
    if let value = try takeLiteral() { return try chain(from: value) }
    let isPlainWord = if case .word("has-id") = token.kind { true } else { false }
    let path = try path()
    if isPlainWord, token.kind == .symbol("(") { return .hasID(try ids()) }
    return try condition(on: path)
  }

  /// `1 < size <= 5`: both bounds around the field. `5 > size` alone is read too.
  private mutating func chain(from first: Value) throws(RoostError) -> Filter {
    guard let left = try takeOperator(["<", "<=", ">", ">="]) else {
      throw expected("'<', '<=', '>' or '>=' after a value")
    }
    let path = try path()
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
    return .field(path, .range(range))
  }

  private mutating func path() throws(RoostError) -> FieldPath {
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
      return try FieldPath(names: names)
    } catch {
      throw RoostError(error.kind, error.message, at: lexer.place(start))
    }
  }

  mutating func literal() throws(RoostError) -> Value {
    if let value = try takeLiteral() { return value }
    if try takeKeyword("true") { return .bool(true) }
    if try takeKeyword("false") { return .bool(false) }
    switch token.kind {
    case .word(let word) where !FilterLexer.reserved.contains(word.lowercased()):
      throw expected("a value", remedy: "put text in quotes: \"\(word)\"")
    case .largeInteger(let number):
      throw lexer.error(
        "\(number) does not fit into 64 bits with a sign", at: token.offset,
        remedy: "write it as \(number).0")
    default: throw expected("a value (a number, \"text\", true, false, null, a date or geo\"…\")")
    }
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

  mutating func advance() throws(RoostError) { token = try lexer.next() }

  mutating func takeKeyword(_ keyword: String) throws(RoostError) -> Bool {
    guard case .word(let word) = token.kind, word.lowercased() == keyword else { return false }
    try advance()
    return true
  }

  mutating func takeSymbol(_ symbol: String) throws(RoostError) -> Bool {
    guard token.kind == .symbol(symbol) else { return false }
    try advance()
    return true
  }

  private mutating func takeOperator(_ symbols: [String]) throws(RoostError) -> String? {
    for symbol in symbols where try takeSymbol(symbol) { return symbol }
    return nil
  }

  func expected(_ what: String, remedy: String = "") -> RoostError {
    var remedy = remedy
    let found =
      switch token.kind {
      case .word(let text): "'\(text)'"
      case .name(let text): "`\(text)`"
      case .literal(let value): FilterText.text(of: value)
      case .largeInteger(let number): "\(number)"
      case .symbol(let text): "'\(text)'"
      case .end: "the end"
      }
    if remedy.isEmpty {
      switch token.kind {
      case .symbol("&"): remedy = "write 'and'"
      case .symbol("|"): remedy = "write 'or'"
      case .symbol("!"): remedy = "write 'not'"
      default: break
      }
    }
    return lexer.error("expected \(what), found \(found)", at: token.offset, remedy: remedy)
  }
}
