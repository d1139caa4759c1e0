// Byte strings numbered in the order of their first appearance, without an allocation for each.

import Core
import Glibc

/// An open-addressing table over one growing blob.
struct ByteInterner {
  private(set) var blob: [UInt8] = []
  /// Where each string ends in the blob.
  private(set) var ends: [UInt32] = []
  private var hashes: [UInt32] = []
  /// String + 1, or 0.
  private var slots = [UInt32](repeating: 0, count: 64)

  var count: Int { ends.count }
  var byteCount: Int { blob.count + count * 8 + slots.count * 4 }

  func range(_ string: Int) -> Range<Int> {
    (string == 0 ? 0 : Int(ends[string - 1]))..<Int(ends[string])
  }

  /// The number of the string, new or not.
  mutating func intern(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    if (count + 1) * 4 > slots.count * 3 { grow() }
    let hash = Self.hash(bytes)
    var slot = Int(hash) & (slots.count - 1)
    while slots[slot] != 0 {
      let candidate = Int(slots[slot]) - 1
      if hashes[candidate] == hash, isEqual(candidate, bytes) { return UInt32(candidate) }
      slot = (slot + 1) & (slots.count - 1)
    }
    slots[slot] = UInt32(count + 1)
    blob.append(contentsOf: bytes)
    ends.append(UInt32(blob.count))
    hashes.append(hash)
    return UInt32(count - 1)
  }

  /// All strings in the order of their bytes.
  func sorted() -> [UInt32] {
    blob.withUnsafeBytes { raw in
      (0..<UInt32(count)).sorted { a, b in
        compareBytes(
          UnsafeRawBufferPointer(rebasing: raw[range(Int(a))]),
          UnsafeRawBufferPointer(rebasing: raw[range(Int(b))])) < 0
      }
    }
  }

  private func isEqual(_ string: Int, _ bytes: UnsafeRawBufferPointer) -> Bool {
    let range = range(string)
    guard range.count == bytes.count else { return false }
    guard let other = bytes.baseAddress, !range.isEmpty else { return true }
    return blob.withUnsafeBytes { raw in
      raw.baseAddress.map { memcmp($0 + range.lowerBound, other, range.count) == 0 } ?? false
    }
  }

  private mutating func grow() {
    slots = [UInt32](repeating: 0, count: slots.count * 2)
    for string in 0..<count {
      var slot = Int(hashes[string]) & (slots.count - 1)
      while slots[slot] != 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = UInt32(string + 1)
    }
  }

  private static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    return UInt32(truncatingIfNeeded: hash ^ (hash >> 32))
  }
}
