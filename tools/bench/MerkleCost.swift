// The bytes that the same repair takes with a Merkle tree, for comparison: top down, hashes of children
// where a node differs, digests of all records where a leaf does.

import Gossip

enum MerkleCost {
  private static let childBits = 4
  private static let hashBytes = 8
  /// Place of a node in its level, and a header of 5 bytes a round and direction.
  private static let nodeBytes = 4
  private static let headerBytes = 5

  /// Of the larger set a leaf has 16 records on average. The differing leaf's digests go over with 13 bytes
  /// each.
  static func bytes(_ one: DigestSet, _ other: DigestSet) -> Int {
    var levels = 1
    while max(one.count, other.count) >> (childBits * levels) > 16 { levels += 1 }
    let leafBits = levels * childBits
    let leaves = (leaf(sums: one, bits: leafBits), leaf(sums: other, bits: leafBits))
    var differing = Set(leaves.0.indices.filter { leaves.0[$0].sum != leaves.1[$0].sum })
    // The roots, and the answer.
    var total = 2 * headerBytes + hashBytes
    guard !differing.isEmpty else { return total }
    let records = differing.reduce(0) { $0 + leaves.0[$1].count }
    total += 2 * headerBytes + records * RecordDigest.byteCount + differing.count * nodeBytes
    for _ in 0..<levels {
      differing = Set(differing.map { $0 >> childBits })
      total += 2 * headerBytes + differing.count * (nodeBytes + hashBytes << childBits)
    }
    return total
  }

  private static func leaf(sums set: DigestSet, bits: Int) -> [(sum: UInt64, count: Int)] {
    var leaves = [(sum: UInt64, count: Int)](repeating: (0, 0), count: 1 << bits)
    set.forEach(in: .whole) { digest in
      let place = Int(digest.key >> UInt64(RecordDigest.keyBits - bits))
      leaves[place].sum ^= digest.key &* 0x9e37_79b9_7f4a_7c15 ^ digest.version &* 0xd1b5_4a32_d192_ed03
      leaves[place].count += 1
    }
    return leaves
  }
}
