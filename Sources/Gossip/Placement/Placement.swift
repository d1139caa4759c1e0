// Where the replicas of shards shall be: preferred members first, zones apart, sovereign data at home, nobody
// overloaded, and what is well placed stays.

import Core

public struct PlacementMember: Hashable, Sendable {
  public var id: MemberID
  public var zone: String
  public var region: String
  /// Relative to others; 0 while it is drained.
  public var capacity: UInt16

  public init(id: MemberID, zone: String, region: String, capacity: UInt16 = 100) {
    self.id = id
    self.zone = zone
    self.region = region
    self.capacity = capacity
  }
}

/// What a shard asks for.
public struct ShardDemand: Hashable, Sendable {
  public enum Home: Hashable, Sendable {
    case anywhere
    /// At least one replica there, if a member is.
    case preferred(String)
    /// Never a replica elsewhere, even if that leaves too few (sovereignty).
    case sovereign(String)
  }

  /// Number of the shard in its cluster; decides which members it prefers.
  public var shard: UInt64
  public var replicas: Int
  public var home: Home
  /// For the cost of moves.
  public var bytes: UInt64

  public init(shard: UInt64, replicas: Int, home: Home = .anywhere, bytes: UInt64 = 0) {
    self.shard = shard
    self.replicas = replicas
    self.home = home
    self.bytes = bytes
  }

  func allows(_ member: PlacementMember) -> Bool {
    if case .sovereign(let region) = home { member.region == region } else { true }
  }
}

/// Consistent hashing with bounded loads (Mirrokni, Thorup, Zadimoghaddam, SODA 2018) over rendezvous order.
public struct Placement: Sendable {
  /// No member has more than this times its fair share, rounded up.
  public var loadBound = 1.25

  public init() {}

  /// The members of each shard, most preferred first; fewer than demanded where members are missing. The same
  /// on every node for equal arguments.
  /// - Parameter current: where replicas are now. One that may stay does, unless its member is overloaded.
  public func assign(
    _ demands: [ShardDemand], members: [PlacementMember], current: [UInt64: [MemberID]] = [:]
  ) -> [UInt64: [MemberID]] {
    let able = members.filter { $0.capacity > 0 }.sorted { $0.id < $1.id }
    var loads = Loads(demands: demands, members: able, bound: loadBound)
    var result: [UInt64: [MemberID]] = [:]
    let ordered = demands.sorted { $0.shard < $1.shard }
    // What stays is counted before anything is placed anew.
    for demand in ordered {
      let ranked = rank(demand, able)
      let kept = ranked.filter { current[demand.shard]?.contains($0.id) == true && loads.hasRoom($0) }
        .prefix(demand.replicas)
      for member in kept { loads.add(member) }
      result[demand.shard] = kept.map(\.id)
    }
    for demand in ordered {
      let ranked = rank(demand, able)
      var chosen = ranked.filter { result[demand.shard]!.contains($0.id) }
      while chosen.count < demand.replicas, let next = pick(ranked, chosen, demand, &loads) {
        chosen.append(next)
        loads.add(next)
      }
      result[demand.shard] = ranked.filter { member in chosen.contains { $0.id == member.id } }.map(\.id)
    }
    return result
  }

  private func rank(_ demand: ShardDemand, _ members: [PlacementMember]) -> [PlacementMember] {
    members.filter(demand.allows)
      .map { ($0, Rendezvous.score(shard: demand.shard, member: $0.id, capacity: $0.capacity)) }
      .sorted { a, b in a.1 != b.1 ? a.1 > b.1 : a.0.id < b.0.id }
      .map(\.0)
  }

  /// Rather in a new zone than within the bound, rather at home than elsewhere; within the bound if there
  /// is a choice.
  private func pick(
    _ ranked: [PlacementMember], _ chosen: [PlacementMember], _ demand: ShardDemand, _ loads: inout Loads
  ) -> PlacementMember? {
    let free = ranked.filter { member in !chosen.contains { $0.id == member.id } }
    let zones = Set(chosen.map(\.zone))
    var wishes: [(PlacementMember) -> Bool] = []
    if case .preferred(let region) = demand.home, !chosen.contains(where: { $0.region == region }) {
      wishes.append { $0.region == region }
    }
    wishes.append { !zones.contains($0.zone) }
    var choices = free
    for wish in wishes {
      let better = choices.filter(wish)
      if !better.isEmpty { choices = better }
    }
    return choices.first { loads.hasRoom($0) } ?? choices.min { loads.pressure($0) < loads.pressure($1) }
  }

  private struct Loads {
    private var counts: [MemberID: Int] = [:]
    private var limits: [MemberID: Double] = [:]

    init(demands: [ShardDemand], members: [PlacementMember], bound: Double) {
      // A fair share is that of the demands which a member may serve.
      for demand in demands {
        let able = members.filter(demand.allows)
        let whole = able.reduce(0) { $0 + Double($1.capacity) }
        for member in able {
          let wanted = Double(min(demand.replicas, able.count))
          limits[member.id, default: 0] += bound * wanted * Double(member.capacity) / whole
        }
      }
    }

    func hasRoom(_ member: PlacementMember) -> Bool {
      Double(counts[member.id, default: 0]) < (limits[member.id] ?? 0).rounded(.up)
    }

    func pressure(_ member: PlacementMember) -> Double {
      Double(counts[member.id, default: 0] + 1) / max(limits[member.id] ?? 0, 1e-9)
    }

    mutating func add(_ member: PlacementMember) { counts[member.id, default: 0] += 1 }
  }
}
