// From where the replicas are to where they shall be, a few moves at a time; or just the list, for a dry run.

import Core

/// A copy of a shard that is made before another one is given up.
public struct ShardMove: Hashable, Sendable {
  public var shard: UInt64
  /// Who gives its replica up when the copy is whole; nil when one is only added.
  public var from: MemberID?
  /// Who gets one; nil when one too many is only dropped.
  public var to: MemberID?
  public var bytes: UInt64
}

public struct MovementLimits: Hashable, Sendable {
  public var movesMax = 8
  public var perMemberMax = 2
  public var bytesMax = UInt64.max

  public init() {}
}

public struct MovementPlan: Sendable {
  /// All that has to move, the most urgent first: shards that lack most replicas.
  public let moves: [ShardMove]

  /// - Parameters:
  ///   - present: members that are there; a replica elsewhere counts as missing.
  public init(
    demands: [ShardDemand], current: [UInt64: [MemberID]], wished: [UInt64: [MemberID]],
    present: Set<MemberID>
  ) {
    var all: [(missing: Int, move: ShardMove)] = []
    for demand in demands.sorted(by: { $0.shard < $1.shard }) {
      let old = current[demand.shard] ?? []
      let new = wished[demand.shard] ?? []
      // Those who are gone are given up first.
      var leaving = old.filter { !new.contains($0) }
      leaving = leaving.filter { !present.contains($0) } + leaving.filter { present.contains($0) }
      let missing = max(0, demand.replicas - old.count { present.contains($0) })
      for member in new where !old.contains(member) {
        let from = leaving.isEmpty ? nil : leaving.removeFirst()
        all.append((missing, ShardMove(shard: demand.shard, from: from, to: member, bytes: demand.bytes)))
      }
      // A replica is dropped only when enough others are there.
      let kept = old.count { new.contains($0) && present.contains($0) }
      for member in leaving where kept >= min(demand.replicas, new.count) {
        all.append((0, ShardMove(shard: demand.shard, from: member, to: nil, bytes: 0)))
      }
    }
    let order = all.indices.sorted { a, b in
      all[a].missing != all[b].missing ? all[a].missing > all[b].missing : a < b
    }
    moves = order.map { all[$0].move }
  }

  public var bytes: UInt64 { moves.reduce(0) { $0 &+ $1.bytes } }

  /// The moves to begin now, besides those `underway`. At most one for each shard at a time: its epoch
  /// rises with each.
  public func next(underway: [ShardMove], limits: MovementLimits) -> [ShardMove] {
    var busy: [MemberID: Int] = [:]
    var shards: Set<UInt64> = []
    var bytes: UInt64 = 0
    func take(_ move: ShardMove) {
      shards.insert(move.shard)
      bytes &+= move.bytes
      for member in [move.from, move.to].compactMap({ $0 }) { busy[member, default: 0] += 1 }
    }
    for move in underway { take(move) }
    var begun: [ShardMove] = []
    for move in moves where underway.count + begun.count < limits.movesMax {
      let isFree = [move.from, move.to].compactMap { $0 }.allSatisfy {
        busy[$0, default: 0] < limits.perMemberMax
      }
      let fits = bytes.addingReportingOverflow(move.bytes)
      // One that is larger than all that may move at a time moves alone.
      guard isFree, !shards.contains(move.shard),
        !fits.overflow && fits.partialValue <= limits.bytesMax || shards.isEmpty
      else { continue }
      take(move)
      begun.append(move)
    }
    return begun
  }
}
