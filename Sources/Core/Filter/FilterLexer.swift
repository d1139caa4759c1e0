// Cuts filter text into tokens (`spec/filter.md`, "Text"). Positions are bytes here; errors turn them
// into the character a person would point at.

/// A token and where it starts.
struct FilterToken: Equatable {
  enum Kind: Equatable {
    /// A bare word: a field name or, when it is one of `FilterLexer.reserved` in any case, a keyword.
    case word(String)
    /// A name in backticks; never a keyword.
    case name(String)
    case literal(Value)
    /// An integer that only an id can be: above 2^63 - 1.
    case largeInteger(UInt64)
    /// One of `FilterLexer.symbols`, or a character that means nothing.
    case symbol(String)
    case end
  }

  var kind: Kind
  var offset: Int
}

/// Reads one token after the other from filter text.
struct FilterLexer {
  static let reserved: Set<String> = [
    "and", "or", "not", "in", "exists", "true", "false", "null", "infinity",
  ]

  static let symbols = ["..", "!=", "<=", ">=", "==", "=", "<", ">", "(", ")", "[", "]", ",", "."]

  let bytes: [UInt8]
  private var offset = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  static func isWordStart(_ byte: UInt8) -> Bool {
    byte >= 0x80 || byte == UInt8(ascii: "_") || isLetter(byte)
  }

  static func isWordPart(_ byte: UInt8) -> Bool {
    isWordStart(byte) || byte == UInt8(ascii: "-") || isDigit(byte)
  }

  private static func isLetter(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte | 0x20)
  }

  private static func isDigit(_ byte: UInt8) -> Bool {
    (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
  }

  /// An error at byte `offset`. Lines and characters count from 1, as a caret under the text wants it.
  func error(_ message: String, at offset: Int, remedy: String = "") -> RoostError {
    RoostError(.invalidArgument, message, at: place(offset), remedy: remedy)
  }

  func place(_ offset: Int) -> String {
    let before = bytes[..<min(offset, bytes.count)]
    let line = before.count { $0 == 0x0a } + 1
    let start = before.lastIndex(of: 0x0a).map { $0 + 1 } ?? 0
    return "filter line \(line), character \(String(decoding: before[start...], as: UTF8.self).count + 1)"
  }

  mutating func next() throws(RoostError) -> FilterToken {
    while offset < bytes.count, [0x20, 0x09, 0x0a, 0x0d].contains(bytes[offset]) { offset += 1 }
    let start = offset
    guard let first = peek(0) else { return FilterToken(kind: .end, offset: start) }
    if FilterLexer.isWordStart(first) { return FilterToken(kind: try word(), offset: start) }
    if FilterLexer.isDigit(first) { return FilterToken(kind: try number(), offset: start) }
    switch first {
    case UInt8(ascii: "\""), UInt8(ascii: "'"):
      return FilterToken(kind: .literal(.string(try quoted())), offset: start)
    case UInt8(ascii: "`"): return FilterToken(kind: .name(try quoted()), offset: start)
    case UInt8(ascii: "-"):
      if let digit = peek(1), FilterLexer.isDigit(digit) {
        return FilterToken(kind: try number(), offset: start)
      }
      offset += 1
      if case .word(let text) = try next().kind, text.lowercased() == "infinity" {
        return FilterToken(kind: .literal(.double(-.infinity)), offset: start)
      }
      throw error("expected a number after '-'", at: start)
    default: return FilterToken(kind: .symbol(symbol()), offset: start)
    }
  }

  private func peek(_ distance: Int) -> UInt8? {
    offset + distance < bytes.count ? bytes[offset + distance] : nil
  }

  private mutating func word() throws(RoostError) -> FilterToken.Kind {
    let start = offset
    while let byte = peek(0), FilterLexer.isWordPart(byte) { offset += 1 }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    let isQuoted = peek(0) == UInt8(ascii: "\"") || peek(0) == UInt8(ascii: "'")
    guard isQuoted else { return .word(text) }
    switch text {
    case "datetime":
      let content = try quoted()
      guard let micros = DatetimeText.parse(content) else {
        throw error(
          "'\(content)' is not a date and time", at: start, remedy: "write datetime\"2026-01-02T03:04:05Z\"")
      }
      return .literal(.datetime(micros))
    case "geo":
      let content = try quoted()
      let parts = content.filter { $0 != " " }.split(separator: ",", omittingEmptySubsequences: false)
      guard parts.count == 2, let latitude = Double(parts[0]), let longitude = Double(parts[1]) else {
        throw error("'\(content)' is not a place on earth", at: start, remedy: "write geo\"48.2,16.37\"")
      }
      return .literal(.geo(latitude: latitude, longitude: longitude))
    case "bytes":
      let content = try quoted()
      guard let decoded = [UInt8](hex: content) else {
        throw error("'\(content)' is not bytes in hexadecimal", at: start, remedy: "write bytes\"00ff\"")
      }
      return .literal(.bytes(decoded))
    default:
      throw error(
        "expected an operator after '\(text)', found a quote", at: offset,
        remedy: "only datetime, geo and bytes stand directly before a quote")
    }
  }

  private mutating func number() throws(RoostError) -> FilterToken.Kind {
    let start = offset
    var isInteger = true
    if peek(0) == UInt8(ascii: "-") { offset += 1 }
    skipDigits()
    if offset - start == 4, bytes[start] != UInt8(ascii: "-"), peek(0) == UInt8(ascii: "-") {
      return .literal(try datetime(start))
    }
    // A range `1..5` follows its first number without a space.
    if peek(0) == UInt8(ascii: "."), let digit = peek(1), FilterLexer.isDigit(digit) {
      isInteger = false
      offset += 1
      skipDigits()
    }
    if let mark = peek(0), mark | 0x20 == UInt8(ascii: "e") {
      let sign = peek(1) == UInt8(ascii: "+") || peek(1) == UInt8(ascii: "-") ? 1 : 0
      if let digit = peek(1 + sign), FilterLexer.isDigit(digit) {
        isInteger = false
        offset += 1 + sign
        skipDigits()
      }
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    if let byte = peek(0), FilterLexer.isWordPart(byte), !isUnit {
      throw error(
        "a number and a letter touch after '\(text)'", at: offset, remedy: "quote text: \"\(text)…\"")
    }
    if isInteger {
      if let value = Int64(text) { return .literal(.int(value)) }
      if let value = UInt64(text) { return .largeInteger(value) }
      throw error("\(text) does not fit into 64 bits", at: start, remedy: "write it as \(text).0")
    }
    guard let value = Double(text), value.isFinite else {
      throw error("\(text) is too large for a number", at: start, remedy: "write infinity if you mean it")
    }
    return .literal(.double(value))
  }

  /// Whether a unit of length stands directly behind a number, as in `5km`.
  private var isUnit: Bool {
    for unit in ["km", "m"] where bytes[offset...].starts(with: unit.utf8) {
      guard let next = peek(unit.utf8.count) else { return true }
      if !FilterLexer.isWordPart(next) { return true }
    }
    return false
  }

  /// A date, or a date and time, that begins with four digits and a hyphen.
  private mutating func datetime(_ start: Int) throws(RoostError) -> Value {
    while let byte = peek(0) {
      // `..` behind it belongs to a range.
      let isFraction = byte == UInt8(ascii: ".") && peek(1).map(FilterLexer.isDigit) ?? false
      guard
        FilterLexer.isWordPart(byte) || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "+") || isFraction
      else { break }
      offset += 1
    }
    let text = String(decoding: bytes[start..<offset], as: UTF8.self)
    guard let micros = DatetimeText.parse(text) else {
      throw error(
        "expected a date and time, found '\(text)'", at: start,
        remedy: "write 2026-01-31 or 2026-01-31T12:00:00Z")
    }
    return .datetime(micros)
  }

  private mutating func skipDigits() {
    while let byte = peek(0), FilterLexer.isDigit(byte) { offset += 1 }
  }

  /// Text between two equal quotes. Escapes: \" \' \` \\ \n \r \t \u{hex}.
  private mutating func quoted() throws(RoostError) -> String {
    let start = offset
    let quote = bytes[offset]
    offset += 1
    var content: [UInt8] = []
    while let byte = peek(0) {
      let position = offset
      offset += 1
      if byte == quote { return String(decoding: content, as: UTF8.self) }
      guard byte == UInt8(ascii: "\\") else {
        content.append(byte)
        continue
      }
      guard let escape = peek(0) else { break }
      offset += 1
      switch escape {
      case UInt8(ascii: "\""), UInt8(ascii: "'"), UInt8(ascii: "`"), UInt8(ascii: "\\"):
        content.append(escape)
      case UInt8(ascii: "n"): content.append(0x0a)
      case UInt8(ascii: "r"): content.append(0x0d)
      case UInt8(ascii: "t"): content.append(0x09)
      case UInt8(ascii: "u"): content.append(contentsOf: String(try unicodeEscape(position)).utf8)
      default:
        throw error(
          "unknown escape after '\\'", at: position,
          remedy: "the escapes are \\\" \\' \\` \\\\ \\n \\r \\t \\u{…}")
      }
    }
    let mark = Unicode.Scalar(quote)
    throw error(
      "the text that starts here has no closing \(mark)", at: start, remedy: "add \(mark) at its end")
  }

  private mutating func unicodeEscape(_ position: Int) throws(RoostError) -> Unicode.Scalar {
    var code: UInt32 = 0
    var digits = 0
    if peek(0) == UInt8(ascii: "{") {
      offset += 1
      while let byte = peek(0), let digit = hexDigit(byte), digits < 6 {
        code = code << 4 | UInt32(digit)
        digits += 1
        offset += 1
      }
      if digits > 0, peek(0) == UInt8(ascii: "}"), let scalar = Unicode.Scalar(code) {
        offset += 1
        return scalar
      }
    }
    throw error("expected \\u{…} with 1 to 6 hexadecimal digits of a Unicode scalar", at: position)
  }

  private mutating func symbol() -> String {
    for symbol in FilterLexer.symbols where bytes[offset...].starts(with: symbol.utf8) {
      offset += symbol.utf8.count
      return symbol == "==" ? "=" : symbol
    }
    offset += 1
    return String(Unicode.Scalar(bytes[offset - 1]))
  }
}

private func hexDigit(_ byte: UInt8) -> UInt8? {
  switch byte {
  case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
  case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
  case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
  default: nil
  }
}

extension [UInt8] {
  /// Decodes pairs of hexadecimal digits; nil for anything else.
  init?(hex text: String) {
    let digits = text.utf8.map(hexDigit)
    guard digits.count % 2 == 0 else { return nil }
    self = []
    for index in stride(from: 0, to: digits.count, by: 2) {
      guard let high = digits[index], let low = digits[index + 1] else { return nil }
      append(high << 4 | low)
    }
  }

  var hex: String {
    var text = ""
    for byte in self {
      if byte < 16 { text += "0" }
      text += String(byte, radix: 16)
    }
    return text
  }
}
