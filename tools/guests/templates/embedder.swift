// Embeds text by how often each letter from a to z occurs in it, upper case or lower.

struct Example: Embedder {
  static let dimension = 27

  func embed(_ text: Bytes, into vector: UnsafeMutablePointer<Float>) throws(GuestError) {
    // The last element tells texts without letters from nothing at all.
    vector[26] = 1
    for index in 0..<text.count {
      let letter = lowercased(text[index]) &- 97
      if letter < 26 { vector[Int(letter)] += 1 }
    }
  }
}

typealias ModuleEmbedder = Example
