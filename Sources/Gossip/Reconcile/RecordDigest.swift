// What reconciliation sees of a record: 13 bytes made from its id and its version. Replicas that hold equal
// sets of digests hold equal records, deletions included.

import Core

/// The secret of a cluster under which digests are made; all replicas of a shard use the same one.
public struct DigestKey: Hashable, Sendable {
  public let low: UInt64
  public let high: UInt64

  public init(low: UInt64, high: UInt64) {
    self.low = low
    self.high = high
  }
}

/// A record's id and version, hashed. Two versions of one record have equal keys.
public struct RecordDigest: Hashable, Comparable, Sendable {
  public static let keyBits = 56
  public static let versionBits = 48
  public static let byteCount = 13

  /// Hash of the id; 56 bits.
  public let key: UInt64
  /// Hash of id and version; 48 bits.
  public let version: UInt64

  /// Bits above the width of a word are dropped.
  public init(key: UInt64, version: UInt64) {
    self.key = key & (1 << UInt64(RecordDigest.keyBits) - 1)
    self.version = version & (1 << UInt64(RecordDigest.versionBits) - 1)
  }

  /// SipHash-2-4 of the encoded id, and of the encoded id followed by the version, highest bits.
  public init(id: RecordID, version: Version, secret: DigestKey) {
    var writer = ByteWriter(reserving: 96)
    id.encode(into: &writer)
    key = RecordDigest.hash(writer.bytes, secret) >> UInt64(64 - RecordDigest.keyBits)
    version.encode(into: &writer)
    self.version = RecordDigest.hash(writer.bytes, secret) >> UInt64(64 - RecordDigest.versionBits)
  }

  public static func < (a: RecordDigest, b: RecordDigest) -> Bool {
    a.key != b.key ? a.key < b.key : a.version < b.version
  }

  /// From this come the cells that the digest goes to and the check that tells a pure cell.
  @inline(__always)
  var seed: UInt64 { mixed(key ^ mixed(version &+ 0x9e37_79b9_7f4a_7c15)) }

  private static func hash(_ bytes: [UInt8], _ secret: DigestKey) -> UInt64 {
    bytes.withUnsafeBytes { SipHash.hash($0, key: secret) }
  }
}

/// The finaliser of SplitMix64: every bit of the word decides about every bit of the result.
@inline(__always)
func mixed(_ word: UInt64) -> UInt64 {
  var z = word
  z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
  z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
  return z ^ (z >> 31)
}
