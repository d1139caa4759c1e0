// The vocabulary of a WordPiece tokenizer and what it needs to know about Unicode, as arrays of a model file; the
// guests' tokenizer is tools/guests/minilm/WordPiece.swift.

import Core
import Foundation

struct Vocabulary {
  let path: String
  let words: [String]

  /// - Parameter path: a file with one piece a line, the id being the line's number.
  init(path: String) throws(RoostError) {
    self.path = path
    guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
      throw RoostError(.notFound, "the vocabulary cannot be read", at: path)
    }
    words = text.split(separator: "\n", omittingEmptySubsequences: true).map(String.init)
  }

  func add(to file: inout ModelFile) throws(RoostError) {
    func id(_ word: String) throws(RoostError) -> UInt32 {
      guard let id = words.firstIndex(of: word) else {
        throw RoostError(.invalidArgument, "the vocabulary has no \(word)", at: path)
      }
      return UInt32(id)
    }
    file.add("vocabulary.special", .u32, [try id("[UNK]"), try id("[CLS]"), try id("[SEP]")])
    var text: [UInt8] = []
    var offsets: [UInt32] = [0]
    // Open addressing, at most half full: id + 1 by FNV-1a of the word's bytes; 0 is a free slot.
    var slots = [UInt32](repeating: 0, count: 1 << 16)
    for (id, word) in words.enumerated() {
      text += word.utf8
      offsets.append(UInt32(text.count))
      var hash: UInt32 = 0x811c_9dc5
      for byte in word.utf8 { hash = (hash ^ UInt32(byte)) &* 0x0100_0193 }
      var slot = Int(hash ^ hash >> 15) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(id + 1)
    }
    guard words.count <= slots.count / 2 else {
      throw RoostError(
        .limitExceeded, "\(words.count) words, the limit is \(slots.count / 2)", at: path)
    }
    file.add("vocabulary.text", .bytes, text)
    file.add("vocabulary.offsets", .u32, offsets)
    file.add("vocabulary.slots", .u32, slots)
    let table = UnicodeTable()
    file.add("unicode.pages", .u16, table.pages)
    file.add("unicode.blocks", .u16, table.blocks)
    file.add("unicode.results", .u32, table.results)
    file.add("unicode.scalars", .u32, table.scalars)
  }
}
