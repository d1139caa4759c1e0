// Feeds arbitrary bytes to every decoder of Gossip and to the machines behind them; the entry for
// `tools/run fuzz gossip`.

import Core

/// One fuzz iteration: bytes end in a value that encodes to the same bytes, or in a `RoostError`.
package enum GossipFuzz {
  /// The first byte picks the decoder; the rest is its input.
  package static func run(_ input: [UInt8]) {
    guard let choice = input.first else { return }
    let bytes = Array(input.dropFirst())
    switch choice % 7 {
    case 0: message(bytes)
    case 1: sketch(bytes)
    case 2: session(bytes)
    case 3: packet(bytes)
    case 4: membership(bytes)
    case 5:
      let state = try? bytes.withReader { (reader) throws(RoostError) in try CollectionState(from: &reader) }
      guard let state else { return }
      var writer = ByteWriter()
      state.encode(into: &writer)
      precondition(bytes.starts(with: writer.bytes), "a collection state changes")
    default:
      let header = try? bytes.withReader { (reader) throws(RoostError) in try SealHeader(from: &reader) }
      precondition(header.map { bytes.starts(with: $0.encoded) } ?? true, "a seal header changes")
    }
  }

  /// Messages and sketches to start from.
  package static func samples() -> [[UInt8]] {
    let digests = (0..<40 as Range<UInt64>).map { RecordDigest(key: mixed($0), version: mixed($0 + 1_000)) }
    let shard = ShardDigests(digests, cellCount: 8)
    let symbols = shard.sketch.cells
    var writer = ByteWriter()
    SymbolCodec.write(symbols[1...], from: 1, items: 40, into: &writer)
    let bodies: [ReconcileMessage.Body] = [
      .open(scope: 1, range: .whole, items: 40, symbols: [symbols[0]]),
      .open(scope: 1, range: KeyRange(prefix: 3, bits: 5), items: 40, symbols: symbols),
      .more(from: 1, count: 7), .symbols(from: 1, encoded: writer.bytes), .same, .split(bits: 3),
      .differences(
        part: 0, isLast: true, width: 4, wanted: [1, 9],
        offers: [VersionOffer(key: 5, version: Version(time: 1 << 40, node: 2))]),
      .acknowledge(part: 0, wanted: [5]), .refuse(.busy),
    ]
    let messages = bodies.map { ReconcileMessage(session: 3, body: $0).encoded }
    let script = messages.flatMap { [UInt8($0.count & 255), UInt8($0.count >> 8)] + $0 }
    return messages.map { [0] + $0 } + [[1] + shard.sketch.encoded(sequence: 9), [2] + script]
      + packetSamples()
  }

  private static func packetSamples() -> [[UInt8]] {
    let info = MemberInfo(name: "n", address: SocketAddress(host: "h", port: 7), zone: "z")
    let updates: [MemberUpdate] = [
      .alive(MemberID(2), incarnation: 0, info), .suspect(MemberID(1), incarnation: 0, by: MemberID(2)),
      .alive(MemberID(3), incarnation: 5, info), .dead(MemberID(3), incarnation: 5, by: MemberID(2)),
      .left(MemberID(2), incarnation: 1),
    ]
    let purposes: [MembershipPacket.Purpose] = [
      .ping(number: 1, target: MemberID(1)), .ack(number: 1),
      .indirect(number: 1, target: MemberID(3), address: info.address), .nack(number: 1), .news,
      .compare(fingerprint: 1), .state(wantsReply: true), .state(wantsReply: false),
    ]
    let packets = purposes.map {
      MembershipPacket(cluster: 1, sender: MemberID(2), purpose: $0, updates: updates).encoded
    }
    let script = packets.flatMap { [UInt8($0.count & 255), UInt8($0.count >> 8)] + $0 }
    var state = ByteWriter()
    CollectionState(epoch: 2, closed: 9, proved: 8, complete: 7, horizon: 6).encode(into: &state)
    return packets.map { [3] + $0 } + [[4] + script, [5] + state.bytes]
  }

  private static func packet(_ bytes: [UInt8]) {
    guard let packet = try? MembershipPacket(decoding: bytes) else { return }
    precondition(packet.encoded == bytes, "a packet does not survive encoding")
  }

  /// The pieces of an input, each after its length (u16); the last may be cut short.
  private static func parts(_ bytes: [UInt8]) -> [[UInt8]] {
    var (rest, parts) = (bytes[...], [[UInt8]]())
    while rest.count >= 2 {
      let count = Int(rest.removeFirst()) | Int(rest.removeFirst()) << 8
      parts.append(Array(rest.prefix(count)))
      rest = rest.dropFirst(count)
    }
    return parts
  }

  /// A machine to which somebody says what they like: the input is packets, each after its length (u16).
  private static func membership(_ bytes: [UInt8]) {
    let address = SocketAddress(host: "me", port: 7041)
    guard
      var machine = try? Membership(
        id: MemberID(1), cluster: 1, info: MemberInfo(name: "me", address: address), seed: 1, nowNanos: 0)
    else { return }
    var nowNanos: UInt64 = 0
    for one in parts(bytes) {
      nowNanos += 700_000_000
      var effects = (try? machine.receive(one, from: address, nowNanos: nowNanos)) ?? []
      effects += machine.tick(nowNanos: nowNanos)
      for case .send(let bytes, _) in effects {
        precondition(
          bytes.count + SealHeader.overhead <= MembershipPacket.datagramBytesMax, "a datagram is too long")
      }
      precondition(machine.wakeNanos > nowNanos, "a machine has more to do at once")
      precondition(machine.members.allSatisfy { $0.id != machine.id }, "a machine knows itself as another")
      precondition(machine.presentCount == machine.members.count { $0.state.isPresent } + 1, "a wrong count")
    }
  }

  private static func message(_ bytes: [UInt8]) {
    guard let message = try? ReconcileMessage(decoding: bytes) else { return }
    precondition(message.encoded == bytes, "a message does not survive encoding")
  }

  private static func sketch(_ bytes: [UInt8]) {
    guard let (sketch, sequence) = try? SymbolSketch.decode(bytes) else { return }
    precondition(sketch.encoded(sequence: sequence) == bytes, "a sketch does not survive encoding")
  }

  /// A node to which a peer says what it likes: the input is messages, each after its length (u16).
  private static func session(_ bytes: [UInt8]) {
    var settings = ReconcileSettings()
    settings.rangeSymbols = 32
    settings.symbolsMax = 256
    settings.sessionsMax = 4
    var sessions = ReconcileSessions(settings: settings)
    let shard = ShardDigests(
      (0..<20 as Range<UInt64>).map { RecordDigest(key: mixed($0), version: 5) }, cellCount: 8)
    var effects = ReconcileSessions.Effects()
    if let begun = try? sessions.begin(
      with: 1, scope: 1, view: shard.view(of: .whole), session: 3, nowNanos: 0)
    {
      effects = begun.effects
    }
    var nowNanos: UInt64 = 0
    for one in parts(bytes) {
      nowNanos += 100_000_000
      if let message = try? ReconcileMessage(decoding: one) {
        effects += sessions.receive(message, from: 1, nowNanos: nowNanos) { _, _, range in
          shard.view(of: range)
        }
      }
      var steps = 0
      while !effects.isEmpty, steps < 200 {
        steps += 1
        let (handle, effect) = effects.removeFirst()
        switch effect {
        case .send, .finished: break
        case .needSymbols(let indices):
          precondition(indices.upperBound <= settings.symbolsMax, "more symbols than a session may have")
          effects += sessions.provide(symbols: shard.set.symbols(indices), to: handle, nowNanos: nowNanos)
        case .needVersions(let digests):
          effects += sessions.provide(versions: digests.map { _ in nil }, to: handle, nowNanos: nowNanos)
        case .push(let number, _): effects += sessions.pushed(number: number, of: handle, nowNanos: nowNanos)
        case .resolve(let part, _, _, _):
          effects += sessions.resolved(part: part, wanted: [], of: handle, nowNanos: nowNanos)
        }
      }
      precondition(sessions.activeCount <= settings.sessionsMax, "sessions are not bounded")
      effects += sessions.tick(nowNanos: nowNanos)
    }
  }
}
