// What is believed: how statements about members change the view, and how views of two nodes are made alike.

import Core

extension Membership {
  // MARK: - Statements

  /// Takes a statement; whatever is news is passed on.
  mutating func apply(_ update: MemberUpdate) {
    guard update.member != id else { return contradict(update) }
    switch update {
    case .alive(let id, let incarnation, let info): applyAlive(id, incarnation, info)
    case .suspect(let id, let incarnation, let accuser): applySuspect(id, incarnation, accuser)
    case .dead(let id, let incarnation, let accuser): applyEnd(id, incarnation, .dead, accuser)
    case .left(let id, let incarnation): applyEnd(id, incarnation, .left, id)
    }
  }

  /// From the state of another node. What it holds for dead may have come back without its knowledge: such
  /// a member is suspected first and can contradict.
  mutating func merge(_ update: MemberUpdate, from sender: MemberID) {
    switch update {
    case .dead(let id, let incarnation, _):
      apply(id == self.id ? update : .suspect(id, incarnation: incarnation, by: sender))
    case .left(let id, let incarnation) where settings.bug == .leftForgotten:
      apply(.suspect(id, incarnation: incarnation, by: sender))
    default: apply(update)
    }
  }

  private mutating func applyAlive(_ id: MemberID, _ incarnation: UInt64, _ info: MemberInfo) {
    guard info.protocolMin <= self.info.protocolMax, info.protocolMax >= self.info.protocolMin else {
      return tell(.incompatible(id, info))
    }
    guard let entry = entries[id] else {
      guard entries.count < MembershipPacket.membersMax - 1 else { return }
      let member = Member(id: id, info: info, incarnation: incarnation, state: .alive)
      entries[id] = Entry(member: member, sinceNanos: nowNanos)
      presentOthers += 1
      roster.insert(id, at: roster.firstIndex { $0 > id } ?? roster.count)
      probeOrder.insert(id, at: Int(random.next() % UInt64(probeOrder.count + 1)))
      strangersGreeted[id] = nil
      queue(member, by: self.id)
      return tell(.joined(member))
    }
    guard incarnation > entry.member.incarnation || settings.bug == .incarnationIgnored else { return }
    let old = entry.member
    entries[id]!.member = Member(id: id, info: info, incarnation: incarnation, state: .alive)
    if old.state != .alive { entries[id]!.sinceNanos = nowNanos }
    suspicions[id] = nil
    let member = entries[id]!.member
    queue(member, by: self.id)
    if !old.state.isPresent {
      presentOthers += 1
      tell(.joined(member))
    } else {
      if old.info != info { tell(.changed(member)) }
      if old.state == .suspect { tell(.recovered(id)) }
    }
  }

  private mutating func applySuspect(_ id: MemberID, _ incarnation: UInt64, _ accuser: MemberID) {
    guard let entry = entries[id], incarnation >= entry.member.incarnation else { return }
    let isNewer = incarnation > entry.member.incarnation
    switch entry.member.state {
    case .suspect where !isNewer:
      if suspicions[id]?.confirm(by: accuser) == true {
        queue(.suspect(id, incarnation: incarnation, by: accuser))
      }
      return
    case .dead where !isNewer, .left where !isNewer: return
    default: break
    }
    entries[id]!.member.state = .suspect
    entries[id]!.member.incarnation = incarnation
    if entry.member.state != .suspect { entries[id]!.sinceNanos = nowNanos }
    beginSuspicion(of: id, by: accuser)
    queue(.suspect(id, incarnation: incarnation, by: accuser))
    if !entry.member.state.isPresent {
      presentOthers += 1
      tell(.joined(entries[id]!.member))
    }
    if entry.member.state != .suspect { tell(.suspected(id)) }
  }

  private mutating func applyEnd(
    _ id: MemberID, _ incarnation: UInt64, _ state: MemberState, _ accuser: MemberID
  ) {
    guard let entry = entries[id], incarnation >= entry.member.incarnation else { return }
    guard entry.member.state < state || incarnation > entry.member.incarnation else { return }
    entries[id]!.member.state = state
    entries[id]!.member.incarnation = incarnation
    if entry.member.state.isPresent { presentOthers -= 1 }
    suspicions[id] = nil
    if probe?.target == id { probe = nil }
    queue(entries[id]!.member, by: accuser)
    guard entry.member.state.isPresent || state == .left else { return }
    entries[id]!.sinceNanos = nowNanos
    tell(state == .left ? .left(id) : .failed(id))
  }

  /// Something was said of this node itself.
  private mutating func contradict(_ update: MemberUpdate) {
    guard !isLeaving, settings.bug != .noRefutation, update.incarnation >= incarnation else { return }
    if case .alive(_, let number, let said) = update {
      guard number > incarnation || said != info else { return }
      noteConflict(said)
    } else {
      // To be suspected means that one's answers come too late.
      worsen(1)
    }
    incarnation = update.incarnation + 1
    queue(.alive(id, incarnation: incarnation, info))
  }

  /// After a restart a node may meet its own past once. Whoever meets it again and again is not alone.
  private mutating func noteConflict(_ said: MemberInfo) {
    if nowNanos > contradictionsSinceNanos &+ 60_000_000_000 {
      contradictionsSinceNanos = nowNanos
      contradictions = 0
    }
    contradictions += 1
    if contradictions == 4 { tell(.identityConflict(said.address)) }
  }

  // MARK: - News

  mutating func tickNews() {
    guard nowNanos >= nextNewsNanos else { return }
    guard !news.isEmpty else {
      nextNewsNanos = .max
      return
    }
    nextNewsNanos = nowNanos &+ settings.newsNanos
    let audience = roster.filter { id in
      let entry = entries[id]!
      return entry.member.state.isPresent
        || entry.member.state == .dead && nowNanos < entry.sinceNanos &+ settings.newsToDeadNanos
    }
    for id in pick(settings.newsFanOut, from: audience) {
      // Told often enough while this loop ran.
      if news.isEmpty { break }
      let member = entries[id]!.member
      send(
        .news, to: member.info.address,
        about: member.state == .alive ? nil : Membership.statement(member, by: self.id))
    }
    if audience.isEmpty { nextNewsNanos = .max }
  }

  // MARK: - Whole views

  mutating func tickViews() {
    if nowNanos >= nextJoinNanos { askSeeds() }
    if nowNanos >= nextCompareNanos { compare() }
    if nowNanos >= nextForgetNanos { forget() }
  }

  mutating func askSeeds() {
    for seed in seeds { streamState(wantsReply: true, to: seed) }
    nextJoinNanos = isConnected ? .max : nowNanos &+ joinDelayNanos
    joinDelayNanos = min(joinDelayNanos * 2, settings.compareNanos)
  }

  /// With somebody present: fingerprints, which cost next to nothing. With somebody dead, or a seed: whole
  /// views, as they may be on the other side of a partition that has healed.
  private mutating func compare() {
    let present = present
    var scale = 1.0
    if present.count > 32 { scale += Membership.log10(Double(present.count) / 32) / Membership.log10(2) }
    let interval = UInt64(Double(settings.compareNanos) * scale)
    nextCompareNanos = nowNanos &+ interval / 2 &+ random.next() % interval
    guard !isLeaving, settings.bug != .noComparison else { return }
    if let id = pick(1, from: present).first {
      let packet = MembershipPacket(
        cluster: cluster, sender: self.id, purpose: .compare(fingerprint: fingerprint))
      effects.append(.stream(packet.encoded, to: entries[id]!.member.info.address))
    }
    if let id = pick(1, from: roster.filter { entries[$0]!.member.state == .dead }).first {
      streamState(wantsReply: true, to: entries[id]!.member.info.address)
    }
    if present.isEmpty, !seeds.isEmpty {
      streamState(wantsReply: true, to: seeds[Int(random.next() % UInt64(seeds.count))])
    }
  }

  mutating func streamState(wantsReply: Bool, to address: SocketAddress) {
    var updates: [MemberUpdate] = [
      isLeaving ? .left(id, incarnation: incarnation) : .alive(id, incarnation: incarnation, info)
    ]
    for id in roster {
      let member = entries[id]!.member
      // One that the other side may not know must be introduced before it can be suspected.
      if member.state == .suspect { updates.append(.alive(id, incarnation: member.incarnation, member.info)) }
      updates.append(Membership.statement(member, by: self.id))
    }
    let packet = MembershipPacket(
      cluster: cluster, sender: id, purpose: .state(wantsReply: wantsReply), updates: updates)
    effects.append(.stream(packet.encoded, to: address))
  }

  /// Somebody speaks to this node whom it does not know, such as one that was away for so long that it was
  /// forgotten: asks it for its view.
  mutating func greet(_ sender: MemberID, _ source: SocketAddress) {
    guard entries[sender] == nil, !isLeaving, strangersGreeted.count < 64 else { return }
    if let last = strangersGreeted[sender], nowNanos < last &+ settings.probeNanos * 5 { return }
    strangersGreeted[sender] = nowNanos
    streamState(wantsReply: true, to: source)
  }

  private mutating func forget() {
    nextForgetNanos = nowNanos &+ settings.forgetNanos / 16
    for id in roster {
      let entry = entries[id]!
      guard !entry.member.state.isPresent, nowNanos >= entry.sinceNanos &+ settings.forgetNanos else {
        continue
      }
      entries[id] = nil
      tell(.forgotten(id))
    }
    roster.removeAll { entries[$0] == nil }
    strangersGreeted = strangersGreeted.filter { nowNanos < $0.value &+ settings.compareNanos }
  }
}
