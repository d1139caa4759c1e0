// Who belongs to the cluster and who is well: SWIM (Das, Gupta, Motivala, DSN 2002) with Lifeguard (Dadgar,
// Phillips, Currey, DSN 2018). This file is the state and its faces; probing, news and views are extensions
// beside it.

import Core

/// The membership machine of one node. Time, randomness and packets come in as parameters; effects go out.
public struct Membership: Sendable {
  struct Entry: Sendable {
    var member: Member
    /// When its state last changed.
    var sinceNanos: UInt64
  }

  /// A probe under way.
  struct Probe: Sendable {
    var target: MemberID
    var number: UInt32
    var indirectNanos: UInt64
    var endNanos: UInt64
    var relays: [MemberID] = []
    var nacks: Set<MemberID> = []
    var isIndirect = false
  }

  /// An indirect probe for somebody else.
  struct Relay: Sendable {
    var target: MemberID
    var originNumber: UInt32
    var origin: SocketAddress
    var nackNanos: UInt64
    var endNanos: UInt64
    var hasNacked = false
  }

  public let id: MemberID
  public let cluster: UInt64
  public internal(set) var info: MemberInfo
  public internal(set) var incarnation: UInt64 = 0
  /// 0 is well; the worse, the more patient this node is with others.
  public internal(set) var health = 0
  let settings: MembershipSettings
  var random: SplitMix64
  var entries: [MemberID: Entry] = [:]
  /// Others whose state is present.
  var presentOthers = 0
  /// All known others, in an order that is the same in every run.
  var roster: [MemberID] = []
  var probeOrder: [MemberID] = []
  var probe: Probe?
  var relays: [UInt32: Relay] = [:]
  var suspicions: [MemberID: Suspicion] = [:]
  var news = NewsQueue()
  var number: UInt32
  var seeds: [SocketAddress] = []
  var isConnected = false
  var isLeaving = false
  var hasDeparted = false
  var strangersGreeted: [MemberID: UInt64] = [:]
  var contradictions = 0
  var contradictionsSinceNanos: UInt64 = 0
  var nextProbeNanos: UInt64
  var nextNewsNanos: UInt64 = .max
  var nextCompareNanos: UInt64
  var nextJoinNanos: UInt64 = .max
  var joinDelayNanos: UInt64
  var nextForgetNanos: UInt64
  var departNanos: UInt64 = .max
  var nowNanos: UInt64
  var effects: [MembershipEffect] = []

  /// - Parameters:
  ///   - cluster: number of the cluster; packets of others are dropped.
  ///   - seed: of all random choices.
  /// Throws `.invalidArgument` for an `info` that does not fit into messages.
  public init(
    id: MemberID, cluster: UInt64, info: MemberInfo, settings: MembershipSettings = MembershipSettings(),
    seed: UInt64, nowNanos: UInt64
  ) throws(RoostError) {
    try info.validate()
    self.id = id
    self.cluster = cluster
    self.info = info
    self.settings = settings
    self.nowNanos = nowNanos
    var random = SplitMix64(seed: seed)
    number = UInt32(truncatingIfNeeded: random.next())
    // Not all nodes at once, though all start at once.
    nextProbeNanos = nowNanos &+ random.next() % settings.probeNanos
    nextCompareNanos = nowNanos &+ settings.compareNanos / 2 &+ random.next() % settings.compareNanos
    nextForgetNanos = nowNanos &+ settings.forgetNanos / 16
    joinDelayNanos = settings.joinNanos
    self.random = random
  }

  // MARK: - What is known

  /// All known members but this node, by id.
  public var members: [Member] { roster.compactMap { entries[$0]?.member } }
  /// Members that count as part of the cluster, this node included.
  public var presentCount: Int { presentOthers + (isLeaving ? 0 : 1) }

  public func member(_ id: MemberID) -> Member? { entries[id]?.member }

  /// This node's own entry.
  public var own: Member {
    Member(id: id, info: info, incarnation: incarnation, state: isLeaving ? .left : .alive)
  }

  /// Equal on two nodes that know the same members in the same incarnations.
  public var fingerprint: UInt64 {
    var sum = isLeaving ? 0 : Membership.print(id, incarnation)
    for (id, entry) in entries where entry.member.state.isPresent {
      sum ^= Membership.print(id, entry.member.incarnation)
    }
    return sum
  }

  private static func print(_ id: MemberID, _ incarnation: UInt64) -> UInt64 {
    mixed(id.value ^ mixed(incarnation &+ 0x9e37_79b9_7f4a_7c15))
  }

  var present: [MemberID] { roster.filter { entries[$0]!.member.state.isPresent } }

  // MARK: - What happens

  /// Joins a cluster through any of these nodes; without seeds the node waits to be found. What a node knew
  /// of its cluster before a restart are good seeds, too.
  public mutating func join(seeds: [SocketAddress], nowNanos: UInt64) -> [MembershipEffect] {
    advance(nowNanos)
    self.seeds = seeds.filter { $0 != info.address }
    joinDelayNanos = settings.joinNanos
    if !self.seeds.isEmpty { askSeeds() }
    return drain()
  }

  /// Says good-bye; `departed` is told when the node may stop.
  public mutating func leave(nowNanos: UInt64) -> [MembershipEffect] {
    advance(nowNanos)
    guard !isLeaving else { return drain() }
    isLeaving = true
    probe = nil
    departNanos = presentOthers == 0 ? nowNanos : nowNanos &+ settings.leaveNanos
    queue(.left(id, incarnation: incarnation))
    nextNewsNanos = nowNanos
    return drain()
  }

  /// A new name, address or other property of this node.
  public mutating func update(_ info: MemberInfo, nowNanos: UInt64) throws(RoostError) -> [MembershipEffect] {
    try info.validate()
    advance(nowNanos)
    self.info = info
    incarnation += 1
    queue(.alive(id, incarnation: incarnation, info))
    return drain()
  }

  /// An opened datagram or stream message. Throws what the decoder finds; nothing has changed then.
  public mutating func receive(_ bytes: [UInt8], from source: SocketAddress, nowNanos: UInt64)
    throws(RoostError) -> [MembershipEffect]
  {
    let packet = try MembershipPacket(decoding: bytes)
    advance(nowNanos)
    guard packet.cluster == cluster, packet.sender != id else { return drain() }
    let isState = if case .state = packet.purpose { true } else { false }
    for update in packet.updates {
      isState ? merge(update, from: packet.sender) : apply(update)
    }
    handle(packet, from: source)
    return drain()
  }

  /// Does what is due. To be called at `wakeNanos`; later is tolerated, as a slow node cannot help it.
  public mutating func tick(nowNanos: UInt64) -> [MembershipEffect] {
    advance(nowNanos)
    tickProbe()
    tickRelays()
    tickSuspicions()
    tickNews()
    tickViews()
    if nowNanos >= departNanos, !hasDeparted {
      hasDeparted = true
      effects.append(.tell(.departed))
    }
    return drain()
  }

  public var wakeNanos: UInt64 {
    var wake = min(nextProbeNanos, nextNewsNanos, nextCompareNanos, nextJoinNanos, nextForgetNanos)
    if let probe { wake = min(wake, probe.isIndirect ? probe.endNanos : probe.indirectNanos) }
    for relay in relays.values { wake = min(wake, relay.hasNacked ? relay.endNanos : relay.nackNanos) }
    if settings.bug != .endlessSuspicion {
      for suspicion in suspicions.values { wake = min(wake, suspicion.deadlineNanos) }
    }
    return hasDeparted ? wake : min(wake, departNanos)
  }

  // MARK: - Common steps

  /// The clock of the machine never goes back, whatever it is given.
  private mutating func advance(_ nowNanos: UInt64) { self.nowNanos = max(self.nowNanos, nowNanos) }

  private mutating func drain() -> [MembershipEffect] {
    defer { effects.removeAll(keepingCapacity: true) }
    return effects
  }

  mutating func tell(_ event: MembershipEvent) { effects.append(.tell(event)) }

  mutating func queue(_ update: MemberUpdate) {
    news.add(update)
    if nextNewsNanos == .max { nextNewsNanos = nowNanos &+ random.next() % settings.newsNanos }
  }

  mutating func queue(_ member: Member, by accuser: MemberID) {
    queue(Membership.statement(member, by: accuser))
  }

  static func statement(_ member: Member, by accuser: MemberID) -> MemberUpdate {
    switch member.state {
    case .alive: .alive(member.id, incarnation: member.incarnation, member.info)
    case .suspect: .suspect(member.id, incarnation: member.incarnation, by: accuser)
    case .dead: .dead(member.id, incarnation: member.incarnation, by: accuser)
    case .left: .left(member.id, incarnation: member.incarnation)
    }
  }

  /// 4 · log₁₀(n + 1), the number of times that news is told and the length of suspicion in intervals.
  func logarithmic(_ factor: Double) -> Double {
    factor * max(1, Membership.log10(Double(presentOthers + 2)))
  }

  /// Sends a datagram with as much news as fits. `about` goes first: what the addressee should hear of
  /// itself.
  mutating func send(
    _ purpose: MembershipPacket.Purpose, to address: SocketAddress, about: MemberUpdate? = nil
  ) {
    var writer = MembershipPacket(cluster: cluster, sender: id, purpose: purpose).head
    about?.encode(into: &writer)
    let limit = Int(logarithmic(Double(settings.newsFactor)).rounded(.up))
    let room = MembershipPacket.datagramBytesMax - SealHeader.overhead - writer.count
    news.take(room: settings.bug == .packetsUnbounded ? .max : room, limit: limit, into: &writer)
    effects.append(.send(writer.bytes, to: address))
  }

  /// `count` different ones, at random.
  mutating func pick(_ count: Int, from choices: [MemberID]) -> [MemberID] {
    var choices = choices
    var picked: [MemberID] = []
    while picked.count < count, !choices.isEmpty {
      let index = Int(random.next() % UInt64(choices.count))
      picked.append(choices[index])
      choices.swapAt(index, choices.count - 1)
      choices.removeLast()
    }
    return picked
  }
}
