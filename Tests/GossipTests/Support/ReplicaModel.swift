// Replicas of one shard in memory and a bad network between them: what the sessions of a reconciliation must
// survive, in virtual time.

import Core

@testable import Gossip

/// One replica: records by id, the newest version wins, deletions being records, too.
struct ReplicaModel {
  static let secret = DigestKey(low: 7, high: 11)

  private(set) var versions: [RecordID: Version] = [:]
  private var ids: [RecordDigest: RecordID] = [:]
  private(set) var digests = ShardDigests(cellCount: 64)

  static func digest(_ id: RecordID, _ version: Version) -> RecordDigest {
    RecordDigest(id: id, version: version, secret: secret)
  }

  mutating func store(_ id: RecordID, _ version: Version, bug: ReconcileBug? = nil) {
    let old = versions[id]
    if let old, old >= version { return }
    let new = ReplicaModel.digest(id, version)
    let before = old.map { ReplicaModel.digest(id, $0) }
    if let before { ids[before] = nil }
    versions[id] = version
    ids[new] = id
    digests.replace(bug == .forgottenRemoval ? nil : before, with: new)
  }

  private func record(_ digest: RecordDigest) -> (id: RecordID, version: Version)? {
    ids[digest].flatMap { id in versions[id].map { (id, $0) } }
  }

  /// What there is now of the record that once had this digest.
  func current(_ digest: RecordDigest) -> (id: RecordID, version: Version)? {
    records(key: digest.key, bits: RecordDigest.keyBits).max { $0.version < $1.version }
  }

  func records(key: UInt64, bits: Int) -> [(id: RecordID, version: Version)] {
    digests.set.matches(key: key, bits: bits).compactMap { record($0) }
  }
}

/// Mistakes that the tests must find, switched on one at a time.
enum ReconcileBug: CaseIterable {
  /// An update leaves the old digest in the sketch.
  case forgottenRemoval
  /// Symbols beyond the sketch are computed from what is there now, not from the snapshot.
  case noSnapshot
  /// What conflicts is not looked at.
  case offersDropped
  /// Records are sent off and counted as stored, but never come.
  case pushesLost
  /// Those wanted by the responder are taken for those of another range.
  case prefixShifted
}

/// Several replicas, their sessions, and messages under way.
struct ReconcileWorld {
  private enum Event {
    case message([UInt8], from: Int, to: Int)
    case records([(id: RecordID, version: Version)], to: Int)
    case effect(ReconcileHandle, ReconcileEffect, at: Int, life: Int)
  }

  var replicas: [ReplicaModel]
  var settings = ReconcileSettings()
  /// Of 100.
  var loss: UInt64 = 0
  var duplication: UInt64 = 0
  var bug: ReconcileBug?
  private(set) var outcomes: [(node: Int, handle: ReconcileHandle, outcome: ReconcileOutcome)] = []
  private(set) var bytes = 0
  private(set) var nowNanos: UInt64 = 0
  var random: SplitMix64
  private var sessions: [ReconcileSessions]
  private var snapshots: [[ReconcileHandle: ShardDigests]]
  private var ranges: [[ReconcileHandle: KeyRange]]
  private var lives: [Int]
  private var queue: [(nanos: UInt64, number: Int, event: Event)] = []
  private var number = 0

  init(seed: UInt64, replicas count: Int, settings: ReconcileSettings = ReconcileSettings()) {
    random = SplitMix64(seed: seed)
    replicas = Array(repeating: ReplicaModel(), count: count)
    self.settings = settings
    sessions = Array(repeating: ReconcileSessions(settings: settings), count: count)
    snapshots = Array(repeating: [:], count: count)
    ranges = snapshots.map { _ in [:] }
    lives = Array(repeating: 0, count: count)
  }

  func below(_ limit: UInt64, _ random: inout SplitMix64) -> UInt64 { random.next() % limit }
  mutating func draw(_ limit: UInt64) -> UInt64 { random.next() % limit }

  mutating func begin(_ node: Int, with peer: Int, range: KeyRange = .whole) throws(RoostError) {
    let digests = replicas[node].digests
    let begun = try sessions[node].begin(
      with: UInt64(peer), scope: 1, range: range, view: digests.view(of: range),
      session: UInt32(truncatingIfNeeded: random.next()), nowNanos: nowNanos)
    snapshots[node][begun.handle] = digests
    ranges[node][begun.handle] = range
    take(begun.effects, at: node)
  }

  /// A node loses all sessions and keeps its records.
  mutating func restart(_ node: Int) {
    sessions[node] = ReconcileSessions(settings: settings)
    snapshots[node] = [:]
    ranges[node] = [:]
    lives[node] += 1
  }

  /// Runs to the end of all sessions; `meanwhile` is called before every event.
  mutating func run(
    untilNanos: UInt64 = .max, meanwhile: (inout ReconcileWorld) -> Void = { _ in }
  ) throws(RoostError) {
    while true {
      let wake = sessions.compactMap { $0.activeCount > 0 ? $0.wakeNanos : nil }.min()
      let next = queue.min { ($0.nanos, $0.number) < ($1.nanos, $1.number) }
      guard let time = [wake, next?.nanos].compactMap({ $0 }).min(), time <= untilNanos else { return }
      nowNanos = max(nowNanos, time)
      meanwhile(&self)
      if let next, next.nanos <= nowNanos {
        queue.removeAll { $0.number == next.number }
        try perform(next.event)
      } else {
        for node in sessions.indices { take(sessions[node].tick(nowNanos: nowNanos), at: node) }
      }
    }
  }

  private mutating func later(_ nanos: UInt64, _ event: Event) {
    number += 1
    queue.append((nowNanos + nanos, number, event))
  }

  private mutating func take(_ effects: ReconcileSessions.Effects, at node: Int) {
    for (handle, effect) in effects {
      guard case .send(let message) = effect else {
        // The host needs time for what it is asked.
        later(draw(20_000_000), .effect(handle, effect, at: node, life: lives[node]))
        continue
      }
      let encoded = message.encoded
      bytes += encoded.count
      for copy in 0...(draw(100) < duplication ? 1 : 0) where copy == 1 || draw(100) >= loss {
        later(1_000_000 + draw(80_000_000), .message(encoded, from: node, to: Int(handle.peer)))
      }
    }
  }

  private mutating func perform(_ event: Event) throws(RoostError) {
    switch event {
    case .message(let bytes, let from, let to):
      let message = try ReconcileMessage(decoding: bytes)
      let digests = replicas[to].digests
      var opened: (ReconcileHandle, KeyRange)?
      let effects = sessions[to].receive(message, from: UInt64(from), nowNanos: nowNanos) {
        handle, _, range in
        opened = (handle, range)
        return digests.view(of: range)
      }
      if let (handle, range) = opened {
        snapshots[to][handle] = digests
        ranges[to][handle] = range
      }
      take(effects, at: to)
    case .records(let records, let to):
      for (id, version) in records { replicas[to].store(id, version, bug: bug) }
    case .effect(let handle, let effect, let node, let life):
      guard lives[node] == life else { return }
      try answer(handle, effect, at: node)
    }
  }

  private mutating func answer(_ handle: ReconcileHandle, _ effect: ReconcileEffect, at node: Int)
    throws(RoostError)
  {
    let now = nowNanos
    let peer = Int(handle.peer)
    switch effect {
    case .send: break
    case .needSymbols(let indices):
      let snapshot = bug == .noSnapshot ? replicas[node].digests : snapshots[node][handle]!
      let symbols = snapshot.set.symbols(indices, in: ranges[node][handle]!)
      take(sessions[node].provide(symbols: symbols, to: handle, nowNanos: now), at: node)
    case .needVersions(let digests):
      let versions = digests.map { replicas[node].current($0)?.version }
      take(sessions[node].provide(versions: versions, to: handle, nowNanos: now), at: node)
    case .push(let number, let digests):
      send(digests.compactMap { replicas[node].current($0) }, to: peer)
      take(sessions[node].pushed(number: number, of: handle, nowNanos: now), at: node)
    case .resolve(let part, let width, let wanted, let offers):
      let shift = UInt64(RecordDigest.keyBits - 8 * width)
      let skew: UInt64 = bug == .prefixShifted ? 1 : 0
      send(
        wanted.flatMap { replicas[node].records(key: ($0 ^ skew) << shift, bits: 8 * width) }, to: peer)
      var newer: [UInt64] = []
      for offer in bug == .offersDropped ? [] : offers {
        let own = replicas[node].records(key: offer.key, bits: RecordDigest.keyBits)
        send(own.filter { $0.version > offer.version }, to: peer)
        if own.allSatisfy({ $0.version < offer.version }) { newer.append(offer.key) }
      }
      take(sessions[node].resolved(part: part, wanted: newer, of: handle, nowNanos: now), at: node)
    case .finished(let outcome):
      outcomes.append((node, handle, outcome))
      snapshots[node][handle] = nil
      if handle.isInitiator, case .split(let parts) = outcome {
        for part in parts { try begin(node, with: peer, range: part) }
      }
    }
  }

  /// Records go over a reliable stream: they have come before the sender is told so.
  private mutating func send(_ records: [(id: RecordID, version: Version)], to node: Int) {
    guard bug != .pushesLost else { return }
    for (id, version) in records { replicas[node].store(id, version, bug: bug) }
  }
}
