// The Huffman codes of a JPEG (T.81, annexes C and F.2.2.3): four for DC and four for AC coefficients.

final class HuffmanCodes {
  static let fastBits = 9
  private static let size = 8

  /// By the next nine bits: length × 256 + symbol, or 0 for a longer code.
  private let fast = UnsafeMutablePointer<UInt16>.allocate(capacity: size << fastBits)
  /// By the next nine bits, for AC codes whose value bits are among them: value × 256 + run × 16 + bits, or 0.
  private let values = UnsafeMutablePointer<Int32>.allocate(capacity: size << fastBits)
  /// For each length one more than its last code, shifted to 16 bits, and what leads from a code to its symbol.
  private let ends = UnsafeMutablePointer<Int32>.allocate(capacity: size * 18)
  private let offsets = UnsafeMutablePointer<Int32>.allocate(capacity: size * 18)
  private let symbols = UnsafeMutablePointer<UInt8>.allocate(capacity: size * 256)
  private var isKnown = [Bool](repeating: false, count: size)

  deinit {
    fast.deallocate()
    values.deallocate()
    ends.deallocate()
    offsets.deallocate()
    symbols.deallocate()
  }

  /// Reads the content of a DHT marker.
  func read(_ content: Bytes) throws(GuestError) {
    var from = 0
    while from < content.count {
      guard from + 17 <= content.count, content[from] >> 4 <= 1, content[from] & 15 < 4 else {
        throw JPEGDecoder.damaged()
      }
      let table = Int(content[from] >> 4) * 4 + Int(content[from] & 15)
      var total = 0
      for length in 1...16 { total += Int(content[from + length]) }
      guard total <= 256, from + 17 + total <= content.count else { throw JPEGDecoder.damaged() }
      try build(table, content.part(from + 1, 16), content.part(from + 17, total))
      from += 17 + total
    }
  }

  private func build(_ table: Int, _ counts: Bytes, _ list: Bytes) throws(GuestError) {
    let fast = fast + table << Self.fastBits
    let (ends, offsets, symbols) = (ends + table * 18, offsets + table * 18, symbols + table * 256)
    for index in 0..<1 << Self.fastBits { fast[index] = 0 }
    for index in 0..<256 { symbols[index] = index < list.count ? list[index] : 0 }
    var (code, next) = (0, 0)
    for length in 1...16 {
      offsets[length] = Int32(next - code)
      for _ in 0..<Int(counts[length - 1]) {
        guard code < 1 << length else { throw JPEGDecoder.damaged() }
        if length <= Self.fastBits {
          let first = code << (Self.fastBits - length)
          for index in first..<first + 1 << (Self.fastBits - length) {
            fast[index] = UInt16(length) << 8 | UInt16(symbols[next])
          }
        }
        (code, next) = (code + 1, next + 1)
      }
      ends[length] = Int32(code << (16 - length))
      code <<= 1
    }
    ends[17] = .max
    isKnown[table] = true
    if table >= 4 { buildValues(table) }
  }

  private func buildValues(_ table: Int) {
    let (fast, values) = (fast + table << Self.fastBits, values + table << Self.fastBits)
    for index in 0..<1 << Self.fastBits {
      values[index] = 0
      let (length, symbol) = (Int(fast[index] >> 8), Int(fast[index] & 255))
      let size = symbol & 15
      guard length > 0, size > 0, length + size <= Self.fastBits else { continue }
      var value = (index << length & ((1 << Self.fastBits) - 1)) >> (Self.fastBits - size)
      if value < 1 << (size - 1) { value += 1 - 1 << size }
      values[index] = Int32(value * 256 + (symbol >> 4) * 16 + length + size)
    }
  }

  func dc(_ table: Int) throws(GuestError) -> HuffmanCode { try code(table) }
  func ac(_ table: Int) throws(GuestError) -> HuffmanCode { try code(4 + table) }

  private func code(_ table: Int) throws(GuestError) -> HuffmanCode {
    guard isKnown[table] else { throw JPEGDecoder.damaged() }
    return HuffmanCode(
      fast: fast + table << Self.fastBits, values: values + table << Self.fastBits, ends: ends + table * 18,
      offsets: offsets + table * 18, symbols: symbols + table * 256)
  }
}

struct HuffmanCode {
  let fast: UnsafeMutablePointer<UInt16>
  let values: UnsafeMutablePointer<Int32>
  let ends: UnsafeMutablePointer<Int32>
  let offsets: UnsafeMutablePointer<Int32>
  let symbols: UnsafeMutablePointer<UInt8>
}

/// The bits of a scan, highest first, without the zero bytes that are stuffed behind 0xFF. Behind the data, and at
/// a marker, there are zeros without end.
struct JPEGBits {
  private let start: UnsafePointer<UInt8>
  private var at: UnsafePointer<UInt8>
  private let end: UnsafePointer<UInt8>
  private var bits: UInt64 = 0
  private var count = 0
  /// Bytes that were made up.
  private(set) var missing = 0

  init(_ bytes: Bytes) {
    start = bytes.start.assumingMemoryBound(to: UInt8.self)
    at = start
    end = start + bytes.count
  }

  /// How far it has read; at a marker, that is where the marker stands.
  var position: Int { at - start }

  /// Makes at least 32 bits available.
  @inline(__always)
  mutating func refill() {
    if count >= 32 { return }
    if end - at >= 4 {
      let word = UnsafeRawPointer(at).loadUnaligned(as: UInt32.self)
      // None of the four is 0xFF.
      if ((word & 0x7f7f_7f7f) &+ 0x0101_0101) & word & 0x8080_8080 == 0 {
        bits |= UInt64(word.byteSwapped) &<< UInt64(truncatingIfNeeded: 32 &- count)
        count &+= 32
        at += 4
        return
      }
    }
    refillSlowly()
  }

  private mutating func refillSlowly() {
    while count <= 56 {
      var byte: UInt8 = 0
      if at < end, at.pointee != 0xff {
        byte = at.pointee
        at += 1
      } else if end - at >= 2, at[1] == 0 {
        byte = 0xff
        at += 2
      } else {
        missing += 1
      }
      bits |= UInt64(byte) << UInt64(56 - count)
      count += 8
    }
  }

  @inline(__always)
  func peek(_ size: Int) -> Int { Int(truncatingIfNeeded: bits &>> UInt64(truncatingIfNeeded: 64 &- size)) }

  @inline(__always)
  mutating func skip(_ size: Int) {
    bits = bits &<< UInt64(truncatingIfNeeded: size)
    count &-= size
  }

  /// 1 to 16 bits.
  @inline(__always)
  mutating func take(_ size: Int) -> Int {
    let value = peek(size)
    skip(size)
    return value
  }

  /// A number of `size` bits, 1 to 16, as T.81 extends it to negative ones.
  @inline(__always)
  mutating func signed(_ size: Int) -> Int32 {
    let value = Int32(truncatingIfNeeded: take(size))
    return value < 1 &<< Int32(truncatingIfNeeded: size &- 1)
      ? value &+ 1 &- (1 &<< Int32(truncatingIfNeeded: size)) : value
  }

  /// The next symbol; −1 when there is no such code. Takes at most 16 bits.
  @inline(__always)
  mutating func symbol(_ code: HuffmanCode) -> Int {
    let entry = code.fast[peek(HuffmanCodes.fastBits)]
    if entry != 0 {
      skip(Int(entry >> 8))
      return Int(entry & 255)
    }
    return slowSymbol(code)
  }

  private mutating func slowSymbol(_ code: HuffmanCode) -> Int {
    let next = Int32(peek(16))
    var length = 1
    while length <= 16, next >= code.ends[length] { length += 1 }
    guard length <= 16 else { return -1 }
    let index = Int(next >> Int32(16 - length)) + Int(code.offsets[length])
    guard (0..<256).contains(index) else { return -1 }
    skip(length)
    return Int(code.symbols[index])
  }

  /// Drops what is left before a restart marker, and the marker; false when there is none.
  mutating func restart() -> Bool {
    (bits, count, missing) = (0, 0, 0)
    while end - at >= 2 {
      if at[0] == 0xff, at[1] != 0, at[1] != 0xff {
        guard (0xd0...0xd7).contains(at[1]) else { return false }
        at += 2
        return true
      }
      at += 1
    }
    return false
  }
}
