// How many replicas must have a write, or answer a read, before it counts.

import Core

public enum ConsistencyLevel: UInt8, Sendable, CaseIterable {
  case one = 0
  /// More than half of the replicas. A read sees every write that was acknowledged before, both at this
  /// level.
  case quorum = 1
  case all = 2
  /// More than half of the replicas in the coordinator's region: fast, and consistent within it.
  case localQuorum = 3
}

/// A replica of the shard that a record belongs to.
public struct ReplicaPlace: Hashable, Sendable {
  public var id: MemberID
  public var region: String

  public init(id: MemberID, region: String) {
    self.id = id
    self.region = region
  }
}

/// Counts answers against a level.
struct LevelCount: Sendable {
  /// Those whose answers count.
  let voters: Set<MemberID>
  let needed: Int

  /// Throws `.unavailable` when the region has no replica.
  init(_ level: ConsistencyLevel, replicas: [ReplicaPlace], region: String) throws(RoostError) {
    let counted = level == .localQuorum ? replicas.filter { $0.region == region } : replicas
    guard !counted.isEmpty else {
      throw RoostError(
        .unavailable, "the shard has no replica in region '\(region)'", at: "level localQuorum",
        remedy: "ask at level quorum")
    }
    voters = Set(counted.map(\.id))
    needed =
      switch level {
      case .one: 1
      case .quorum, .localQuorum: counted.count / 2 + 1
      case .all: counted.count
      }
  }

  func isReached(by answered: some Sequence<MemberID>) -> Bool {
    answered.count { voters.contains($0) } >= needed
  }

  /// Whether the level can no longer be reached without `failed`.
  func isOut(of reach: some Sequence<MemberID>) -> Bool {
    voters.count - reach.count { voters.contains($0) } < needed
  }
}
