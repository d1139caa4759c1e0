// The tokenizer of BERT models: text is cleaned, lower-cased and stripped of accents, split at spaces and around
// punctuation, and each word is cut greedily into the longest known pieces (Wu et al., arXiv:1609.08144).

struct WordPiece {
  /// What a scalar is, as the model file says.
  private enum Kind: UInt32 {
    case letter = 0
    case dropped = 1
    case space = 2
    case alone = 3
  }

  private static let wordScalarsMax = 100
  private static let wordBytesMax = 4 * wordScalarsMax
  private static let pageCount = 0x300
  private static let hangul: UInt32 = 0xac00
  private static let hangulCount: UInt32 = 11_172

  private let text: UnsafeRawPointer
  private let offsets: UnsafePointer<UInt32>
  private let slots: UnsafePointer<UInt32>
  private let slotMask: Int
  private let pages: UnsafePointer<UInt16>
  private let blocks: UnsafePointer<UInt16>
  private let results: UnsafePointer<UInt32>
  private let scalars: UnsafePointer<UInt32>
  let unknown: UInt32
  let start: UInt32
  let end: UInt32

  private let word = UnsafeMutablePointer<UInt8>.allocate(capacity: wordBytesMax + 8)
  private let hashes = UnsafeMutablePointer<UInt32>.allocate(capacity: wordBytesMax + 8)
  private var byteCount = 0
  private var scalarCount = 0

  init?(_ model: Model) {
    guard let text = model.array("vocabulary.text"), let offsets = model.array("vocabulary.offsets"),
      let slots = model.array("vocabulary.slots"), let pages = model.array("unicode.pages"),
      let blocks = model.array("unicode.blocks"), let results = model.array("unicode.results"),
      let scalars = model.array("unicode.scalars"), let special = model.array("vocabulary.special"),
      pages.columns == Self.pageCount
    else { return nil }
    self.text = text.start
    self.offsets = offsets.start.assumingMemoryBound(to: UInt32.self)
    self.slots = slots.start.assumingMemoryBound(to: UInt32.self)
    slotMask = slots.columns - 1
    self.pages = pages.start.assumingMemoryBound(to: UInt16.self)
    self.blocks = blocks.start.assumingMemoryBound(to: UInt16.self)
    self.results = results.start.assumingMemoryBound(to: UInt32.self)
    self.scalars = scalars.start.assumingMemoryBound(to: UInt32.self)
    let ids = special.start.assumingMemoryBound(to: UInt32.self)
    (unknown, start, end) = (ids[0], ids[1], ids[2])
  }

  /// Writes the ids of a text, with the start and the end mark, at most `limit`; returns how many.
  mutating func tokenize(_ input: Bytes, into ids: UnsafeMutablePointer<UInt32>, limit: Int) -> Int {
    ids[0] = start
    var count = 1
    (byteCount, scalarCount) = (0, 0)
    var at = 0
    while at < input.count, count < limit - 1 {
      let scalar = nextScalar(input, &at)
      if scalar >= Self.hangul, scalar < Self.hangul + Self.hangulCount {
        let index = scalar - Self.hangul
        append(0x1100 + index / 588)
        append(0x1161 + index % 588 / 28)
        if index % 28 > 0 { append(0x11a7 + index % 28) }
        continue
      }
      let page = Int(scalar >> 8)
      guard page < Self.pageCount else {
        append(scalar)
        continue
      }
      // An entry: where the scalars begin (20 bits), how many there are, and their kind.
      let entry = results[Int(blocks[Int(pages[page]) * 256 + Int(scalar & 0xff)])]
      let (from, size) = (Int(entry >> 8), Int(entry >> 4 & 15))
      switch Kind(rawValue: entry & 15) ?? .dropped {
      case .dropped: break
      case .space: finishWord(into: ids, &count, limit)
      case .alone:
        finishWord(into: ids, &count, limit)
        for index in 0..<size { append(size == 1 && from == 0xfffff ? scalar : scalars[from + index]) }
        finishWord(into: ids, &count, limit)
      case .letter:
        if from == 0xfffff { append(scalar) } else { for index in 0..<size { append(scalars[from + index]) } }
      }
    }
    finishWord(into: ids, &count, limit)
    ids[count] = end
    return count + 1
  }

  /// The text is valid UTF-8.
  private func nextScalar(_ input: Bytes, _ at: inout Int) -> UInt32 {
    let first = UInt32(input[at])
    at += 1
    guard first >= 0x80 else { return first }
    let more = first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3
    var scalar = first & (0x3f >> UInt32(more))
    for _ in 0..<more where at < input.count {
      scalar = scalar << 6 | UInt32(input[at] & 0x3f)
      at += 1
    }
    return scalar
  }

  private mutating func append(_ scalar: UInt32) {
    scalarCount += 1
    guard scalarCount <= Self.wordScalarsMax else { return }
    func put(_ byte: UInt32) {
      word[byteCount] = UInt8(truncatingIfNeeded: byte)
      byteCount += 1
    }
    switch scalar {
    case 0..<0x80: put(scalar)
    case 0x80..<0x800:
      put(0xc0 | scalar >> 6)
      put(0x80 | scalar & 0x3f)
    case 0x800..<0x10000:
      put(0xe0 | scalar >> 12)
      put(0x80 | scalar >> 6 & 0x3f)
      put(0x80 | scalar & 0x3f)
    default:
      put(0xf0 | scalar >> 18)
      put(0x80 | scalar >> 12 & 0x3f)
      put(0x80 | scalar >> 6 & 0x3f)
      put(0x80 | scalar & 0x3f)
    }
  }

  /// Cuts the word into pieces; one without known pieces, or a very long one, is unknown as a whole.
  private mutating func finishWord(
    into ids: UnsafeMutablePointer<UInt32>, _ count: inout Int, _ limit: Int
  ) {
    defer { (byteCount, scalarCount) = (0, 0) }
    guard scalarCount > 0, count < limit - 1 else { return }
    let before = count
    var from = scalarCount > Self.wordScalarsMax ? byteCount : 0
    var isKnown = from == 0
    while from < byteCount {
      guard let (id, size) = longestPiece(from) else {
        isKnown = false
        break
      }
      if count < limit - 1 {
        ids[count] = id
        count += 1
      }
      from += size
    }
    guard !isKnown else { return }
    ids[before] = unknown
    count = before + 1
  }

  private func longestPiece(_ from: Int) -> (id: UInt32, size: Int)? {
    var hash: UInt32 = 0x811c_9dc5
    if from > 0 { for _ in 0..<2 { hash = (hash ^ 0x23) &* 0x0100_0193 } }
    for index in from..<byteCount {
      hash = (hash ^ UInt32(word[index])) &* 0x0100_0193
      hashes[index] = hash
    }
    var end = byteCount
    while end > from {
      if let id = find(from, end, hashes[end - 1]) { return (id, end - from) }
      end -= 1
    }
    return nil
  }

  /// The id of the piece that is word[from..<end], behind "##" unless it begins the word.
  private func find(_ from: Int, _ end: Int, _ hash: UInt32) -> UInt32? {
    var slot = Int(truncatingIfNeeded: hash ^ (hash >> 15)) & slotMask
    let prefix = from > 0 ? 2 : 0
    while slots[slot] != 0 {
      let id = slots[slot] - 1
      let (start, size) = (Int(offsets[Int(id)]), Int(offsets[Int(id) + 1] - offsets[Int(id)]))
      if size == end - from + prefix {
        var index = 0
        while index < size {
          let expected = index < prefix ? 0x23 : word[from + index - prefix]
          if text.load(fromByteOffset: start + index, as: UInt8.self) != expected { break }
          index += 1
        }
        if index == size { return id }
      }
      slot = (slot + 1) & slotMask
    }
    return nil
  }
}
