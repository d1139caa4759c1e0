// Which coded symbols a digest goes to: an endless ascending sequence of indices that gets thinner, so that
// any prefix of the symbols is a good invertible Bloom lookup table for some number of differences
// (Yang, Gilad, Alizadeh: Practical Rateless Set Reconciliation, SIGCOMM 2024, section 4).

/// Walks the indices of one digest. The first is always 0.
struct SymbolMapping {
  private(set) var index: UInt64 = 0
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  /// Given index j, the next is above i with probability ((j + 3/2) / (i + 3/2))². The arithmetic is that of
  /// IEEE binary64 in just this order: all replicas must find the same indices.
  @inline(__always)
  mutating func advance() {
    state &+= 0x9e37_79b9_7f4a_7c15
    let ratio = 4_294_967_296.0 / (Double(mixed(state)) + 1).squareRoot()
    let step = ((Double(index) + 1.5) * (ratio - 1)).rounded(.up)
    // Beyond any symbol that is ever asked for, the rest does not matter.
    index = step < 1e12 ? index &+ max(1, UInt64(step)) : UInt64.max >> 1
  }

  /// How many of `items` digests the symbol at `index` holds on average: items · 8 (i + 1) / (2 i + 3)²,
  /// rounded down; all of them at 0.
  static func expectedCount(items: UInt64, index: UInt64) -> UInt64 {
    guard index > 0 else { return items }
    let width = 2 * index + 3
    return items * 8 * (index + 1) / (width * width)
  }

  /// The probability that a digest goes to the symbol at `index`.
  static func density(_ index: Int) -> Double {
    guard index > 0 else { return 1 }
    let width = 2 * Double(index) + 3
    return 8 * (Double(index) + 1) / (width * width)
  }
}
