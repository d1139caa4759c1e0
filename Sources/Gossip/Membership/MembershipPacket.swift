// Datagrams and stream messages of membership: one purpose each, and news on the back.

import Core

/// One packet, before it is sealed.
public struct MembershipPacket: Hashable, Sendable {
  public enum Purpose: Hashable, Sendable {
    /// Answer me, if you are `target`.
    case ping(number: UInt32, target: MemberID)
    case ack(number: UInt32)
    /// Ping `target` for me.
    case indirect(number: UInt32, target: MemberID, address: SocketAddress)
    /// I am well, but `target` of your indirect ping does not answer me.
    case nack(number: UInt32)
    /// Only news.
    case news
    /// Do we agree? Fingerprint of the members present.
    case compare(fingerprint: UInt64)
    /// On a stream: all that I know; answer with the same if `wantsReply`.
    case state(wantsReply: Bool)
  }

  static let version: UInt8 = 1
  /// Bytes of a sealed datagram, at most: fits every usual link without fragments.
  public static let datagramBytesMax = 1_400
  /// Members of a cluster, at most; bounds a state message.
  public static let membersMax = 4_096
  static let stateBytesMax = membersMax * 512

  /// Packets of other clusters are dropped.
  public var cluster: UInt64
  public var sender: MemberID
  public var purpose: Purpose
  public var updates: [MemberUpdate]

  public init(cluster: UInt64, sender: MemberID, purpose: Purpose, updates: [MemberUpdate] = []) {
    self.cluster = cluster
    self.sender = sender
    self.purpose = purpose
    self.updates = updates
  }

  public var encoded: [UInt8] {
    var writer = head
    for update in updates { update.encode(into: &writer) }
    return writer.bytes
  }

  /// All but the news.
  var head: ByteWriter {
    var writer = ByteWriter(reserving: 256)
    writer.u8(MembershipPacket.version)
    writer.u64(cluster)
    writer.u64(sender.value)
    switch purpose {
    case .ping(let number, let target):
      writer.u8(1)
      writer.u32(number)
      writer.u64(target.value)
    case .ack(let number):
      writer.u8(2)
      writer.u32(number)
    case .indirect(let number, let target, let address):
      writer.u8(3)
      writer.u32(number)
      writer.u64(target.value)
      address.encode(into: &writer)
    case .nack(let number):
      writer.u8(4)
      writer.u32(number)
    case .news: writer.u8(5)
    case .compare(let fingerprint):
      writer.u8(6)
      writer.u64(fingerprint)
    case .state(let wantsReply): writer.u8(wantsReply ? 7 : 8)
    }
    return writer
  }

  public init(decoding bytes: [UInt8]) throws(RoostError) {
    guard bytes.count <= MembershipPacket.stateBytesMax else {
      throw RoostError(.limitExceeded, "a packet of \(bytes.count) bytes", at: "membership")
    }
    self = try bytes.withReader { (reader) throws(RoostError) in
      let version = try reader.u8()
      guard version == MembershipPacket.version else {
        throw RoostError(.unsupportedVersion, "membership version \(version)", at: "membership")
      }
      let cluster = try reader.u64()
      let sender = MemberID(try reader.u64())
      let purpose = try MembershipPacket.purpose(&reader)
      var updates: [MemberUpdate] = []
      while !reader.isAtEnd {
        guard updates.count < MembershipPacket.membersMax else {
          throw RoostError(
            .limitExceeded, "news of more than \(MembershipPacket.membersMax) members", at: "membership")
        }
        updates.append(try MemberUpdate(from: &reader))
      }
      return MembershipPacket(cluster: cluster, sender: sender, purpose: purpose, updates: updates)
    }
  }

  private static func purpose(_ reader: inout ByteReader) throws(RoostError) -> Purpose {
    switch try reader.u8() {
    case 1:
      let number = try reader.u32()
      return .ping(number: number, target: MemberID(try reader.u64()))
    case 2: return .ack(number: try reader.u32())
    case 3:
      let number = try reader.u32()
      let target = MemberID(try reader.u64())
      return .indirect(number: number, target: target, address: try SocketAddress(from: &reader))
    case 4: return .nack(number: try reader.u32())
    case 5: return .news
    case 6: return .compare(fingerprint: try reader.u64())
    case 7: return .state(wantsReply: true)
    case 8: return .state(wantsReply: false)
    case let kind: throw RoostError(.protocolViolation, "kind \(kind)", at: "membership packet")
    }
  }
}

/// The clear head of a sealed datagram: which key opens it. It is the additional data of the seal, which
/// follows it: ciphertext and a tag of 16 bytes (`spec/gossip.md`, section Seal).
public struct SealHeader: Hashable, Sendable {
  public static let byteCount = 26
  public static let tagBytes = 16
  /// What sealing adds to a packet.
  public static let overhead = byteCount + tagBytes
  private static let version: UInt8 = 1

  /// Which of the cluster's keys, so that they can be exchanged while in use.
  public var keyNumber: UInt8
  public var sender: MemberID
  /// Random at every start of the sender: with it and the sender the key of this seal is derived.
  public var salt: UInt64
  /// Never repeats under one salt.
  public var counter: UInt64

  public init(keyNumber: UInt8, sender: MemberID, salt: UInt64, counter: UInt64) {
    self.keyNumber = keyNumber
    self.sender = sender
    self.salt = salt
    self.counter = counter
  }

  public var encoded: [UInt8] {
    var writer = ByteWriter(reserving: SealHeader.byteCount)
    writer.u8(SealHeader.version)
    writer.u8(keyNumber)
    writer.u64(sender.value)
    writer.u64(salt)
    writer.u64(counter)
    return writer.bytes
  }

  /// The nonce: the counter in its last eight bytes, zeros before.
  public var nonce: [UInt8] {
    var writer = ByteWriter(reserving: 12)
    writer.u32(0)
    writer.u64(counter.bigEndian)
    return writer.bytes
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    let version = try reader.u8()
    guard version == SealHeader.version else {
      throw RoostError(.unsupportedVersion, "seal version \(version)", at: "datagram")
    }
    keyNumber = try reader.u8()
    sender = MemberID(try reader.u64())
    salt = try reader.u64()
    counter = try reader.u64()
  }
}

/// Authenticated encryption of packets; the node implements it with AES-256-GCM of OpenSSL.
public protocol PacketSeal {
  /// `SealHeader`, ciphertext and tag.
  mutating func seal(_ packet: [UInt8]) throws(RoostError) -> [UInt8]
  /// The packet; throws `.permissionDenied` for one that no key of the cluster made, or that came before.
  mutating func open(_ datagram: [UInt8]) throws(RoostError) -> [UInt8]
}
