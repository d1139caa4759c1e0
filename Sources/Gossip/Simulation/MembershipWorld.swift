// A cluster of membership machines in virtual time: every node runs the production code, the network, the
// crashes and the slowness are made here.

import Core

/// Nodes 0, 1, … of one cluster, each with an address of its own.
package struct MembershipWorld {
  package struct Node {
    package var machine: Membership?
    package fileprivate(set) var address: SocketAddress
    /// Starts over with each start, so that timers of a former life are told apart.
    fileprivate var life = 0
    fileprivate var wakeNanos: UInt64 = .max
    /// Until then the node does nothing; what comes meanwhile waits.
    fileprivate var stuckUntilNanos: UInt64 = 0
    package fileprivate(set) var sentBytes = 0
    package fileprivate(set) var sentPackets = 0
    package fileprivate(set) var streamBytes = 0
    package fileprivate(set) var largestPacket = 0
  }

  package struct Happening {
    package let nanos: UInt64
    package let node: Int
    package let event: MembershipEvent
  }

  private enum Event {
    case wake(node: Int, life: Int)
    case datagram([UInt8], source: SocketAddress, to: Int)
    case stream([UInt8], source: SocketAddress, to: Int)
  }

  /// Bytes that IP and UDP add to a datagram.
  package static let headerBytes = 28

  package private(set) var nowNanos: UInt64 = 0
  package private(set) var nodes: [Node] = []
  package private(set) var happenings: [Happening] = []
  package var network: PacketNetwork
  package var settings: MembershipSettings
  package var random: SplitMix64
  /// Events handled so far: equal in two runs that are the same run.
  package private(set) var eventCount = 0
  private var queue = EventQueue<Event>()
  private var places: [SocketAddress: Int] = [:]

  package init(
    seed: UInt64, count: Int, network: PacketNetwork.Settings = .init(),
    settings: MembershipSettings = MembershipSettings()
  ) {
    random = SplitMix64(seed: seed)
    self.network = PacketNetwork(seed: seed ^ 0x6e65_7477, settings: network)
    self.settings = settings
    for index in 0..<count {
      let address = SocketAddress(host: "10.0.\(index / 250).\(index % 250 + 1)", port: 7041)
      nodes.append(Node(machine: nil, address: address))
      places[address] = index
    }
  }

  package static func id(_ node: Int) -> MemberID { MemberID(mixed(UInt64(node) + 1)) }

  // MARK: - What is done to the cluster

  /// Starts a node that knows nothing but its seeds.
  package mutating func start(_ node: Int, seeds: [Int], named name: String? = nil) throws(RoostError) {
    let info = MemberInfo(
      name: name ?? "node-\(node)", address: nodes[node].address, zone: "zone-\(node % 3)", region: "region")
    var machine = try Membership(
      id: MembershipWorld.id(node), cluster: 1, info: info, settings: settings, seed: random.next(),
      nowNanos: nowNanos)
    nodes[node].life += 1
    nodes[node].wakeNanos = .max
    nodes[node].stuckUntilNanos = 0
    let effects = machine.join(seeds: seeds.map { nodes[$0].address }, nowNanos: nowNanos)
    nodes[node].machine = machine
    perform(effects, of: node)
  }

  package mutating func crash(_ node: Int) { nodes[node].machine = nil }

  /// The node keeps its machine and everything that comes to it, but does nothing for a while.
  package mutating func stall(_ node: Int, nanos: UInt64) {
    nodes[node].stuckUntilNanos = max(nodes[node].stuckUntilNanos, nowNanos + nanos)
  }

  /// The node gets another address; at the old one there is nobody.
  package mutating func move(_ node: Int, to host: String) throws(RoostError) {
    places[nodes[node].address] = nil
    nodes[node].address = SocketAddress(host: host, port: 7041)
    places[nodes[node].address] = node
    guard var machine = nodes[node].machine else { return }
    var info = machine.info
    info.address = nodes[node].address
    let effects = try machine.update(info, nowNanos: nowNanos)
    nodes[node].machine = machine
    perform(effects, of: node)
  }

  package mutating func rename(_ node: Int, _ name: String) throws(RoostError) {
    guard var machine = nodes[node].machine else { return }
    var info = machine.info
    info.name = name
    let effects = try machine.update(info, nowNanos: nowNanos)
    nodes[node].machine = machine
    perform(effects, of: node)
  }

  package mutating func leave(_ node: Int) {
    let effects = nodes[node].machine?.leave(nowNanos: nowNanos) ?? []
    perform(effects, of: node)
  }

  /// A packet from outside the cluster.
  package mutating func inject(_ bytes: [UInt8], to node: Int) {
    queue.add(
      .datagram(bytes, source: SocketAddress(host: "192.0.2.1", port: 9), to: node), atNanos: nowNanos + 1_000
    )
  }

  // MARK: - Time

  package mutating func run(forNanos nanos: UInt64) {
    let end = nowNanos + nanos
    while let next = queue.nextNanos, next <= end, let (time, _, event) = queue.pop() {
      nowNanos = max(nowNanos, time)
      eventCount += 1
      perform(event)
    }
    nowNanos = end
  }

  /// Runs until `isDone`, which is asked every 100 ms; returns the time it took, nil if it did not come.
  package mutating func run(until isDone: (MembershipWorld) -> Bool, withinNanos limit: UInt64) -> UInt64? {
    let start = nowNanos
    while !isDone(self) {
      guard nowNanos - start < limit else { return nil }
      run(forNanos: 100_000_000)
    }
    return nowNanos - start
  }

  private mutating func perform(_ event: Event) {
    switch event {
    case .wake(let node, let life):
      guard nodes[node].life == life, nodes[node].machine != nil else { return }
      if nodes[node].stuckUntilNanos > nowNanos {
        queue.add(event, atNanos: nodes[node].stuckUntilNanos)
        return
      }
      guard nodes[node].wakeNanos <= nowNanos else { return }
      nodes[node].wakeNanos = .max
      perform(nodes[node].machine!.tick(nowNanos: nowNanos), of: node)
    case .datagram(let bytes, let source, let node), .stream(let bytes, let source, let node):
      guard nodes[node].machine != nil else { return }
      if nodes[node].stuckUntilNanos > nowNanos {
        queue.add(event, atNanos: nodes[node].stuckUntilNanos)
        return
      }
      let effects: [MembershipEffect]
      do throws(RoostError) {
        effects = try nodes[node].machine!.receive(bytes, from: source, nowNanos: nowNanos)
      } catch {
        effects = []
      }
      perform(effects, of: node)
    }
  }

  private mutating func perform(_ effects: [MembershipEffect], of node: Int) {
    for effect in effects {
      switch effect {
      case .send(let bytes, let address):
        let size = bytes.count + SealHeader.overhead
        nodes[node].sentBytes += size + MembershipWorld.headerBytes
        nodes[node].sentPackets += 1
        nodes[node].largestPacket = max(nodes[node].largestPacket, size)
        guard let to = places[address] else { continue }
        for delay in network.datagram(from: node, to: to) {
          queue.add(.datagram(bytes, source: nodes[node].address, to: to), atNanos: nowNanos + delay)
        }
      case .stream(let bytes, let address):
        nodes[node].streamBytes += bytes.count
        guard let to = places[address], let delay = network.stream(from: node, to: to) else { continue }
        queue.add(.stream(bytes, source: nodes[node].address, to: to), atNanos: nowNanos + delay)
      case .tell(let event):
        happenings.append(Happening(nanos: nowNanos, node: node, event: event))
        if event == .departed { nodes[node].machine = nil }
      }
    }
    guard let machine = nodes[node].machine else { return }
    let wake = max(machine.wakeNanos, nowNanos + 1)
    if wake < nodes[node].wakeNanos {
      nodes[node].wakeNanos = wake
      queue.add(.wake(node: node, life: nodes[node].life), atNanos: wake)
    }
  }

  // MARK: - What holds

  /// Every running node counts just the running ones as present, and all agree on name, address and
  /// incarnation.
  package var isAgreed: Bool {
    let running = nodes.indices.filter { nodes[$0].machine != nil }
    let prints = Set(running.map { nodes[$0].machine!.fingerprint })
    guard prints.count <= 1 else { return false }
    return running.allSatisfy { node in
      let machine = nodes[node].machine!
      return machine.presentCount == running.count
        && running.allSatisfy { other in
          guard other != node else { return true }
          let known = machine.member(MembershipWorld.id(other))
          return known?.state == .alive && known?.info == nodes[other].machine!.info
        }
    }
  }

  /// Every running node counts as many members as there are running ones, though some may be suspected.
  package var isWhole: Bool {
    let running = nodes.count { $0.machine != nil }
    return nodes.allSatisfy { $0.machine == nil || $0.machine!.presentCount == running }
  }

  package mutating func forgetHappenings() { happenings = [] }
  package mutating func forgetTraffic() {
    for node in nodes.indices {
      nodes[node].sentBytes = 0
      nodes[node].sentPackets = 0
      nodes[node].streamBytes = 0
    }
  }
}
