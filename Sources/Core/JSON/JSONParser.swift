// Reads JSON text. Strict: exactly one value, no comments, no trailing commas, no repeated names.

extension JSON {
  /// Values that may be open at once.
  static let depthMax = 64

  /// Throws `.invalidArgument` with the place `JSON byte N` (from 1).
  public init(parsing text: String) throws(RoostError) {
    try self.init(parsing: Array(text.utf8))
  }

  public init(parsing bytes: [UInt8]) throws(RoostError) {
    self = try bytes.withUnsafeBufferPointer { (bytes) throws(RoostError) in
      var parser = JSONParser(bytes: bytes)
      return try parser.document()
    }
  }
}

private struct JSONParser {
  let bytes: UnsafeBufferPointer<UInt8>
  private var offset = 0
  private var depth = 0

  init(bytes: UnsafeBufferPointer<UInt8>) { self.bytes = bytes }

  mutating func document() throws(RoostError) -> JSON {
    let value = try value()
    skipSpace()
    guard offset == bytes.count else { throw error("expected the end") }
    return value
  }

  private func error(_ message: String, at position: Int? = nil) -> RoostError {
    RoostError(.invalidArgument, message, at: "JSON byte \((position ?? offset) + 1)")
  }

  private mutating func skipSpace() {
    while offset < bytes.count {
      switch bytes[offset] {
      case 0x20, 0x09, 0x0a, 0x0d: offset += 1
      default: return
      }
    }
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard offset < bytes.count, bytes[offset] == UInt8(ascii: character) else { return false }
    offset += 1
    return true
  }

  private mutating func value() throws(RoostError) -> JSON {
    skipSpace()
    guard offset < bytes.count else { throw error("expected a value, found the end") }
    switch bytes[offset] {
    case UInt8(ascii: "{"): return try object()
    case UInt8(ascii: "["): return try array()
    case UInt8(ascii: "\""): return .string(try string())
    case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"): return .number(try number())
    case UInt8(ascii: "t"): return try word("true", .bool(true))
    case UInt8(ascii: "f"): return try word("false", .bool(false))
    case UInt8(ascii: "n"): return try word("null", .null)
    default: throw error("expected a value")
    }
  }

  private mutating func word(_ text: StaticString, _ value: JSON) throws(RoostError) -> JSON {
    let isThere = text.withUTF8Buffer { bytes[offset...].starts(with: $0) }
    guard isThere else { throw error("expected a value") }
    offset += text.utf8CodeUnitCount
    return value
  }

  private mutating func descend() throws(RoostError) {
    depth += 1
    guard depth <= JSON.depthMax else { throw error("values nest deeper than \(JSON.depthMax)") }
    offset += 1
    skipSpace()
  }

  private mutating func array() throws(RoostError) -> JSON {
    try descend()
    defer { depth -= 1 }
    var values: [JSON] = []
    if take("]") { return .array(values) }
    while true {
      values.append(try value())
      skipSpace()
      if take("]") { return .array(values) }
      guard take(",") else { throw error("expected ',' or ']'") }
    }
  }

  private mutating func object() throws(RoostError) -> JSON {
    try descend()
    defer { depth -= 1 }
    var members: [JSON.Member] = []
    var names: Set<String> = []
    if take("}") { return .object(members) }
    while true {
      skipSpace()
      let start = offset
      guard offset < bytes.count, bytes[offset] == UInt8(ascii: "\"") else {
        throw error("expected a name in quotes")
      }
      let name = try string()
      guard names.insert(name).inserted else { throw error("the name '\(name)' is repeated", at: start) }
      skipSpace()
      guard take(":") else { throw error("expected ':'") }
      members.append(JSON.Member(name, try value()))
      skipSpace()
      if take("}") { return .object(members) }
      guard take(",") else { throw error("expected ',' or '}'") }
    }
  }

  private mutating func number() throws(RoostError) -> String {
    let start = offset
    _ = take("-")
    if !take("0") { try digits() }
    if take(".") { try digits() }
    if offset < bytes.count, bytes[offset] | 0x20 == UInt8(ascii: "e") {
      offset += 1
      if !take("+") { _ = take("-") }
      try digits()
    }
    return String(decoding: bytes[start..<offset], as: UTF8.self)
  }

  private mutating func digits() throws(RoostError) {
    let start = offset
    while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) {
      offset += 1
    }
    guard offset > start else { throw error("expected a digit") }
  }

  private mutating func string() throws(RoostError) -> String {
    let start = offset
    offset += 1
    let plain = offset
    while offset < bytes.count, bytes[offset] >= 0x20, bytes[offset] != UInt8(ascii: "\\") {
      if take("\"") { return try text(bytes[plain..<offset - 1], start) }
      offset += 1
    }
    var content = Array(bytes[plain..<offset])
    while offset < bytes.count {
      let byte = bytes[offset]
      guard byte >= 0x20 else { throw error("a control character inside text; write \\n, \\t or \\u00XX") }
      offset += 1
      if byte == UInt8(ascii: "\"") { return try text(content[...], start) }
      if byte == UInt8(ascii: "\\") { try escape(into: &content) } else { content.append(byte) }
    }
    throw error("the text that starts here has no end", at: start)
  }

  private func text(_ content: some Collection<UInt8>, _ start: Int) throws(RoostError) -> String {
    guard let text = String(validating: content, as: UTF8.self) else {
      throw error("text is not valid UTF-8", at: start)
    }
    return text
  }

  private mutating func escape(into content: inout [UInt8]) throws(RoostError) {
    guard offset < bytes.count else { throw error("the text ends inside an escape") }
    let byte = bytes[offset]
    offset += 1
    switch byte {
    case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): content.append(byte)
    case UInt8(ascii: "b"): content.append(0x08)
    case UInt8(ascii: "f"): content.append(0x0c)
    case UInt8(ascii: "n"): content.append(0x0a)
    case UInt8(ascii: "r"): content.append(0x0d)
    case UInt8(ascii: "t"): content.append(0x09)
    case UInt8(ascii: "u"):
      let start = offset - 2
      let high = try hexadecimal()
      var code = high
      if (0xd800..<0xdc00).contains(high), take("\\"), take("u") {
        let low = try hexadecimal()
        guard (0xdc00..<0xe000).contains(low) else { throw error("half of a surrogate pair", at: start) }
        code = 0x10000 + (high - 0xd800) << 10 + (low - 0xdc00)
      }
      guard let scalar = Unicode.Scalar(code) else { throw error("half of a surrogate pair", at: start) }
      content.append(contentsOf: String(scalar).utf8)
    default: throw error("unknown escape", at: offset - 2)
    }
  }

  private mutating func hexadecimal() throws(RoostError) -> UInt32 {
    guard offset + 4 <= bytes.count, let text = String(validating: bytes[offset..<offset + 4], as: UTF8.self),
      text.allSatisfy(\.isHexDigit), let code = UInt32(text, radix: 16)
    else { throw error("expected four hexadecimal digits") }
    offset += 4
    return code
  }
}
