import Core
import Foundation
import Testing

@Suite struct TextTokenizerTests {
  @Test(arguments: [
    ("", []), (" .,!", []), ("Hello, World", ["hello", "world"]), ("x86-64 v2.0", ["x86", "64", "v2", "0"]),
    ("don't", ["don", "t"]), ("snake_case", ["snake", "case"]), ("GRÖSSE Straße", ["grösse", "straße"]),
    ("İstanbul", ["i\u{307}stanbul"]), ("ΣΑΣ", ["σασ"]), ("e\u{301}te", ["e\u{301}te"]),
    ("漢字kana かな", ["漢", "字", "kana", "かな"]), ("½ ² Ⅷ", ["½", "²", "ⅷ"]), ("a\u{200B}b", ["a", "b"]),
    ("👍ok👍", ["ok"]), ("𝐀𝟙", ["𝐀𝟙"]), ("Ǆ", ["ǆ"]),
  ]) func cuts(_ text: String, _ words: [String]) {
    #expect(TextTokenizer.words(of: text).map { Array($0.utf8) } == words.map { Array($0.utf8) })
  }

  /// Lower-casing never leaves the word, and never grows beyond what `words` reserves.
  @Test func everyScalarStaysWithinItsWord() {
    // The scripts in use; of the ideographs and beyond a few.
    let codes = Array(UInt32(0)...0x33FF) + stride(from: 0x3400, through: 0x10FFFF, by: 251)
    for code in codes {
      guard let scalar = Unicode.Scalar(code) else { continue }
      let text = String(scalar)
      let words = TextTokenizer.words(of: text)
      let expected = ReferenceWords.words(text)
      #expect(words.count <= 1)
      if words.count == 1 {
        #expect(TextTokenizer.words(of: words[0]) == words, "U+\(String(code, radix: 16))")
      }
      // Foundation's tables may be of an older Unicode version.
      if !CharacterSet.illegalCharacters.contains(scalar) {
        #expect(words == expected, "U+\(String(code, radix: 16))")
      }
    }
  }

  @Test func anyBytesAreCut() {
    let seed = UInt64.random(in: 0..<1_000_000)
    var random = SplitMix64(seed: seed)
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4, alignment: 1)
    defer { buffer.deallocate() }
    for _ in 0..<3_000 {
      let bytes = (0..<Int.random(in: 0..<12, using: &random)).map { _ in
        Bool.random(using: &random)
          ? UInt8.random(in: 0x20...0x7a, using: &random) : UInt8.random(in: .min ... .max, using: &random)
      }
      // Replacement characters separate words, as broken bytes do.
      let expected = TextTokenizer.words(of: String(decoding: bytes, as: UTF8.self)).map { Array($0.utf8) }
      bytes.withUnsafeBytes { raw in
        var tokenizer = TextTokenizer(raw)
        var index = 0
        while let token = tokenizer.next(into: buffer) {
          #expect(token.isWhole == (expected[index].count <= 4), "seed \(seed)")
          #expect(Array(buffer[..<token.count]) == Array(expected[index].prefix(4)), "seed \(seed)")
          index += 1
        }
        #expect(index == expected.count, "seed \(seed) \(bytes)")
      }
    }
  }

  @Test func matchesAgreeWithTheReference() throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    var random = SplitMix64(seed: seed)
    let words = ["a", "ab", "abc", "b", "ö", "A", "漢", "Ö-b", "c"]
    func text(_ count: Int) -> String {
      (0..<count).map { _ in words.randomElement(using: &random)! }.joined(separator: " ")
    }
    var passed = 0
    for _ in 0..<1_500 {
      let match = TextMatch(
        TextMatch.Mode.allCases.randomElement(using: &random)!, text(Int.random(in: 1...4, using: &random)))
      let stored = text(Int.random(in: 0...8, using: &random))
      let compiled = try CompiledFilter(.field("x", .text(match)))
      let verdict = try Payload(["x": .string(stored)]).encoded.withUnsafeBytes {
        try compiled.matches($0, id: UnsafeRawBufferPointer(start: nil, count: 0))
      }
      #expect(verdict == ReferenceWords.matches(match, stored), "seed \(seed): \(match) in \(stored)")
      passed += verdict ? 1 : 0
    }
    #expect((150...1350).contains(passed))
  }

  @Test func sixtyFourWordsFit() throws {
    let words = (0..<Limits.filterWordsMax).map { "w\($0)" }
    for mode in TextMatch.Mode.allCases {
      let compiled = try CompiledFilter(.field("x", .text(TextMatch(mode, words.joined(separator: " ")))))
      func verdict(_ words: [String]) throws -> Bool {
        try Payload(["x": .string("z " + words.joined(separator: ", "))]).encoded.withUnsafeBytes {
          try compiled.matches($0, id: UnsafeRawBufferPointer(start: nil, count: 0))
        }
      }
      #expect(try verdict(words))
      #expect(try verdict(Array(words.dropLast())) == (mode == .any))
      #expect(try verdict(Array(words.dropFirst())) == (mode == .any))
    }
  }
}
