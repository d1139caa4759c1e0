// The messages of a reconciliation and their bytes (`spec/gossip.md`, section Reconciliation messages).

import Core

/// A record of the responder that the initiator has in another version.
public struct VersionOffer: Hashable, Sendable {
  public var key: UInt64
  public var version: Version

  public init(key: UInt64, version: Version) {
    self.key = key
    self.version = version
  }
}

/// One message; `session` is chosen by the initiator, 28 bits.
public struct ReconcileMessage: Hashable, Sendable {
  public enum Refusal: UInt8, Sendable, CaseIterable {
    /// The responder does not hold this shard in this epoch.
    case unknownScope = 1
    /// Neither side knows the session any more; begin another one.
    case unknownSession = 2
    /// Too many sessions; try later.
    case busy = 3
    /// The sets differ in more than sessions can find; stream the shard.
    case tooDifferent = 4
    /// The symbols are not those of a set.
    case nonsense = 5
  }

  public enum Body: Hashable, Sendable {
    /// To the responder: which shard, how many digests, the first symbols.
    case open(scope: UInt64, range: KeyRange, items: UInt64, symbols: [CodedSymbol])
    /// To the initiator: send `count` symbols from index `from` on.
    case more(from: Int, count: Int)
    /// To the responder: symbols from index `from` on, as `SymbolCodec` writes them.
    case symbols(from: Int, encoded: [UInt8])
    /// To the initiator: no difference.
    case same
    /// To the initiator: too many differences for one session; reconcile each of 2^bits parts by itself.
    case split(bits: Int)
    /// To the initiator, part by part: whose records the responder lacks (the highest `width` bytes of their
    /// keys, ascending) and which the two hold in different versions.
    case differences(part: Int, isLast: Bool, width: Int, wanted: [UInt64], offers: [VersionOffer])
    /// To the responder: the part is dealt with; these keys of the offers are wanted.
    case acknowledge(part: Int, wanted: [UInt64])
    /// Either way.
    case refuse(Refusal)
  }

  public static let sessionMask: UInt32 = 0x0fff_ffff
  /// Bytes of a message, at most; a stream may carry this, a datagram less.
  public static let byteCountMax = 1 << 20
  static let partMax = 1 << 24

  public var session: UInt32
  public var body: Body

  public init(session: UInt32, body: Body) {
    precondition(session & ~ReconcileMessage.sessionMask == 0)
    self.session = session
    self.body = body
  }

  // MARK: - Bytes

  public var encoded: [UInt8] {
    var writer = ByteWriter(reserving: 64)
    writer.u32(session | UInt32(kind) << 28)
    switch body {
    case .open(let scope, let range, let items, let symbols):
      writer.u64(scope)
      writer.u8(UInt8(range.bits))
      if !range.isWhole { writer.u16(UInt16(range.prefix)) }
      writer.varint(items)
      SymbolCodec.write(symbols[...], from: 0, items: items, into: &writer)
    case .more(let from, let count):
      writer.count(from)
      writer.count(count)
    case .symbols(let from, let encoded):
      writer.count(from)
      writer.raw(encoded)
    case .same: break
    case .split(let bits): writer.u8(UInt8(bits))
    case .differences(let part, let isLast, let width, let wanted, let offers):
      writer.count(part << 1 | (isLast ? 1 : 0))
      writer.u8(UInt8(width))
      writer.count(wanted.count)
      for key in wanted { ReconcileMessage.write(key, bytes: width, into: &writer) }
      writer.count(offers.count)
      for offer in offers {
        ReconcileMessage.write(offer.key, bytes: 7, into: &writer)
        offer.version.encode(into: &writer)
      }
    case .acknowledge(let part, let wanted):
      writer.count(part)
      for key in wanted { ReconcileMessage.write(key, bytes: 7, into: &writer) }
    case .refuse(let reason): writer.u8(reason.rawValue)
    }
    return writer.bytes
  }

  private var kind: UInt8 {
    switch body {
    case .open: 1
    case .more: 2
    case .symbols: 3
    case .same: 4
    case .split: 5
    case .differences: 6
    case .acknowledge: 7
    case .refuse: 8
    }
  }

  public init(decoding bytes: [UInt8]) throws(RoostError) {
    guard bytes.count <= ReconcileMessage.byteCountMax else {
      throw RoostError(.limitExceeded, "a message of \(bytes.count) bytes", at: "reconciliation")
    }
    self = try bytes.withReader { (reader) throws(RoostError) in
      let tag = try reader.u32()
      let body = try ReconcileMessage.body(kind: tag >> 28, &reader)
      try reader.expectEnd("a reconciliation message")
      return ReconcileMessage(session: tag & ReconcileMessage.sessionMask, body: body)
    }
  }

  private static func body(kind: UInt32, _ reader: inout ByteReader) throws(RoostError) -> Body {
    let indexMax = SymbolSketch.cellCountMax
    switch kind {
    case 1:
      let scope = try reader.u64()
      let bits = Int(try reader.u8())
      guard bits <= KeyRange.bitsMax else { throw refuse("a key range of \(bits) bits") }
      let prefix = bits == 0 ? 0 : UInt64(try reader.u16())
      guard prefix >> UInt64(bits) == 0 else { throw refuse("prefix \(prefix) in \(bits) bits") }
      let items = try reader.varint()
      guard items <= SymbolSketch.itemsMax else { throw refuse("\(items) digests") }
      let symbols = try SymbolCodec.read(from: 0, items: items, &reader)
      guard !symbols.isEmpty, symbols.count <= indexMax else { throw refuse("\(symbols.count) symbols") }
      return .open(
        scope: scope, range: KeyRange(prefix: prefix, bits: bits), items: items, symbols: symbols)
    case 2:
      let from = try reader.count("first symbol", atMost: indexMax)
      let count = try reader.count("symbols", atMost: indexMax - from)
      guard count > 0 else { throw refuse("a request for no symbols") }
      return .more(from: from, count: count)
    case 3:
      let from = try reader.count("first symbol", atMost: indexMax)
      return .symbols(from: from, encoded: try reader.array(reader.remaining))
    case 4: return .same
    case 5:
      let bits = Int(try reader.u8())
      guard bits > 0, bits <= KeyRange.bitsMax else { throw refuse("a split into 2^\(bits) parts") }
      return .split(bits: bits)
    case 6: return try differences(&reader)
    case 7:
      let part = try reader.count("part", atMost: partMax)
      guard reader.remaining % 7 == 0 else { throw refuse("\(reader.remaining) bytes of keys") }
      var wanted: [UInt64] = []
      while !reader.isAtEnd { wanted.append(try key(bytes: 7, &reader)) }
      return .acknowledge(part: part, wanted: wanted)
    case 8:
      let code = try reader.u8()
      guard let reason = Refusal(rawValue: code) else { throw refuse("refusal \(code)") }
      return .refuse(reason)
    default: throw refuse("kind \(kind)")
    }
  }

  private static func differences(_ reader: inout ByteReader) throws(RoostError) -> Body {
    let part = try reader.count("part", atMost: 2 * partMax + 1)
    let width = Int(try reader.u8())
    guard (1...7).contains(width) else { throw refuse("keys of \(width) bytes") }
    var wanted: [UInt64] = []
    for _ in 0..<(try reader.count("wanted keys", atMost: reader.remaining / width)) {
      let key = try key(bytes: width, &reader)
      if let last = wanted.last, last >= key { throw refuse("keys that do not ascend") }
      wanted.append(key)
    }
    var offers: [VersionOffer] = []
    for _ in 0..<(try reader.count("offers", atMost: reader.remaining / 19)) {
      offers.append(VersionOffer(key: try key(bytes: 7, &reader), version: try Version(from: &reader)))
    }
    return .differences(
      part: part >> 1, isLast: part & 1 == 1, width: width, wanted: wanted, offers: offers)
  }

  private static func write(_ key: UInt64, bytes: Int, into writer: inout ByteWriter) {
    for byte in 0..<UInt64(bytes) { writer.u8(UInt8(truncatingIfNeeded: key >> (8 * byte))) }
  }

  private static func key(bytes: Int, _ reader: inout ByteReader) throws(RoostError) -> UInt64 {
    var key: UInt64 = 0
    for byte in 0..<UInt64(bytes) { key |= UInt64(try reader.u8()) << (8 * byte) }
    return key
  }

  private static func refuse(_ message: String) -> RoostError {
    RoostError(.protocolViolation, message, at: "reconciliation message")
  }
}
