// A text match made ready: compares the words of a string with those of the query as they come.

import Glibc

/// Looks for at most 64 words (`Limits.filterWordsMax`). Keeps no state; a call allocates nothing unless a word of the query has more
/// than a kilobyte.
struct WordTest {
  private let mode: TextMatch.Mode
  /// The words of the query one after the other; for `all`, `any` and `prefix` each of them once.
  private let bytes: [UInt8]
  /// Where each word ends in `bytes`.
  private let ends: [Int32]
  private let longest: Int
  /// Bits that must be set for the text to match; bit i belongs to word i.
  private let goal: UInt64

  /// The match must have 1 to 64 words (`Filter.validate`).
  init(_ match: TextMatch) {
    mode = match.mode
    var words = TextTokenizer.words(of: match.text).map { Array($0.utf8) }
    switch mode {
    case .phrase: break
    case .all, .any: words = WordTest.unique(words)
    case .prefix:
      let last = words.popLast() ?? []
      words = WordTest.unique(words)
      words.append(last)
    }
    var bytes: [UInt8] = []
    var ends: [Int32] = []
    for word in words {
      bytes += word
      ends.append(Int32(bytes.count))
    }
    self.bytes = bytes
    self.ends = ends
    longest = words.map(\.count).max() ?? 0
    goal =
      switch mode {
      case .all, .prefix: words.count == 64 ? .max : (1 << UInt64(words.count)) - 1
      case .any: .max
      case .phrase: 1 << UInt64(words.count - 1)
      }
  }

  private static func unique(_ words: [[UInt8]]) -> [[UInt8]] {
    var seen: Set<[UInt8]> = []
    return words.filter { seen.insert($0).inserted }
  }

  func matches(_ text: UnsafeRawBufferPointer) -> Bool {
    withUnsafeTemporaryAllocation(byteCount: longest, alignment: 1) { buffer in
      var tokenizer = TextTokenizer(text)
      var found: UInt64 = 0
      while let token = tokenizer.next(into: buffer) {
        let hits = self.hits(UnsafeRawBufferPointer(rebasing: buffer[..<token.count]), isWhole: token.isWhole)
        switch mode {
        case .any: if hits != 0 { return true }
        case .all, .prefix:
          found |= hits
          if found == goal { return true }
        case .phrase:
          // Shift-And (Baeza-Yates and Gonnet 1992): bit i says that the words 0...i end here.
          found = (found << 1 | 1) & hits
          if found & goal != 0 { return true }
        }
      }
      return false
    }
  }

  /// Which words of the query this one is; bit i for word i.
  @inline(__always)
  private func hits(_ word: UnsafeRawBufferPointer, isWhole: Bool) -> UInt64 {
    bytes.withUnsafeBytes { bytes in
      var hits: UInt64 = 0
      var start = 0
      for (index, end) in ends.enumerated() {
        let wanted = UnsafeRawBufferPointer(rebasing: bytes[start..<Int(end)])
        let isPrefix = mode == .prefix && index == ends.count - 1
        let fits = isPrefix ? word.count >= wanted.count : isWhole && word.count == wanted.count
        if fits, let a = wanted.baseAddress, let b = word.baseAddress, memcmp(a, b, wanted.count) == 0 {
          hits |= 1 << UInt64(index)
        }
        start = Int(end)
      }
      return hits
    }
  }
}
