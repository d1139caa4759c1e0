// When deletions may be forgotten, without a timer: each replica promises to take no more old writes, all
// make sure by reconciliation that they hold the same old ones, and only then does any of them drop its
// tombstones. Rules in spec/gossip.md, section Tombstones.

import Core

/// What a replica of a shard keeps on disk about collection, and tells the others.
public struct CollectionState: Hashable, Sendable {
  /// The epoch of the shard's replica set.
  public var epoch: UInt64
  /// Direct writes with a version time up to this are refused, for ever.
  public var closed: UInt64
  /// It was complete up to this in some epoch.
  public var proved: UInt64
  /// All replicas of this epoch, and it, hold what any of them held up to this.
  public var complete: UInt64
  /// Tombstones up to this are dropped.
  public var horizon: UInt64
  /// It waits for a copy and proves nothing; the other numbers are 0.
  public var isRebuilding: Bool

  public init(
    epoch: UInt64, closed: UInt64 = 0, proved: UInt64 = 0, complete: UInt64 = 0, horizon: UInt64 = 0,
    isRebuilding: Bool = false
  ) {
    self.epoch = epoch
    self.closed = closed
    self.proved = proved
    self.complete = complete
    self.horizon = horizon
    self.isRebuilding = isRebuilding
  }

  public static let byteCount = 41

  public func encode(into writer: inout ByteWriter) {
    for number in [epoch, closed, proved, complete, horizon] { writer.u64(number) }
    writer.u8(isRebuilding ? 1 : 0)
  }

  /// Throws `.protocolViolation` when the numbers contradict each other.
  public init(from reader: inout ByteReader) throws(RoostError) {
    epoch = try reader.u64()
    closed = try reader.u64()
    proved = try reader.u64()
    complete = try reader.u64()
    horizon = try reader.u64()
    let flag = try reader.u8()
    isRebuilding = flag == 1
    guard horizon <= complete, complete <= proved, proved <= closed, flag <= 1, flag == 0 || closed == 0
    else {
      throw RoostError(
        .protocolViolation, "closed \(closed), proved \(proved), complete \(complete), horizon \(horizon)",
        at: "collection state")
    }
  }
}

public enum CollectorEffect: Hashable, Sendable {
  /// Make this durable before anything else happens, then tell it to the other replicas.
  case save(CollectionState)
  /// Drop all tombstones with a version time up to this, and nothing else.
  case drop(upTo: UInt64)
  /// Reconcile with this replica; then `reconciled(with:mark:)`.
  case reconcile(with: MemberID, mark: CollectorMark)
  /// This replica does not know what it has promised, as after a backup was restored: it must be taken out
  /// of the replica set and in again, by an epoch of which it is a new member.
  case rejoin
  /// This replica comes from before its epoch. Read the state of `source`, drop all own records with
  /// version times up to its horizon, copy all that it has (the newer version wins) and call
  /// `rebuilt(from:)` with that state.
  case rebuild(source: MemberID)
}

/// What was known when a session began; it decides what the session proves.
public struct CollectorMark: Hashable, Sendable {
  let epoch: UInt64
  let barrier: UInt64
}

/// Mistakes that the tests must find, switched on one at a time.
package enum CollectorBug: CaseIterable, Sendable {
  case mergeReturning, noClosing, collectAlone, keptAboveHorizon, noHorizon
}

/// The machine of one replica of one shard.
public struct TombstoneCollector: Sendable {
  public let id: MemberID
  public private(set) var state: CollectionState
  /// All of the epoch, this one included; ascending.
  public private(set) var replicas: [MemberID]
  /// What the others said last, in this epoch.
  private var others: [MemberID: CollectionState] = [:]
  /// Up to where sessions proved that this replica holds what the other one held.
  private var evidence: [MemberID: UInt64] = [:]
  package var bug: CollectorBug?

  /// - Parameter state: as it was saved; of a new and empty shard `CollectionState(epoch:)`.
  public init(id: MemberID, replicas: [MemberID], state: CollectionState) {
    precondition(replicas.contains(id))
    self.id = id
    self.replicas = replicas.sorted()
    self.state = state
  }

  // MARK: - Writes

  /// Whether a write from a coordinator, or a hint, may be stored. Throws `.unavailable` for one of another
  /// epoch (the coordinator has an old shard table) and for one at or below the barrier (it sends it anew
  /// with a fresh version).
  public func admit(_ version: Version, epoch: UInt64) throws(RoostError) {
    guard epoch == state.epoch, !state.isRebuilding else {
      throw RoostError(
        .unavailable, "the write is of epoch \(epoch), this replica is in \(state.epoch)", at: "shard",
        remedy: "read the shard table again")
    }
    guard version.time > state.closed || bug == .noClosing else {
      throw RoostError(
        .unavailable, "the write is older than the barrier \(state.closed)", at: "shard",
        remedy: "send it again with a fresh version")
    }
  }

  /// Whether a record from reconciliation may be stored: nothing at or below the horizon, where deletions
  /// are no longer known.
  public func admitsRepair(_ version: Version) -> Bool { version.time > state.horizon || bug == .noHorizon }

  /// Replicas reconcile only if these are equal; else they tell each other their states first.
  public var scope: [UInt64] { bug == .noHorizon ? [state.epoch] : [state.epoch, state.horizon] }

  // MARK: - Rounds

  /// Begins a round: closes up to `now`, the time of this replica's clock. Any replica may, at any time; more
  /// often means that deletions take room for less long.
  public mutating func propose(now: UInt64) -> [CollectorEffect] {
    guard !state.isRebuilding, now > state.closed else { return [] }
    state.closed = now
    return [.save(state)] + progress()
  }

  /// Another replica told its state.
  public mutating func heard(_ said: CollectionState, from replica: MemberID) -> [CollectorEffect] {
    guard said.epoch == state.epoch, replica != id, replicas.contains(replica), !state.isRebuilding else {
      return []
    }
    others[replica] = said
    if said.horizon > state.horizon {
      // All were complete up to there, says one that has collected. Who knows nothing of that is from before.
      guard state.proved >= said.horizon || bug == .mergeReturning else {
        return lose()
      }
      state.closed = max(state.closed, said.horizon)
      state.proved = max(state.proved, said.horizon)
      state.complete = max(state.complete, said.horizon)
      return collect(upTo: said.horizon) + progress()
    }
    guard said.closed > state.closed else { return progress() }
    state.closed = said.closed
    return [.save(state)] + progress()
  }

  /// A session that this replica began has ended with `same`, or with `repaired` and `isWhole`.
  public mutating func reconciled(with replica: MemberID, mark: CollectorMark) -> [CollectorEffect] {
    guard mark.epoch == state.epoch, replicas.contains(replica), !state.isRebuilding else { return [] }
    evidence[replica] = max(evidence[replica] ?? 0, mark.barrier)
    return progress()
  }

  /// What a session that begins now would prove.
  public var mark: CollectorMark { CollectorMark(epoch: state.epoch, barrier: closedByAll) }

  /// Up to this all replicas of the epoch have closed, as far as is known here.
  private var closedByAll: UInt64 { least(state.closed) { $0.closed } }

  private func least(_ own: UInt64, _ of: (CollectionState) -> UInt64) -> UInt64 {
    replicas.filter { $0 != id }.reduce(own) { min($0, others[$1].map(of) ?? 0) }
  }

  private mutating func progress() -> [CollectorEffect] {
    guard !state.isRebuilding else { return [] }
    var effects: [CollectorEffect] = []
    let barrier = closedByAll
    let peers = replicas.filter { $0 != id }
    let proven = peers.reduce(barrier) { min($0, evidence[$1] ?? 0) }
    if proven > state.complete {
      state.complete = proven
      state.proved = max(state.proved, proven)
      effects.append(.save(state))
    }
    let collectable = bug == .collectAlone ? state.complete : least(state.complete) { $0.complete }
    if collectable > state.horizon { effects += collect(upTo: collectable) }
    for peer in peers where barrier > state.complete && (evidence[peer] ?? 0) < barrier {
      effects.append(.reconcile(with: peer, mark: mark))
    }
    return effects
  }

  private mutating func collect(upTo horizon: UInt64) -> [CollectorEffect] {
    state.horizon = horizon
    return [.save(state), .drop(upTo: horizon)]
  }

  // MARK: - Epochs

  /// The shard table has another replica set. A replica that has been in all epochs since its own goes on:
  /// without it nothing was collected. Any other one is rebuilt from `source`, which goes on.
  /// - Parameter memberSince: the epoch since when this replica is in the set without a break.
  public mutating func enter(epoch: UInt64, replicas: [MemberID], memberSince: UInt64, source: MemberID)
    -> [CollectorEffect]
  {
    guard epoch > state.epoch else { return [] }
    let goesOn = memberSince <= state.epoch && !state.isRebuilding
    self.replicas = replicas.sorted()
    others = [:]
    evidence = [:]
    state.epoch = epoch
    // What was proved holds among those of before; a new one may bring what they lack.
    state.complete = state.horizon
    guard replicas.contains(id) else { return [.save(state)] }
    if goesOn || bug == .mergeReturning { return [.save(state)] + progress() }
    return beginRebuild(from: source)
  }

  private mutating func beginRebuild(from source: MemberID) -> [CollectorEffect] {
    state = CollectionState(epoch: state.epoch, isRebuilding: true)
    return [.save(state), .rebuild(source: source)]
  }

  /// The saved state is lost or older than what others were told. States are not part of backups: a replica
  /// that was restored begins here.
  public mutating func lose() -> [CollectorEffect] {
    state = CollectionState(epoch: state.epoch, isRebuilding: true)
    return [.save(state), .rejoin]
  }

  /// The copy is whole and durable.
  /// - Parameter source: the state of the source when the copy began, in the same epoch as now; else the copy
  ///   is made again.
  public mutating func rebuilt(from source: CollectionState) -> [CollectorEffect] {
    guard state.isRebuilding, source.epoch == state.epoch, !source.isRebuilding else { return [] }
    state.isRebuilding = false
    state.closed = source.proved
    state.proved = source.proved
    state.complete = source.horizon
    state.horizon = source.horizon
    return [.save(state), .drop(upTo: source.horizon)] + progress()
  }
}
