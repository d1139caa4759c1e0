// Cuts text into words, the same for queries, for stored strings and for text indexes
// (`spec/filter.md`, "Words"). Works in place on UTF-8 and allocates nothing.

/// Yields the words of a text in order, in lower case.
///
/// A word is a longest run of letters, marks and numbers (general categories L, M and N); an ideograph
/// is a word by itself. Each scalar is replaced by its full default lower-case mapping (Unicode,
/// no locale, no context). There is no normalisation. Bytes that are no UTF-8 separate words.
public struct TextTokenizer {
  /// A word as it was written to the buffer.
  public struct Token {
    /// Bytes in the buffer: the whole word, or its beginning when `isWhole` is false.
    public let count: Int
    public let isWhole: Bool
  }

  private let text: UnsafeRawBufferPointer
  private var offset = 0

  /// The bytes must outlive the tokenizer.
  public init(_ text: UnsafeRawBufferPointer) { self.text = text }

  private enum ScalarClass {
    case separator, part, ideograph
  }

  /// Writes the next word into `buffer`, as much of it as fits; nil at the end of the text.
  public mutating func next(into buffer: UnsafeMutableRawBufferPointer) -> Token? {
    var count = 0
    var isWhole = true
    var isInside = false

    func append(_ byte: UInt8) {
      if count < buffer.count {
        buffer[count] = byte
        count += 1
      } else {
        isWhole = false
      }
    }

    while offset < text.count {
      let byte = text[offset]
      if byte < 0x80 {
        let lower = TextTokenizer.asciiLower(byte)
        if lower != 0 {
          append(lower)
          isInside = true
        } else if isInside {
          offset += 1
          return Token(count: count, isWhole: isWhole)
        }
        offset += 1
        continue
      }
      let (scalar, length) = TextTokenizer.decode(text, offset)
      switch scalar.map(TextTokenizer.classify) ?? .separator {
      case .separator:
        offset += length
        if isInside { return Token(count: count, isWhole: isWhole) }
      case .part:
        offset += length
        isInside = true
        if let scalar { for byte in scalar.properties.lowercaseMapping.utf8 { append(byte) } }
      case .ideograph:
        // The word before it ends here; the ideograph is the next one.
        if isInside { return Token(count: count, isWhole: isWhole) }
        for place in offset..<offset + length { append(text[place]) }
        offset += length
        return Token(count: count, isWhole: isWhole)
      }
    }
    return isInside ? Token(count: count, isWhole: isWhole) : nil
  }

  /// The words of a text, for code that is not in a hurry.
  public static func words(of text: String) -> [String] {
    var text = text
    return text.withUTF8 { bytes in
      // No mapping makes a scalar more than three times as long.
      let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 3 * bytes.count + 1, alignment: 1)
      defer { buffer.deallocate() }
      var tokenizer = TextTokenizer(UnsafeRawBufferPointer(bytes))
      var words: [String] = []
      while let token = tokenizer.next(into: buffer) {
        words.append(
          String(decoding: UnsafeRawBufferPointer(rebasing: buffer[..<token.count]), as: UTF8.self))
      }
      return words
    }
  }

  /// The lower-case form of an ASCII letter or digit; 0 for everything else.
  @inline(__always)
  private static func asciiLower(_ byte: UInt8) -> UInt8 {
    if byte &- 0x30 < 10 { return byte }
    let lower = byte | 0x20
    return lower &- 0x61 < 26 ? lower : 0
  }

  private static func classify(_ scalar: Unicode.Scalar) -> ScalarClass {
    switch scalar.properties.generalCategory {
    case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter,
      .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .letterNumber, .otherNumber:
      scalar.properties.isIdeographic ? .ideograph : .part
    default: .separator
    }
  }

  /// The scalar at an offset and its length; nil and one byte where the bytes are no UTF-8.
  private static func decode(
    _ text: UnsafeRawBufferPointer, _ offset: Int
  ) -> (scalar: Unicode.Scalar?, length: Int) {
    let first = text[offset]
    let length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
    guard first >= 0xc2, first <= 0xf4, offset + length <= text.count else { return (nil, 1) }
    var code = UInt32(first) & (0x7f >> UInt32(length))
    for place in offset + 1..<offset + length {
      let byte = text[place]
      guard byte & 0xc0 == 0x80 else { return (nil, 1) }
      code = code << 6 | UInt32(byte & 0x3f)
    }
    let shortest: UInt32 = length == 2 ? 0x80 : length == 3 ? 0x800 : 0x10000
    guard code >= shortest, let scalar = Unicode.Scalar(code) else { return (nil, 1) }
    return (scalar, length)
  }
}
