// Replicas of one shard that collect tombstones while writes are late, nodes leave the replica set and
// return, and backups are restored.

import Core

@testable import Gossip

/// Replicas 0 and 1 are always in the set; the others come and go.
struct TombstoneWorld {
  struct Cell: Hashable {
    var version: Version
    var isTombstone: Bool
  }

  struct Replica {
    var cells: [Int: Cell] = [:]
    var collector: TombstoneCollector
    var isReachable = true
    /// Of an operator who saves them and restores them.
    var backup: ([Int: Cell], CollectionState)?
    var rebuildSource: Int?
  }

  private struct Session {
    var initiator: Int
    var responder: Int
    var mark: CollectorMark
    var took: [Int: Cell]
    var gave: [Int: Cell]
  }

  private struct Write {
    var to: Int
    var id: Int
    var cell: Cell
    var epoch: UInt64
  }

  private(set) var replicas: [Replica]
  private(set) var epoch: UInt64 = 1
  private(set) var memberSince: [Int: UInt64] = [:]
  /// The newest that replica 0 or 1 ever stored of each record.
  private(set) var newest: [Int: Cell] = [:]
  var random: SplitMix64
  private var clock: UInt64 = 0
  private var writes: [Write] = []
  private var sessions: [Session] = []
  private let bug: CollectorBug?

  init(seed: UInt64, replicas count: Int, bug: CollectorBug? = nil) {
    random = SplitMix64(seed: seed)
    self.bug = bug
    let ids = (0..<count).map { TombstoneWorld.id($0) }
    replicas = ids.map {
      var collector = TombstoneCollector(id: $0, replicas: ids, state: CollectionState(epoch: 1))
      collector.bug = bug
      return Replica(collector: collector)
    }
    for node in 0..<count { memberSince[node] = 1 }
  }

  private static func id(_ node: Int) -> MemberID { MemberID(UInt64(node)) }
  private var members: [Int] { memberSince.keys.sorted() }
  mutating func draw(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }

  // MARK: - Storing

  private mutating func store(_ node: Int, _ id: Int, _ cell: Cell) {
    if let old = replicas[node].cells[id], old.version >= cell.version { return }
    replicas[node].cells[id] = cell
    if node < 2, newest[id].map({ $0.version < cell.version }) ?? true { newest[id] = cell }
  }

  private mutating func merge(_ cells: [Int: Cell], into node: Int) {
    for id in cells.keys.sorted() where replicas[node].collector.admitsRepair(cells[id]!.version) {
      store(node, id, cells[id]!)
    }
  }

  private mutating func perform(_ effects: [CollectorEffect], at node: Int) {
    for effect in effects {
      switch effect {
      // Wishes to reconcile come true by chance, all the time.
      case .save, .reconcile: break
      case .rejoin: renew(node)
      case .drop(let horizon):
        replicas[node].cells = replicas[node].cells.filter {
          !$0.value.isTombstone || $0.value.version.time > horizon
        }
      case .rebuild(let source): replicas[node].rebuildSource = Int(source.value)
      }
    }
  }

  // MARK: - What happens, at random

  mutating func step() {
    let node = members[draw(members.count)]
    let other = members[draw(members.count)]
    switch draw(22) {
    case 0, 1, 2: write()
    case 3, 4, 5, 6: deliver()
    case 7 where draw(4) == 0:
      clock += 1
      perform(replicas[node].collector.propose(now: clock), at: node)
    case 8, 9, 10: hear(node, other)
    case 11, 12: begin(node, other)
    case 13, 14, 15: endSession()
    case 16: rebuild()
    case 17 where draw(5) == 0: changeSet()
    case 18 where draw(5) == 0: if node >= 2 { replicas[node].isReachable.toggle() }
    case 19 where draw(6) == 0 && node >= 2: backUpOrRestore(node)
    case 20: hearAll()
    case 21 where draw(2) == 0: reconcileAll()
    default: break
    }
  }

  private mutating func write() {
    clock += 1
    let cell = Cell(version: Version(time: clock, node: 1), isTombstone: draw(2) == 0)
    let id = draw(4)
    for node in members { writes.append(Write(to: node, id: id, cell: cell, epoch: epoch)) }
  }

  /// Any write that is under way, also a very old one; some are lost.
  private mutating func deliver() {
    guard !writes.isEmpty else { return }
    let write = writes.remove(at: draw(writes.count))
    guard replicas[write.to].isReachable, draw(8) != 0 else { return }
    do throws(RoostError) {
      try replicas[write.to].collector.admit(write.cell.version, epoch: write.epoch)
      store(write.to, write.id, write.cell)
    } catch {
      precondition(error.kind == .unavailable)
    }
  }

  private func canTalk(_ one: Int, _ other: Int) -> Bool {
    one != other && replicas[one].isReachable && replicas[other].isReachable
  }

  private mutating func hear(_ node: Int, _ other: Int) {
    guard canTalk(node, other) else { return }
    perform(replicas[node].collector.heard(replicas[other].collector.state, from: Self.id(other)), at: node)
  }

  /// States go round while writes are still under way.
  private mutating func hearAll() {
    for one in members {
      for other in members { hear(one, other) }
    }
  }

  private mutating func reconcileAll() {
    for one in members {
      for other in members {
        begin(one, other)
        while !sessions.isEmpty { endSession() }
      }
    }
  }

  private mutating func begin(_ node: Int, _ other: Int) {
    let (one, two) = (replicas[node].collector, replicas[other].collector)
    guard canTalk(node, other), one.scope == two.scope, !one.state.isRebuilding, !two.state.isRebuilding
    else {
      return
    }
    sessions.append(
      Session(
        initiator: node, responder: other, mark: one.mark, took: replicas[other].cells,
        gave: replicas[node].cells))
  }

  private mutating func endSession() {
    guard !sessions.isEmpty else { return }
    let session = sessions.remove(at: draw(sessions.count))
    let (one, two) = (session.initiator, session.responder)
    guard canTalk(one, two), replicas[one].collector.scope == replicas[two].collector.scope else { return }
    guard !replicas[one].collector.state.isRebuilding, !replicas[two].collector.state.isRebuilding else {
      return
    }
    merge(session.took, into: one)
    merge(session.gave, into: two)
    perform(replicas[one].collector.reconciled(with: Self.id(two), mark: session.mark), at: one)
  }

  private mutating func rebuild() {
    for node in members {
      guard let source = replicas[node].rebuildSource, canTalk(node, source) else { continue }
      let state = replicas[source].collector.state
      guard state.epoch == replicas[node].collector.state.epoch, !state.isRebuilding else { continue }
      replicas[node].rebuildSource = nil
      let kept = bug == .keptAboveHorizon ? state.horizon : state.proved
      replicas[node].cells = replicas[node].cells.filter { $0.value.version.time > kept }
      for id in replicas[source].cells.keys.sorted() { store(node, id, replicas[source].cells[id]!) }
      perform(replicas[node].collector.rebuilt(from: state), at: node)
    }
  }

  /// A replica that is not 0 or 1 is taken out of the set, or in; the others hear of it at once or later.
  private mutating func changeSet() {
    guard replicas.count > 2 else { return }
    let node = 2 + draw(replicas.count - 2)
    epoch += 1
    if memberSince.removeValue(forKey: node) == nil { memberSince[node] = epoch }
    tellSet()
  }

  private mutating func tellSet() {
    let ids = members.map { Self.id($0) }
    for node in members where replicas[node].isReachable {
      let effects = replicas[node].collector.enter(
        epoch: epoch, replicas: ids, memberSince: memberSince[node]!, source: Self.id(draw(2)))
      perform(effects, at: node)
    }
    // A session does not outlive the epoch in which it began.
    sessions.removeAll { replicas[$0.initiator].collector.state.epoch != $0.mark.epoch }
  }

  /// With a restored backup a replica is as it was then; it learns the shard table as any node that starts.
  private mutating func backUpOrRestore(_ node: Int) {
    guard let (cells, state) = replicas[node].backup else {
      guard !replicas[node].collector.state.isRebuilding else { return }
      replicas[node].backup = (replicas[node].cells, replicas[node].collector.state)
      return
    }
    replicas[node].backup = nil
    guard memberSince[node] != nil else { return }
    replicas[node].cells = cells
    var collector = TombstoneCollector(id: Self.id(node), replicas: members.map { Self.id($0) }, state: state)
    collector.bug = bug
    replicas[node].collector = collector
    perform(replicas[node].collector.lose(), at: node)
  }

  /// Out of the set and in again.
  private mutating func renew(_ node: Int) {
    replicas[node].rebuildSource = nil
    sessions.removeAll { $0.initiator == node || $0.responder == node }
    epoch += 1
    memberSince[node] = epoch
    tellSet()
  }

  // MARK: - In the end

  /// All are reachable, all writes have come or are lost, everybody reconciles; then what is wrong, if
  /// anything is.
  mutating func settle() -> String? {
    for node in replicas.indices { replicas[node].isReachable = true }
    while !writes.isEmpty { deliver() }
    tellSet()
    clock += 1
    perform(replicas[0].collector.propose(now: clock), at: 0)
    for _ in 0..<6 {
      rebuild()
      hearAll()
      reconcileAll()
    }
    for node in members {
      for id in replicas[node].cells.keys.sorted() {
        let cell = replicas[node].cells[id]!
        if cell.isTombstone { return "replica \(node) still has the tombstone of \(id)" }
        if let best = newest[id], cell.version < best.version {
          return best.isTombstone
            ? "record \(id) is back on replica \(node)" : "replica \(node) has an old \(id)"
        }
      }
      for id in newest.keys.sorted() where !newest[id]!.isTombstone && replicas[node].cells[id] == nil {
        return "record \(id) is lost on replica \(node)"
      }
      if replicas[node].cells != replicas[0].cells { return "replicas 0 and \(node) differ" }
    }
    return nil
  }
}
