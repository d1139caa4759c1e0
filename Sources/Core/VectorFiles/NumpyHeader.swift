// The header of a .npy file: a magic, a version, a length and a Python dictionary in text
// (numpy.lib.format, "Format Specification").

/// A two-dimensional matrix in C order of an element type that we read.
struct NumpyHeader {
  /// The longest header that is read, magic included; NumPy pads to 64 and never comes near.
  static let bytesMax = 64 * 1024

  let stored: VectorFileLayout.Stored
  let rows: UInt64
  let columns: UInt64
  /// Where the data begins.
  let byteCount: Int

  /// Throws `.invalidArgument` and names file and offset.
  init(head: UnsafeRawBufferPointer, path: String) throws(RoostError) {
    func refuse(_ message: String, _ offset: Int) -> RoostError {
      VectorFileLayout.refuse(message, path, offset: UInt64(offset))
    }
    guard head.count >= 12, head.prefix(6).elementsEqual([0x93] + Array("NUMPY".utf8)) else {
      throw refuse("not a .npy file: the magic \\x93NUMPY is missing", 0)
    }
    let version = head[6]
    guard (1...3).contains(version) else { throw refuse("unknown .npy version \(version)", 6) }
    var reader = ByteReader(head)
    try reader.skip(8)
    let length = version == 1 ? Int(try reader.u16()) : Int(try reader.u32())
    let start = reader.offset
    guard length <= NumpyHeader.bytesMax - start else {
      throw refuse("the header has \(length) bytes, at most \(NumpyHeader.bytesMax - start) are read", 8)
    }
    guard length <= reader.remaining else {
      throw refuse("the header has \(length) bytes, the file ends after \(reader.remaining)", 8)
    }
    byteCount = start + length
    var parser = DictionaryParser(bytes: Array(try reader.bytes(length)))
    guard let entries = parser.dictionary() else {
      throw refuse("the header is not a Python dictionary", start + parser.offset)
    }
    guard case .text(let type)? = entries["descr"] else {
      throw refuse("the header names no simple element type ('descr')", start)
    }
    switch type {
    case "<f2": stored = .f16
    case "<f4": stored = .f32
    case "<f8": stored = .f64
    case "|u1", "<u1": stored = .u8
    case "|i1", "<i1": stored = .i8
    default:
      throw refuse("elements of type '\(type.prefix(20))'; <f2, <f4, <f8, |u1 and |i1 are read", start)
    }
    guard case .flag(let isFortran)? = entries["fortran_order"] else {
      throw refuse("the header does not say 'fortran_order'", start)
    }
    guard !isFortran else {
      throw refuse("the matrix is in Fortran order; save numpy.ascontiguousarray(matrix)", start)
    }
    guard case .shape(let shape)? = entries["shape"] else {
      throw refuse("the header names no 'shape'", start)
    }
    guard shape.count == 2 else {
      throw refuse("the array has \(shape.count) dimensions, vectors need 2: rows and elements", start)
    }
    rows = shape[0]
    columns = shape[1]
  }

  private enum Literal {
    case text(String)
    case flag(Bool)
    case shape([UInt64])
  }

  /// The little of Python that such a header may contain.
  private struct DictionaryParser {
    let bytes: [UInt8]
    var offset = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    mutating func dictionary() -> [String: Literal]? {
      guard take("{") else { return nil }
      var entries: [String: Literal] = [:]
      while !take("}") {
        guard let name = text(), take(":"), let value = literal(), entries[name] == nil else { return nil }
        entries[name] = value
        guard take(",") else { return take("}") && isAtEnd() ? entries : nil }
      }
      return isAtEnd() ? entries : nil
    }

    private mutating func skipSpace() {
      while offset < bytes.count, [0x20, 0x0a, 0x0d, 0x09].contains(bytes[offset]) { offset += 1 }
    }

    private mutating func isAtEnd() -> Bool {
      skipSpace()
      return offset == bytes.count
    }

    private mutating func take(_ word: String) -> Bool {
      skipSpace()
      guard bytes[offset...].starts(with: word.utf8) else { return false }
      offset += word.utf8.count
      return true
    }

    private mutating func text() -> String? {
      let quote: String
      if take("'") { quote = "'" } else if take("\"") { quote = "\"" } else { return nil }
      guard let end = bytes[offset...].firstIndex(of: quote.utf8.first ?? 0) else { return nil }
      defer { offset = end + 1 }
      return String(validating: bytes[offset..<end], as: UTF8.self)
    }

    private mutating func literal() -> Literal? {
      if take("True") { return .flag(true) }
      if take("False") { return .flag(false) }
      guard take("(") else { return text().map { .text($0) } }
      var shape: [UInt64] = []
      while !take(")") {
        skipSpace()
        let digits = bytes[offset...].prefix { (0x30...0x39).contains($0) }
        guard shape.count < 32, let number = UInt64(String(decoding: digits, as: UTF8.self)) else {
          return nil
        }
        offset += digits.count
        shape.append(number)
        guard take(",") else { return take(")") ? .shape(shape) : nil }
      }
      return .shape(shape)
    }
  }
}
