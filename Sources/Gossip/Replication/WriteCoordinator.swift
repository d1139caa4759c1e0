// One write of one record to all replicas of its shard, at the coordinator: who has it, when it counts, who
// gets a hint, and when it is sent anew.

import Core

public enum WriteEffect: Equatable, Sendable {
  /// Send the record with this version, under this epoch of the shard.
  case send(to: MemberID, version: Version, epoch: UInt64)
  /// The level is reached: tell the client. It is told once.
  case acknowledge(Version)
  /// Tell the client. The write may have happened if any replica has it.
  case fail(RoostError, mayHaveHappened: Bool)
  /// Keep the record durably for a replica that did not take it, to be sent when it is back.
  case hint(for: MemberID, version: Version)
  /// The clock is behind a barrier or the shard table is old: call `renew` with a fresh version and the
  /// table.
  case renew
  /// All is done; the machine may go.
  case finished
}

public enum WriteReply: Hashable, Sendable {
  /// Durable there, or there is something newer.
  case stored
  /// The shard has another epoch there, or the version is at or below its barrier.
  case stale
  /// It does not answer, or cannot store.
  case failed
}

/// The machine of one write. Every message may be lost; a reply that comes twice counts once.
public struct WriteCoordinator: Sendable {
  /// Versions are given anew at most so often before the write fails.
  public static let renewalsMax = 3

  public private(set) var version: Version
  private var epoch: UInt64
  private let level: ConsistencyLevel
  private let region: String
  private var replicas: [ReplicaPlace]
  private var count: LevelCount
  private var stored: Set<MemberID> = []
  private var failed: Set<MemberID> = []
  private var isTold = false
  private var isOver = false
  private var renewals = 0
  private var waitsForRenewal = false
  /// Some replica has it under an earlier version.
  private var mayHaveHappened = false

  /// When the write fails if its level was not reached, and hints are written if it was.
  public let deadlineNanos: UInt64

  /// - Parameter region: of the coordinator.
  /// Throws `.unavailable` when the level cannot be reached with these replicas.
  public init(
    version: Version, epoch: UInt64, replicas: [ReplicaPlace], level: ConsistencyLevel, region: String,
    deadlineNanos: UInt64
  ) throws(RoostError) {
    self.version = version
    self.epoch = epoch
    self.level = level
    self.region = region
    self.replicas = replicas
    self.deadlineNanos = deadlineNanos
    count = try LevelCount(level, replicas: replicas, region: region)
  }

  public func start() -> [WriteEffect] {
    replicas.map { .send(to: $0.id, version: version, epoch: epoch) }
  }

  /// - Parameter version: the one that was sent; replies to an earlier one of this write do not count.
  public mutating func receive(_ reply: WriteReply, from replica: MemberID, version: Version) -> [WriteEffect]
  {
    guard !isOver, replicas.contains(where: { $0.id == replica }) else { return [] }
    guard version == self.version else {
      if reply == .stored { mayHaveHappened = true }
      return []
    }
    guard !stored.contains(replica) else { return [] }
    switch reply {
    case .stored:
      stored.insert(replica)
      failed.remove(replica)
    case .failed: failed.insert(replica)
    case .stale:
      guard !isTold else {
        // It will get the record by reconciliation, and a hint would be refused as well.
        failed.insert(replica)
        return finishIfAllSaid()
      }
      guard !waitsForRenewal else { return [] }
      guard renewals < WriteCoordinator.renewalsMax else { return giveUp("the shard's epoch keeps changing") }
      renewals += 1
      waitsForRenewal = true
      return [.renew]
    }
    guard !waitsForRenewal else { return [] }
    return told() + finishIfAllSaid()
  }

  /// A fresh version and the present shard table, after `renew`. Sends to all again.
  public mutating func renew(version: Version, epoch: UInt64, replicas: [ReplicaPlace]) -> [WriteEffect] {
    guard waitsForRenewal, !isOver else { return [] }
    precondition(version > self.version, "a version that is not fresh")
    waitsForRenewal = false
    if !stored.isEmpty { mayHaveHappened = true }
    stored = []
    failed = []
    self.version = version
    self.epoch = epoch
    self.replicas = replicas
    do throws(RoostError) {
      count = try LevelCount(level, replicas: replicas, region: region)
    } catch {
      isOver = true
      return [.fail(error, mayHaveHappened: mayHaveHappened), .finished]
    }
    return start()
  }

  public mutating func tick(nowNanos: UInt64) -> [WriteEffect] {
    guard nowNanos >= deadlineNanos, !isOver else { return [] }
    guard isTold else {
      return giveUp("\(stored.count) of \(count.needed) replicas have stored the write in time")
    }
    return finish()
  }

  private mutating func told() -> [WriteEffect] {
    guard !isTold else { return [] }
    if count.isReached(by: stored) {
      isTold = true
      return [.acknowledge(version)]
    }
    guard count.isOut(of: failed) else { return [] }
    return giveUp("\(failed.count) of \(replicas.count) replicas cannot store the write")
  }

  private mutating func finishIfAllSaid() -> [WriteEffect] {
    guard !isOver, isTold, stored.count + failed.count >= replicas.count else { return [] }
    return finish()
  }

  /// Who has not stored an acknowledged write gets it later.
  private mutating func finish() -> [WriteEffect] {
    isOver = true
    return replicas.filter { !stored.contains($0.id) }.map { .hint(for: $0.id, version: version) } + [
      .finished
    ]
  }

  private mutating func giveUp(_ message: String) -> [WriteEffect] {
    isOver = true
    let error = RoostError(
      .unavailable, message, at: "level \(level)", remedy: "try again, or at a lower level")
    return [.fail(error, mayHaveHappened: mayHaveHappened || !stored.isEmpty), .finished]
  }
}
