// One cell of the rateless table: the sum of some digests, which peeling takes apart.

/// Exclusive or of the digests that go to one index, of their checks, and their number.
public struct CodedSymbol: Hashable, Sendable {
  public internal(set) var key: UInt64 = 0
  public internal(set) var version: UInt64 = 0
  public internal(set) var check: UInt32 = 0
  /// How many digests; in a difference of two tables, how many more the first one has.
  public internal(set) var count: Int32 = 0

  public init() {}

  public init(key: UInt64, version: UInt64, check: UInt32, count: Int32) {
    let digest = RecordDigest(key: key, version: version)
    self.key = digest.key
    self.version = digest.version
    self.check = check
    self.count = count
  }

  public var isZero: Bool { key | version == 0 && check == 0 && count == 0 }

  /// Adds a digest, or takes one away with `sign` -1. Counts wrap: those of a peer may be anything.
  @inline(__always)
  mutating func add(_ digest: RecordDigest, seed: UInt64, sign: Int32) {
    key ^= digest.key
    version ^= digest.version
    check ^= CodedSymbol.check(seed)
    count &+= sign
  }

  @inline(__always)
  mutating func subtract(_ other: CodedSymbol) {
    key ^= other.key
    version ^= other.version
    check ^= other.check
    count &-= other.count
  }

  /// The digest of a symbol that holds just one, whichever side has it; nil if it holds another number.
  /// A wrong answer has a chance of 2⁻³² times the density at the index.
  @inline(__always)
  var pureDigest: RecordDigest? {
    guard count == 1 || count == -1 else { return nil }
    let digest = RecordDigest(key: key, version: version)
    return CodedSymbol.check(digest.seed) == check ? digest : nil
  }

  @inline(__always)
  private static func check(_ seed: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: mixed(seed ^ 0xd1b5_4a32_d192_ed03) >> 32)
  }
}
