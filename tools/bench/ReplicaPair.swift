// Two replicas in memory and a perfect link between them, for `bench reconcile`.

import Core
import Gossip

/// Digests stand for records: the one with the greater version hash counts as the newer.
struct ReplicaPair {
  var one: ShardDigests
  var other: ShardDigests

  init(base: ShardDigests) {
    one = base
    other = base
  }

  var areEqual: Bool {
    one.sketch == other.sketch && one.set.count == other.set.count
  }

  /// Thirds: only here, only there, updated on one side, which makes two differences. With `updates` only
  /// updates, each one difference.
  mutating func diverge(by count: Int, updates: Bool, random: inout SplitMix64) {
    var left = count
    while left > 0 {
      let digest = RecordDigest(key: random.next(), version: random.next())
      switch updates || left > 1 ? random.next() % 3 : random.next() % 2 {
      case _ where updates:
        update(digest, random: &random)
        left -= 1
      case 0:
        one.replace(nil, with: digest)
        left -= 1
      case 1:
        other.replace(nil, with: digest)
        left -= 1
      default:
        update(digest, random: &random)
        left -= 2
      }
    }
  }

  private mutating func update(_ digest: RecordDigest, random: inout SplitMix64) {
    one.replace(nil, with: digest)
    other.replace(nil, with: RecordDigest(key: digest.key, version: random.next()))
  }

  /// Runs one session, and those for its ranges, to the end.
  mutating func reconcile(session: UInt32) throws(RoostError) -> Exchange {
    var total = Exchange()
    var ranges = [KeyRange.whole]
    var number = session
    while let range = ranges.popLast() {
      var run = SessionRun(one: one, other: other, range: range)
      ranges += try run.run(session: number)
      total.add(run.exchange)
      one = run.one
      other = run.other
      number &+= 1
    }
    return total
  }
}

/// One session between two replicas; every message arrives.
private struct SessionRun {
  var one: ShardDigests
  var other: ShardDigests
  let range: KeyRange
  var exchange = Exchange()
  private let before: (one: ShardDigests, other: ShardDigests)
  private var sessions = (ReconcileSessions(), ReconcileSessions())
  private var parts: [KeyRange] = []
  private var pending: [(atOne: Bool, handle: ReconcileHandle, effect: ReconcileEffect)] = []

  init(one: ShardDigests, other: ShardDigests, range: KeyRange) {
    self.one = one
    self.other = other
    self.range = range
    before = (one, other)
  }

  /// Returns the ranges that the session was split into.
  mutating func run(session: UInt32) throws(RoostError) -> [KeyRange] {
    let start = processorNanos()
    var host = 0.0
    let begun = try sessions.0.begin(
      with: 2, scope: 7, range: range, view: one.view(of: range), session: session, nowNanos: 0)
    take(begun.effects, atOne: true)
    while !pending.isEmpty {
      let (atOne, handle, effect) = pending.removeFirst()
      switch effect {
      case .send(let message):
        let bytes = message.encoded
        exchange.bytes += bytes.count
        exchange.messages += 1
        try deliver(bytes, toOne: !atOne)
      case .needSymbols(let indices):
        let symbols = (atOne ? before.one : before.other).set.symbols(indices, in: range)
        with(atOne) { $0.provide(symbols: symbols, to: handle, nowNanos: 0) }
      case .needVersions(let digests):
        let versions = digests.map { Optional(Version(time: $0.version, node: 0)) }
        with(atOne) { $0.provide(versions: versions, to: handle, nowNanos: 0) }
      case .push(let number, let digests):
        let began = processorNanos()
        for digest in digests { store(digest, atOne: !atOne) }
        host += processorNanos() - began
        with(atOne) { $0.pushed(number: number, of: handle, nowNanos: 0) }
      case .resolve(let part, let width, let wanted, let offers):
        let began = processorNanos()
        let newer = resolve(width: width, wanted: wanted, offers: offers, atOne: atOne)
        host += processorNanos() - began
        with(atOne) { $0.resolved(part: part, wanted: newer, of: handle, nowNanos: 0) }
      case .finished(.split(let ranges)):
        if atOne { parts = ranges }
      case .finished: break
      }
    }
    exchange.cpuMs = (processorNanos() - start - host) / 1e6
    return parts
  }

  private mutating func take(_ effects: ReconcileSessions.Effects, atOne: Bool) {
    for (handle, effect) in effects { pending.append((atOne, handle, effect)) }
  }

  private mutating func with(_ atOne: Bool, _ body: (inout ReconcileSessions) -> ReconcileSessions.Effects) {
    take(atOne ? body(&sessions.0) : body(&sessions.1), atOne: atOne)
  }

  private mutating func deliver(_ bytes: [UInt8], toOne: Bool) throws(RoostError) {
    let message = try ReconcileMessage(decoding: bytes)
    switch message.body {
    case .open(_, _, _, let symbols): exchange.symbols = symbols.count
    case .more(let from, let count): exchange.symbols = max(exchange.symbols, from + count)
    default: break
    }
    let digests = toOne ? before.one : before.other
    with(toOne) {
      $0.receive(message, from: toOne ? 2 : 1, nowNanos: 0) { _, _, range in digests.view(of: range) }
    }
  }

  private mutating func store(_ digest: RecordDigest, atOne: Bool) {
    let own = (atOne ? one : other).set.matches(key: digest.key, bits: RecordDigest.keyBits).first
    if let own, own.version >= digest.version { return }
    if atOne { one.replace(own, with: digest) } else { other.replace(own, with: digest) }
  }

  private mutating func resolve(width: Int, wanted: [UInt64], offers: [VersionOffer], atOne: Bool) -> [UInt64]
  {
    let set = (atOne ? one : other).set
    for prefix in wanted {
      for digest in set.matches(key: prefix << UInt64(56 - 8 * width), bits: 8 * width) {
        store(digest, atOne: !atOne)
      }
    }
    var newer: [UInt64] = []
    for offer in offers {
      guard let own = set.matches(key: offer.key, bits: RecordDigest.keyBits).first else { continue }
      if own.version > offer.version.time {
        store(own, atOne: !atOne)
      } else if own.version < offer.version.time {
        newer.append(offer.key)
      }
    }
    return newer
  }
}
