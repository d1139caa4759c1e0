// Clusters of membership machines in virtual time: forming, failing, healing, leaving, moving.

import Core
import Testing

@testable import Gossip

@Suite struct MembershipTests {
  static let second: UInt64 = 1_000_000_000

  /// A cluster whose nodes joined through node 0, or through node 1 in the case of node 0.
  static func cluster(
    seed: UInt64, count: Int, loss: Double = 0, settings: MembershipSettings = .init()
  ) throws -> MembershipWorld {
    var network = PacketNetwork.Settings()
    network.loss = loss
    network.duplication = loss / 2
    var world = MembershipWorld(seed: seed, count: count, network: network, settings: settings)
    for node in 0..<count { try world.start(node, seeds: [node == 0 ? min(1, count - 1) : 0]) }
    return world
  }

  private static func agree(_ world: inout MembershipWorld, withinSeconds seconds: UInt64) -> Bool {
    world.run(until: \.isAgreed, withinNanos: seconds * second) != nil
  }

  private static func failures(_ world: MembershipWorld, of node: Int) -> Int {
    world.happenings.count { $0.event == .failed(MembershipWorld.id(node)) }
  }

  @Test(arguments: [1, 2, 3, 10, 24])
  func aClusterForms(count: Int) throws {
    var world = try Self.cluster(seed: UInt64(count), count: count)
    #expect(Self.agree(&world, withinSeconds: 12))
    world.run(forNanos: 20 * Self.second)
    #expect(world.isAgreed)
    for happening in world.happenings {
      if case .failed = happening.event { Issue.record("node \(happening.node): \(happening.event)") }
    }
  }

  @Test func aRunCanBeRepeated() throws {
    func run() throws -> (Int, [UInt64]) {
      var world = try Self.cluster(seed: 5, count: 6, loss: 0.2)
      world.run(forNanos: 30 * Self.second)
      world.crash(3)
      world.run(forNanos: 40 * Self.second)
      return (world.eventCount, world.happenings.map(\.nanos))
    }
    let (one, two) = (try run(), try run())
    #expect(one.0 == two.0 && one.1 == two.1)
  }

  @Test func aCrashIsFoundByAll() throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      var world = try Self.cluster(seed: seed, count: 8)
      #expect(Self.agree(&world, withinSeconds: 12))
      world.crash(5)
      let time = world.run(until: \.isAgreed, withinNanos: 30 * Self.second)
      #expect(time != nil, "seed \(seed)")
      #expect(Self.failures(world, of: 5) == 7, "seed \(seed)")
      // It comes back knowing nothing, with the incarnation of its first days.
      try world.start(5, seeds: [2])
      #expect(Self.agree(&world, withinSeconds: 20), "seed \(seed)")
      #expect(world.nodes[5].machine!.incarnation > 0, "it must have contradicted its own death")
    }
  }

  @Test func whoLeavesIsNotTakenForDead() throws {
    for seed in 1...5 as ClosedRange<UInt64> {
      var world = try Self.cluster(seed: seed, count: 8, loss: 0.1)
      #expect(Self.agree(&world, withinSeconds: 20))
      world.leave(2)
      world.run(forNanos: 60 * Self.second)
      #expect(world.nodes[2].machine == nil && world.isAgreed, "seed \(seed)")
      #expect(Self.failures(world, of: 2) == 0, "seed \(seed)")
      #expect(world.happenings.count { $0.event == .left(MembershipWorld.id(2)) } == 7, "seed \(seed)")
      for node in world.nodes {
        #expect(node.machine?.member(MembershipWorld.id(2))?.state ?? .left == .left)
      }
      try world.start(2, seeds: [0])
      #expect(Self.agree(&world, withinSeconds: 30), "seed \(seed)")
    }
  }

  @Test func aHealedPartitionIsOneClusterAgain() throws {
    for seed in 1...3 as ClosedRange<UInt64> {
      var world = try Self.cluster(seed: seed, count: 7)
      #expect(Self.agree(&world, withinSeconds: 12))
      world.network.partition([0, 1, 2], from: [3, 4, 5, 6])
      world.run(forNanos: 120 * Self.second)
      #expect(world.nodes[0].machine!.presentCount == 3 && world.nodes[4].machine!.presentCount == 4)
      world.network.heal()
      #expect(Self.agree(&world, withinSeconds: 150), "seed \(seed)")
    }
  }

  /// Nothing comes through from 0 to 1, nor back, but others see both: nobody is declared dead.
  @Test func aBrokenLinkHarmsNobody() throws {
    var world = try Self.cluster(seed: 8, count: 8)
    #expect(Self.agree(&world, withinSeconds: 12))
    world.network.partition([0], from: [1])
    world.run(forNanos: 200 * Self.second)
    #expect(Self.failures(world, of: 0) + Self.failures(world, of: 1) == 0)
    #expect(world.isAgreed)
  }

  @Test func whoWasAwayForLongComesBack() throws {
    var settings = MembershipSettings()
    settings.forgetNanos = 90 * Self.second
    var world = try Self.cluster(seed: 3, count: 6, settings: settings)
    #expect(Self.agree(&world, withinSeconds: 12))
    // One is frozen with its memories, one is off; both are forgotten.
    world.network.partition([4], from: [0, 1, 2, 3, 5])
    world.stall(4, nanos: 400 * Self.second)
    world.crash(5)
    world.run(forNanos: 400 * Self.second)
    #expect(world.nodes[0].machine!.member(MembershipWorld.id(4)) == nil)
    #expect(world.nodes[0].machine!.member(MembershipWorld.id(5)) == nil)
    world.network.heal()
    try world.start(5, seeds: [1])
    #expect(Self.agree(&world, withinSeconds: 120))
  }

  @Test func namesAndAddressesChange() throws {
    for seed in 1...4 as ClosedRange<UInt64> {
      var world = try Self.cluster(seed: seed, count: 6, loss: 0.1)
      #expect(Self.agree(&world, withinSeconds: 20))
      try world.rename(1, "renamed")
      try world.move(4, to: "10.9.9.9")
      #expect(Self.agree(&world, withinSeconds: 30), "seed \(seed)")
      #expect(world.nodes[2].machine!.member(MembershipWorld.id(1))?.info.name == "renamed")
      #expect(world.nodes[2].machine!.member(MembershipWorld.id(4))?.info.address.host == "10.9.9.9")
      // Moved while it was off, and node 0's seed is where it was.
      world.crash(4)
      world.run(forNanos: 40 * Self.second)
      try world.move(4, to: "10.9.9.10")
      try world.start(4, seeds: [0, 2])
      #expect(Self.agree(&world, withinSeconds: 40), "seed \(seed)")
    }
  }

  @Test func slowNodesDoNotGetOthersKilled() throws {
    var healthyFailures = 0
    for seed in 1...2 as ClosedRange<UInt64> {
      var world = try Self.cluster(seed: seed, count: 10)
      #expect(Self.agree(&world, withinSeconds: 12))
      for _ in 0..<12 {
        world.stall(8, nanos: 3 * Self.second + world.random.next() % (5 * Self.second))
        world.stall(9, nanos: 3 * Self.second + world.random.next() % (5 * Self.second))
        world.run(forNanos: 10 * Self.second)
      }
      healthyFailures += (0..<8).reduce(0) { $0 + Self.failures(world, of: $1) }
      #expect(Self.agree(&world, withinSeconds: 90), "seed \(seed)")
    }
    #expect(healthyFailures == 0)
  }

  @Test func packetsStaySmall() throws {
    var network = PacketNetwork.Settings()
    network.loss = 0.05
    var world = MembershipWorld(seed: 4, count: 40, network: network)
    let long = String(repeating: "n", count: 56)
    for node in 0..<40 { try world.start(node, seeds: [0], named: "\(long)-\(node)") }
    world.run(forNanos: 20 * Self.second)
    let largest = world.nodes.map(\.largestPacket).max()!
    #expect(largest <= MembershipPacket.datagramBytesMax && largest > 1_200, "\(largest) bytes")
    #expect(world.isAgreed)
  }

  @Test func strangersAreNotHeard() throws {
    var world = try Self.cluster(seed: 6, count: 3)
    #expect(Self.agree(&world, withinSeconds: 12))
    let stranger = MemberInfo(name: "stranger", address: SocketAddress(host: "192.0.2.1", port: 9))
    for cluster in [0, 2] as [UInt64] {
      let packet = MembershipPacket(
        cluster: cluster, sender: MemberID(77), purpose: .state(wantsReply: true),
        updates: [
          .alive(MemberID(77), incarnation: 9, stranger),
          .dead(MembershipWorld.id(1), incarnation: 9, by: MemberID(77)),
        ])
      world.inject(packet.encoded, to: 0)
    }
    world.inject([1, 2, 3], to: 0)
    world.run(forNanos: 10 * Self.second)
    #expect(world.isAgreed && world.nodes[0].machine!.members.count == 2)
  }

  @Test func twoNodesOfOneIdentityAreNoticed() throws {
    var world = try Self.cluster(seed: 2, count: 4)
    #expect(Self.agree(&world, withinSeconds: 12))
    var twin = try Membership(
      id: MembershipWorld.id(1), cluster: 1,
      info: MemberInfo(name: "twin", address: SocketAddress(host: "10.0.0.99", port: 7041)), seed: 1,
      nowNanos: world.nowNanos)
    for _ in 0..<20 {
      let known = world.nodes[0].machine!.member(MembershipWorld.id(1))!
      let original = MembershipPacket(
        cluster: 1, sender: MembershipWorld.id(0), purpose: .news,
        updates: [.alive(known.id, incarnation: known.incarnation, known.info)])
      _ = try twin.receive(original.encoded, from: known.info.address, nowNanos: world.nowNanos)
      world.inject(
        MembershipPacket(
          cluster: 1, sender: MembershipWorld.id(0), purpose: .news,
          updates: [.alive(twin.id, incarnation: twin.incarnation, twin.info)]
        ).encoded, to: 1)
      world.run(forNanos: Self.second)
    }
    let address = SocketAddress(host: "10.0.0.99", port: 7041)
    #expect(world.happenings.contains { $0.node == 1 && $0.event == .identityConflict(address) })
  }
}
