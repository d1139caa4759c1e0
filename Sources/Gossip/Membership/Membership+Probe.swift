// Failure detection: one member after the other is asked whether it is there, by detours if need be.

import Core
import Glibc

extension Membership {
  static func log10(_ value: Double) -> Double { Glibc.log10(value) }

  // MARK: - Asking

  mutating func tickProbe() {
    if let current = probe {
      if nowNanos >= current.endNanos {
        endProbe(current)
      } else if nowNanos >= current.indirectNanos, !current.isIndirect {
        askOthers()
      }
    }
    guard nowNanos >= nextProbeNanos else { return }
    nextProbeNanos = nowNanos &+ settings.probeNanos &* UInt64(health + 1)
    if let current = probe { endProbe(current) }
    guard !isLeaving, let target = nextTarget() else { return }
    number &+= 1
    let patience = UInt64(health + 1)
    probe = Probe(
      target: target.id, number: number, indirectNanos: nowNanos &+ settings.answerNanos &* patience,
      endNanos: nextProbeNanos)
    send(.ping(number: number, target: target.id), to: target.info.address, about: warning(to: target.id))
  }

  /// In turn, in an order drawn anew for each round: every member is asked once a round.
  private mutating func nextTarget() -> Member? {
    for _ in 0..<2 {
      while let id = probeOrder.popLast() {
        if let member = entries[id]?.member, member.state.isPresent { return member }
      }
      probeOrder = roster
      for index in probeOrder.indices.reversed() {
        probeOrder.swapAt(index, Int(random.next() % UInt64(index + 1)))
      }
    }
    return nil
  }

  /// What a suspect must hear first so that it can contradict (Lifeguard's buddy system); likewise one of
  /// the dead.
  private func warning(to id: MemberID) -> MemberUpdate? {
    guard let member = entries[id]?.member, member.state != .alive else { return nil }
    return Membership.statement(member, by: self.id)
  }

  private mutating func askOthers() {
    guard let current = probe, let target = entries[current.target]?.member else { return }
    probe!.isIndirect = true
    guard settings.bug != .indirectProbesSkipped else { return }
    let others = roster.filter { $0 != target.id && entries[$0]!.member.state == .alive }
    let relays = pick(settings.indirectProbes, from: others)
    probe!.relays = relays
    for relay in relays {
      send(
        .indirect(number: current.number, target: target.id, address: target.info.address),
        to: entries[relay]!.member.info.address)
    }
  }

  /// No answer came. Relays that did not even say "nack" speak for trouble on this side.
  private mutating func endProbe(_ current: Probe) {
    probe = nil
    if current.relays.isEmpty {
      worsen(1)
    } else {
      worsen(current.relays.count - current.nacks.count)
    }
    guard let member = entries[current.target]?.member, member.state.isPresent else { return }
    apply(.suspect(member.id, incarnation: member.incarnation, by: id))
  }

  mutating func worsen(_ amount: Int) { health = max(0, min(settings.healthMax, health + amount)) }

  // MARK: - Answering

  mutating func handle(_ packet: MembershipPacket, from source: SocketAddress) {
    switch packet.purpose {
    case .ping(let number, let target):
      // An address may have gone to another node meanwhile; that one does not answer for its predecessor.
      guard target == id else { return }
      send(.ack(number: number), to: source, about: warning(to: packet.sender))
      greet(packet.sender, source)
    case .ack(let number): handleAck(number, from: packet.sender)
    case .nack(let number):
      if probe?.number == number, probe!.relays.contains(packet.sender) { probe!.nacks.insert(packet.sender) }
    case .indirect(let originNumber, let target, let address):
      guard relays.count < 256 else { return }
      number &+= 1
      relays[number] = Relay(
        target: target, originNumber: originNumber, origin: source,
        nackNanos: nowNanos &+ settings.answerNanos * 4 / 5, endNanos: nowNanos &+ settings.probeNanos * 2)
      send(.ping(number: number, target: target), to: address, about: warning(to: target))
    case .news: greet(packet.sender, source)
    case .compare(let fingerprint):
      if fingerprint != self.fingerprint { streamState(wantsReply: true, to: source) }
    case .state(let wantsReply):
      if !isConnected {
        isConnected = true
        nextJoinNanos = .max
        tell(.connected)
      }
      if wantsReply { streamState(wantsReply: false, to: source) }
    }
  }

  private mutating func handleAck(_ number: UInt32, from sender: MemberID) {
    if let current = probe, current.number == number,
      sender == current.target || current.relays.contains(sender)
    {
      probe = nil
      worsen(-1)
    } else if let relay = relays[number], relay.target == sender {
      relays[number] = nil
      send(.ack(number: relay.originNumber), to: relay.origin)
    }
  }

  mutating func tickRelays() {
    guard !relays.isEmpty else { return }
    for number in relays.keys.sorted() {
      let relay = relays[number]!
      if nowNanos >= relay.endNanos {
        relays[number] = nil
      } else if nowNanos >= relay.nackNanos, !relay.hasNacked {
        relays[number]!.hasNacked = true
        send(.nack(number: relay.originNumber), to: relay.origin)
      }
    }
  }

  // MARK: - Suspecting

  mutating func beginSuspicion(of id: MemberID, by accuser: MemberID) {
    let least = logarithmic(settings.suspicionFactor) * Double(settings.probeNanos)
    let others = presentOthers - 1
    suspicions[id] = Suspicion(
      by: accuser, wanted: others >= settings.confirmations ? settings.confirmations : 0,
      minNanos: settings.bug == .noSuspicion ? 0 : least,
      maxNanos: settings.bug == .noSuspicion ? 0 : least * settings.suspicionSpread, nowNanos: nowNanos)
  }

  mutating func tickSuspicions() {
    guard !suspicions.isEmpty, settings.bug != .endlessSuspicion else { return }
    for id in suspicions.keys.sorted() where nowNanos >= suspicions[id]!.deadlineNanos {
      guard let member = entries[id]?.member else { continue }
      apply(.dead(id, incarnation: member.incarnation, by: self.id))
    }
  }
}
