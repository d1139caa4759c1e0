// Which members a shard prefers: weighted rendezvous hashing (Thaler and Ravishankar 1998; weights by the
// logarithm method). Every node finds the same order by itself, and a member that comes or goes moves only
// its own share.

import Core

public enum Rendezvous {
  /// The higher, the more `member` is wished for `shard`. A member with twice the capacity is first twice
  /// as often. 0 for one that takes no data.
  public static func score(shard: UInt64, member: MemberID, capacity: UInt16) -> Double {
    let hash = mixed(mixed(shard &+ 0x9e37_79b9_7f4a_7c15) ^ member.value)
    // In (0, 1), with 53 bits.
    let share = (Double(hash >> 11) + 0.5) / 0x1p53
    return Double(capacity) / -naturalLogarithm(share)
  }

  /// ln x for x in (0, 1), by basic IEEE operations only: the C library's `log` differs between platforms,
  /// and all nodes must agree.
  static func naturalLogarithm(_ x: Double) -> Double {
    // Around 1, where the two summands would cancel each other, the exponent is 0.
    let isUpper = x.significand > 1.4142135623730951
    let exponent = Double(x.exponent) + (isUpper ? 1 : 0)
    let significand = isUpper ? x.significand / 2 : x.significand
    let z = (significand - 1) / (significand + 1)
    let square = z * z
    // 2 artanh z; |z| < 0.172, so that the first term left out is below 2⁻⁸⁸ of the sum.
    var sum = 0.0
    for power in stride(from: 33, through: 1, by: -2) { sum = sum * square + 1 / Double(power) }
    return exponent * 0.6931471805599453 + 2 * z * sum
  }
}
