// A part of the space of digest keys: all keys that begin with the same bits. Large differences are
// reconciled range by range.

/// The digest keys whose highest `bits` bits are `prefix`.
public struct KeyRange: Hashable, Sendable {
  public static let bitsMax = 16
  public static let whole = KeyRange(prefix: 0, bits: 0)

  public let prefix: UInt64
  public let bits: Int

  public init(prefix: UInt64, bits: Int) {
    precondition(bits >= 0 && bits <= KeyRange.bitsMax && prefix >> UInt64(bits) == 0)
    self.prefix = prefix
    self.bits = bits
  }

  public var isWhole: Bool { bits == 0 }

  public func contains(_ key: UInt64) -> Bool {
    key >> UInt64(RecordDigest.keyBits - bits) == prefix
  }

  /// The smallest key of the range.
  public var first: UInt64 { prefix << UInt64(RecordDigest.keyBits - bits) }

  /// The ranges that this one falls into with `more` bits more; nil beyond `bitsMax`.
  public func parts(_ more: Int) -> [KeyRange]? {
    guard more > 0, bits + more <= KeyRange.bitsMax else { return nil }
    return (0..<UInt64(1) << UInt64(more)).map {
      KeyRange(prefix: prefix << UInt64(more) | $0, bits: bits + more)
    }
  }
}
