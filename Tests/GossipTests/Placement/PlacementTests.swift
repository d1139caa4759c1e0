// Placement: bounded loads, zones, sovereignty, few moves, the same everywhere; and plans that reach their
// end within limits.

import Core
import Glibc
import Testing

@testable import Gossip

@Suite struct PlacementTests {
  private static func members(_ count: Int, _ random: inout SplitMix64) -> [PlacementMember] {
    (0..<count).map {
      PlacementMember(
        id: MemberID(random.next()), zone: "z\($0 % 4)", region: $0 % 3 == 0 ? "eu" : "us",
        capacity: [50, 100, 100, 200][Int(random.next() % 4)])
    }
  }

  private static func demands(_ count: Int, _ random: inout SplitMix64) -> [ShardDemand] {
    (0..<count).map {
      let home: ShardDemand.Home =
        switch random.next() % 4 {
        case 0: .sovereign("eu")
        case 1: .preferred("eu")
        default: .anywhere
        }
      return ShardDemand(shard: UInt64($0), replicas: 3, home: home, bytes: random.next() % 1_000)
    }
  }

  @Test func logarithmIsThat() {
    var random = SplitMix64(seed: 1)
    for x in (0..<2_000).map({ _ in (Double(random.next() >> 11) + 0.5) / 0x1p53 }) + [
      0x1p-54, 1 - 0x1p-53, 0.5,
    ] {
      #expect((Rendezvous.naturalLogarithm(x) / log(x) - 1).magnitude < 1e-14, "\(x)")
    }
  }

  @Test func sharesAreByCapacity() {
    let members = [(1, 100), (2, 200), (3, 100)].map { (MemberID($0.0), UInt16($0.1)) }
    var first: [MemberID: Int] = [:]
    for shard in 0..<4_000 as Range<UInt64> {
      let best = members.max { a, b in
        Rendezvous.score(shard: shard, member: a.0, capacity: a.1)
          < Rendezvous.score(shard: shard, member: b.0, capacity: b.1)
      }!
      first[best.0, default: 0] += 1
    }
    #expect((1_850...2_150).contains(first[MemberID(2)]!) && (900...1_100).contains(first[MemberID(1)]!))
  }

  @Test func rulesHold() {
    for seed in 1...40 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let members = Self.members(4 + Int(random.next() % 12), &random)
      let demands = Self.demands(60, &random)
      let placed = Placement().assign(demands, members: members)
      #expect(placed == Placement().assign(demands.reversed(), members: members.shuffled(using: &random)))
      let byID = Dictionary(uniqueKeysWithValues: members.map { ($0.id, $0) })
      for demand in demands {
        let replicas = placed[demand.shard]!.map { byID[$0]! }
        let able = members.filter(demand.allows)
        #expect(replicas.count == min(3, able.count) && Set(replicas).count == replicas.count, "seed \(seed)")
        let zones = Set(able.map(\.zone)).count
        #expect(Set(replicas.map(\.zone)).count >= min(3, zones) - (demand.home == .preferred("eu") ? 1 : 0))
        switch demand.home {
        case .sovereign(let region): #expect(replicas.allSatisfy { $0.region == region }, "seed \(seed)")
        case .preferred(let region): #expect(replicas.contains { $0.region == region }, "seed \(seed)")
        case .anywhere: break
        }
      }
    }
  }

  @Test func loadsAreBounded() {
    var random = SplitMix64(seed: 3)
    let members = (0..<12).map { PlacementMember(id: MemberID(random.next()), zone: "z\($0)", region: "r") }
    let demands = (0..<100).map { ShardDemand(shard: $0, replicas: 3) }
    let placed = Placement().assign(demands, members: members)
    let loads = placed.values.joined().reduce(into: [:]) { $0[$1, default: 0] += 1 }
    // 300 replicas on 12 members: 25 each, 31.25 with the bound.
    #expect(loads.values.max()! <= 32 && loads.count == 12)
  }

  @Test func changesMoveLittle() {
    for seed in 1...10 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      var members = (0..<10).map { PlacementMember(id: MemberID(random.next()), zone: "z\($0)", region: "r") }
      let demands = (0..<100).map { ShardDemand(shard: $0, replicas: 3) }
      let before = Placement().assign(demands, members: members)
      let gone = members.removeLast()
      let after = Placement().assign(demands, members: members, current: before)
      let lost = before.values.count { $0.contains(gone.id) }
      let moved = demands.reduce(0) { sum, demand in
        sum + Set(after[demand.shard]!).subtracting(before[demand.shard]!).count
      }
      #expect(moved == lost, "seed \(seed)")
      // Drained: it takes nothing, and what it has goes.
      members[0].capacity = 0
      let drained = Placement().assign(demands, members: members, current: after)
      #expect(drained.values.allSatisfy { !$0.contains(members[0].id) && $0.count == 3 })
    }
  }

  @Test func plansComeToTheirEndWithinLimits() {
    for seed in 1...30 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      var members = Self.members(8, &random)
      let demands = Self.demands(40, &random)
      var current = Placement().assign(demands, members: members)
      members.removeLast()
      members += Self.members(2, &random)
      members[0].capacity = 0
      let wished = Placement().assign(demands, members: members, current: current)
      let present = Set(members.map(\.id))
      var limits = MovementLimits()
      limits.movesMax = 5
      limits.bytesMax = 2_000
      var rounds = 0
      while rounds < 500 {
        rounds += 1
        let plan = MovementPlan(demands: demands, current: current, wished: wished, present: present)
        let begun = plan.next(underway: [], limits: limits)
        if begun.isEmpty {
          #expect(plan.moves.isEmpty, "seed \(seed): \(plan.moves.count) moves never begin")
          break
        }
        #expect(begun.count <= 5 && Set(begun.map(\.shard)).count == begun.count)
        #expect(begun.count == 1 || begun.reduce(0) { $0 + $1.bytes } <= 2_000)
        for move in begun {
          let before = current[move.shard]!.count { present.contains($0) }
          if let to = move.to { current[move.shard]!.append(to) }
          current[move.shard]!.removeAll { $0 == move.from }
          #expect(
            current[move.shard]!.count { present.contains($0) } >= min(before, wished[move.shard]!.count))
        }
      }
      for demand in demands {
        #expect(Set(current[demand.shard]!) == Set(wished[demand.shard]!), "seed \(seed)")
      }
    }
  }
}
