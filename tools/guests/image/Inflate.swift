// Unpacks zlib streams (RFC 1950, RFC 1951) of a known length. The source may come in parts, as in the chunks of
// a PNG.

struct Inflate {
  /// A prefix code: short ones by a table, long ones by their canonical order.
  private struct Code {
    static let tableBits = 10
    /// (length, symbol) by the next ten bits; length 0: a longer code.
    let table = UnsafeMutablePointer<UInt16>.allocate(capacity: 1 << tableBits)
    private var counts = [Int](repeating: 0, count: 16)
    private var symbols = [UInt16](repeating: 0, count: 288)

    /// False when the lengths are not those of a prefix code. One code of length 1 may stand alone.
    mutating func build(_ lengths: ArraySlice<UInt8>) -> Bool {
      for index in 0..<16 { counts[index] = 0 }
      for length in lengths { counts[Int(length)] += 1 }
      counts[0] = 0
      var (left, used) = (1, 0)
      for length in 1..<16 {
        left = left << 1 - counts[length]
        if left < 0 { return false }
        used += counts[length]
      }
      guard left == 0 || used <= 1 else { return false }
      var offsets = [Int](repeating: 0, count: 16)
      for length in 1..<15 { offsets[length + 1] = offsets[length] + counts[length] }
      for (symbol, length) in zip(0..., lengths) where length > 0 {
        symbols[offsets[Int(length)]] = UInt16(symbol)
        offsets[Int(length)] += 1
      }
      table.update(repeating: 0, count: 1 << Self.tableBits)
      var (code, next) = (0, 0)
      for length in 1...Self.tableBits {
        for _ in 0..<counts[length] {
          // Bits come lowest first, codes highest first.
          var reversed = 0
          for bit in 0..<length where code & (1 << bit) != 0 { reversed |= 1 << (length - 1 - bit) }
          let entry = UInt16(length) << 12 | symbols[next]
          var slot = reversed
          while slot < 1 << Self.tableBits {
            table[slot] = entry
            slot += 1 << length
          }
          (code, next) = (code + 1, next + 1)
        }
        code <<= 1
      }
      return true
    }

    /// A code that the table does not have; nil when there is no such code.
    func slow(_ bits: UInt64) -> (length: Int, symbol: Int)? {
      var (code, first, index) = (0, 0, 0)
      for length in 1..<16 {
        code |= Int(truncatingIfNeeded: bits >> UInt64(length - 1)) & 1
        let count = counts[length]
        if code - count < first { return (length, Int(symbols[index + code - first])) }
        index += count
        first = (first + count) << 1
        code <<= 1
      }
      return nil
    }
  }

  private static let lengthBase: [UInt16] = [
    3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195,
    227, 258,
    0, 0,
  ]
  private static let lengthExtra: [UInt8] = [
    0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0, 0, 0,
  ]
  private static let distanceBase: [UInt16] = [
    1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073,
    4097, 6145,
    8193, 12289, 16385, 24577, 0, 0,
  ]
  private static let distanceExtra: [UInt8] = [
    0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13, 0, 0,
  ]
  private static let order = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]

  private let parts: [Bytes]
  private var part = 0
  private var at: UnsafePointer<UInt8>
  private var end: UnsafePointer<UInt8>
  private var bits: UInt64 = 0
  private var bitCount = 0
  /// Zero bytes that were made up behind the end.
  private var missing = 0
  private var literals = Code()
  private var distances = Code()

  private static var damaged: GuestError { GuestError("the image is damaged: its packed data make no sense") }

  /// Unpacks exactly `count` bytes to `target`.
  static func run(_ parts: [Bytes], to target: UnsafeMutablePointer<UInt8>, count: Int) throws(GuestError) {
    var inflate = Inflate(parts)
    defer {
      inflate.literals.table.deallocate()
      inflate.distances.table.deallocate()
    }
    try inflate.unpack(target, count)
  }

  private init(_ parts: [Bytes]) {
    self.parts = parts
    at = UnsafePointer(bitPattern: 16).unsafelyUnwrapped
    end = at
    if let first = parts.first { enter(first) }
  }

  private mutating func enter(_ bytes: Bytes) {
    at = bytes.start.assumingMemoryBound(to: UInt8.self)
    end = at + bytes.count
  }

  // MARK: Bits

  /// Makes 56 to 63 bits available; behind the end they are zeros.
  @inline(__always)
  private mutating func refill() {
    if end - at >= 8 {
      bits |= UnsafeRawPointer(at).loadUnaligned(as: UInt64.self) << UInt64(bitCount)
      let taken = (63 - bitCount) >> 3
      at += taken
      bitCount += taken * 8
    } else {
      refillSlowly()
    }
  }

  private mutating func refillSlowly() {
    // The fast way leaves bits above `bitCount` that it will read again.
    bits &= bitCount >= 64 ? .max : (1 << UInt64(bitCount)) - 1
    while bitCount < 56 {
      while at == end, part + 1 < parts.count {
        part += 1
        enter(parts[part])
      }
      if at < end {
        bits |= UInt64(at.pointee) << UInt64(bitCount)
        at += 1
      } else {
        missing += 1
      }
      bitCount += 8
    }
  }

  @inline(__always)
  private mutating func take(_ count: Int) -> Int {
    let value = Int(truncatingIfNeeded: bits & ((1 << UInt64(count)) - 1))
    bits >>= UInt64(count)
    bitCount -= count
    return value
  }

  @inline(__always)
  private mutating func symbol(_ code: Code) throws(GuestError) -> Int {
    let entry = code.table[Int(truncatingIfNeeded: bits & 1023)]
    if entry != 0 {
      _ = take(Int(entry >> 12))
      return Int(entry & 0xfff)
    }
    guard let (length, symbol) = code.slow(bits) else { throw Self.damaged }
    _ = take(length)
    return symbol
  }

  // MARK: Blocks

  private mutating func unpack(_ target: UnsafeMutablePointer<UInt8>, _ count: Int) throws(GuestError) {
    refill()
    let (method, flags) = (take(8), take(8))
    guard method & 15 == 8, (method << 8 | flags) % 31 == 0, flags & 0x20 == 0 else { throw Self.damaged }
    var (done, isLast) = (0, false)
    while !isLast {
      refill()
      isLast = take(1) == 1
      switch take(2) {
      case 0: try stored(target, count, &done)
      case 1:
        setFixedCodes()
        try compressed(target, count, &done)
      case 2:
        try readCodes()
        try compressed(target, count, &done)
      default: throw Self.damaged
      }
      guard missing <= 8 else { throw GuestError("the image is cut short") }
    }
    guard done == count else { throw GuestError("the image is cut short") }
    _ = take(bitCount & 7)
    refill()
    var sum: UInt32 = 0
    for _ in 0..<4 { sum = sum << 8 | UInt32(take(8)) }
    guard missing <= 8, sum == adler(target, count) else {
      throw GuestError("the image is damaged: its checksum is wrong")
    }
  }

  private func adler(_ bytes: UnsafePointer<UInt8>, _ count: Int) -> UInt32 {
    var (a, b): (UInt32, UInt32) = (1, 0)
    var from = 0
    while from < count {
      let to = min(count, from + 5552)
      for index in from..<to {
        a &+= UInt32(bytes[index])
        b &+= a
      }
      (a, b) = (a % 65521, b % 65521)
      from = to
    }
    return b << 16 | a
  }

  private mutating func stored(
    _ target: UnsafeMutablePointer<UInt8>, _ count: Int, _ done: inout Int
  ) throws(GuestError) {
    _ = take(bitCount & 7)
    refill()
    let (length, check) = (take(16), take(16))
    guard length == ~check & 0xffff, length <= count - done else { throw Self.damaged }
    for _ in 0..<length {
      if bitCount < 8 { refill() }
      target[done] = UInt8(take(8))
      done += 1
    }
    guard missing <= 8 else { throw GuestError("the image is cut short") }
  }

  private mutating func setFixedCodes() {
    var lengths = [UInt8](repeating: 8, count: 288)
    for index in 144..<256 { lengths[index] = 9 }
    for index in 256..<280 { lengths[index] = 7 }
    _ = literals.build(lengths[...])
    _ = distances.build([UInt8](repeating: 5, count: 32)[...])
  }

  private mutating func readCodes() throws(GuestError) {
    refill()
    let (literalCount, distanceCount, lengthCount) = (take(5) + 257, take(5) + 1, take(4) + 4)
    guard literalCount <= 286, distanceCount <= 30 else { throw Self.damaged }
    var lengths = [UInt8](repeating: 0, count: 320)
    for index in 0..<lengthCount {
      if bitCount < 3 { refill() }
      lengths[Self.order[index]] = UInt8(take(3))
    }
    guard literals.build(lengths[0..<19]) else { throw Self.damaged }
    let total = literalCount + distanceCount
    var all = [UInt8](repeating: 0, count: 320)
    var index = 0
    while index < total {
      refill()
      let symbol = try symbol(literals)
      if symbol < 16 {
        all[index] = UInt8(symbol)
        index += 1
        continue
      }
      let (value, count): (UInt8, Int)
      switch symbol {
      case 16:
        guard index > 0 else { throw Self.damaged }
        (value, count) = (all[index - 1], 3 + take(2))
      case 17: (value, count) = (0, 3 + take(3))
      default: (value, count) = (0, 11 + take(7))
      }
      guard count <= total - index else { throw Self.damaged }
      for _ in 0..<count {
        all[index] = value
        index += 1
      }
    }
    guard all[256] > 0, literals.build(all[0..<literalCount]), distances.build(all[literalCount..<total])
    else {
      throw Self.damaged
    }
  }

  private mutating func compressed(
    _ target: UnsafeMutablePointer<UInt8>, _ count: Int, _ done: inout Int
  ) throws(GuestError) {
    var to = done
    while true {
      refill()
      var symbol = try symbol(literals)
      if symbol < 256 {
        guard to < count else { throw Self.damaged }
        target[to] = UInt8(truncatingIfNeeded: symbol)
        to += 1
        if missing > 8 { throw GuestError("the image is cut short") }
        continue
      }
      if symbol == 256 { break }
      symbol -= 257
      guard symbol < 29 else { throw Self.damaged }
      let length = Int(Self.lengthBase[symbol]) + take(Int(Self.lengthExtra[symbol]))
      let which = try self.symbol(distances)
      guard which < 30 else { throw Self.damaged }
      let distance = Int(Self.distanceBase[which]) + take(Int(Self.distanceExtra[which]))
      guard distance <= to, length <= count - to else { throw Self.damaged }
      let from = target + to - distance
      for index in 0..<length { target[to + index] = from[index] }
      to += length
      if missing > 8 { throw GuestError("the image is cut short") }
    }
    done = to
  }
}
