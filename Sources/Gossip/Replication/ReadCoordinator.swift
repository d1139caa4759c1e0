// One read of one record at the coordinator: whom to ask, which answer is the newest, and who must be mended.

import Core

public enum ReadEffect: Equatable, Sendable {
  case ask(MemberID)
  /// Tell the client: the record as this replica sent it, or that there is none (nil).
  case answer(from: MemberID?, version: Version?)
  case fail(RoostError)
  /// Send the newest to a replica that has it not; at levels above `one` `mended` is waited for.
  case mend(MemberID, version: Version, from: MemberID)
  case finished
}

/// The machine of one read. What an answer holds stays with the host; the machine sees versions. A deletion
/// has a version, too.
public struct ReadCoordinator: Sendable {
  private let level: ConsistencyLevel
  private let count: LevelCount
  private let replicas: [MemberID]
  private var asked: Set<MemberID> = []
  /// What those who answered have now; nil inside for nothing.
  private var held: [MemberID: Version?] = [:]
  private var failed: Set<MemberID> = []
  /// What each was sent last to mend it.
  private var mending: [MemberID: Version] = [:]
  private var isTold = false
  public let deadlineNanos: UInt64
  /// When further replicas are asked though none has failed.
  public private(set) var hedgeNanos: UInt64

  /// - Parameter replicas: the nearest first; just as many as needed are asked at once.
  /// Throws `.unavailable` when the level cannot be reached with these replicas.
  public init(
    replicas: [ReplicaPlace], level: ConsistencyLevel, region: String, hedgeNanos: UInt64,
    deadlineNanos: UInt64
  ) throws(RoostError) {
    self.level = level
    count = try LevelCount(level, replicas: replicas, region: region)
    self.replicas = replicas.map(\.id).filter(count.voters.contains)
    self.hedgeNanos = hedgeNanos
    self.deadlineNanos = deadlineNanos
  }

  public mutating func start() -> [ReadEffect] { ask(count.needed) }

  private mutating func ask(_ number: Int) -> [ReadEffect] {
    let next = replicas.filter { !asked.contains($0) }.prefix(number)
    asked.formUnion(next)
    return next.map { .ask($0) }
  }

  /// - Parameter version: of what the replica has; nil if it knows nothing of the record.
  public mutating func receive(_ version: Version?, from replica: MemberID) -> [ReadEffect] {
    guard !isTold, asked.contains(replica), held[replica] == nil else { return [] }
    held[replica] = .some(version)
    failed.remove(replica)
    return decide()
  }

  /// A replica does not answer, or could not be mended; others are asked instead.
  public mutating func failed(_ replica: MemberID) -> [ReadEffect] {
    guard !isTold, asked.contains(replica), failed.insert(replica).inserted else { return [] }
    held[replica] = nil
    if count.isOut(of: failed) {
      return giveUp("\(failed.count) of \(replicas.count) replicas do not answer")
    }
    return ask(1)
  }

  /// A replica has stored what `mend` sent.
  public mutating func mended(_ replica: MemberID, version: Version) -> [ReadEffect] {
    guard !isTold, mending[replica] == version, held[replica] != nil else { return [] }
    held[replica] = .some(version)
    return decide()
  }

  public mutating func tick(nowNanos: UInt64) -> [ReadEffect] {
    guard !isTold else { return [] }
    if nowNanos >= deadlineNanos {
      return giveUp("\(held.count) of \(count.needed) replicas have answered in time")
    }
    guard nowNanos >= hedgeNanos else { return [] }
    hedgeNanos = .max
    return ask(1)
  }

  /// The newest version, and the nearest replica that has it.
  private var newest: (version: Version, holder: MemberID)? {
    var best: (version: Version, holder: MemberID)?
    for replica in replicas {
      guard case .some(.some(let version)) = held[replica] else { continue }
      if best.map({ $0.version < version }) ?? true { best = (version, replica) }
    }
    return best
  }

  private mutating func decide() -> [ReadEffect] {
    guard count.isReached(by: held.keys) else { return [] }
    guard let newest else {
      isTold = true
      return [.answer(from: nil, version: nil), .finished]
    }
    var effects: [ReadEffect] = []
    for replica in replicas {
      guard let version = held[replica], version != newest.version, mending[replica] != newest.version else {
        continue
      }
      mending[replica] = newest.version
      effects.append(.mend(replica, version: newest.version, from: newest.holder))
    }
    // Who reads at a quorum twice must not see the older state the second time: the newest is on a quorum
    // before it is told.
    let holders = replicas.filter { held[$0] == .some(newest.version) }
    guard level == .one || count.isReached(by: holders) else { return effects }
    isTold = true
    return effects + [.answer(from: newest.holder, version: newest.version), .finished]
  }

  private mutating func giveUp(_ message: String) -> [ReadEffect] {
    isTold = true
    return [
      .fail(
        RoostError(.unavailable, message, at: "level \(level)", remedy: "try again, or at a lower level")),
      .finished,
    ]
  }
}
