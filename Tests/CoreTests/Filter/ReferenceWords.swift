// The meaning of a text match, over whole arrays of words.

import Core
import Foundation

enum ReferenceWords {
  static func matches(_ match: TextMatch, _ text: String) -> Bool {
    let wanted = words(match.text)
    let found = words(text)
    switch match.mode {
    case .all: return wanted.allSatisfy { word in found.contains { same($0, word) } }
    case .any: return wanted.contains { word in found.contains { same($0, word) } }
    case .phrase:
      guard wanted.count <= found.count else { return false }
      return (0...found.count - wanted.count).contains { start in
        zip(found[start...], wanted).allSatisfy { same($0, $1) }
      }
    case .prefix:
      guard let last = wanted.last else { return true }
      return wanted.dropLast().allSatisfy { word in found.contains { same($0, word) } }
        && found.contains { $0.utf8.starts(with: last.utf8) }
    }
  }

  /// Splits where Foundation sees no letter, mark or number, and around ideographs.
  static func words(_ text: String) -> [String] {
    var words: [String.UnicodeScalarView] = []
    var isOpen = false
    let inside = CharacterSet.letters.union(.decimalDigits)
    for scalar in text.unicodeScalars {
      let isNumber = scalar.properties.numericType != nil && !scalar.properties.isIdeographic
      guard inside.contains(scalar) || isNumber || scalar.properties.isIdeographic else {
        isOpen = false
        continue
      }
      if !isOpen || scalar.properties.isIdeographic { words.append(String.UnicodeScalarView()) }
      words[words.count - 1].append(contentsOf: scalar.properties.lowercaseMapping.unicodeScalars)
      isOpen = !scalar.properties.isIdeographic
    }
    return words.map { String($0) }
  }

  private static func same(_ a: String, _ b: String) -> Bool { a.utf8.elementsEqual(b.utf8) }
}
