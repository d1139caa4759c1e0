// Writes and reads at their levels, over replicas that fail, forget nothing, and answer late or not at all.

import Core
import Testing

@testable import Gossip

@Suite struct CoordinatorTests {
  private static func places(_ count: Int) -> [ReplicaPlace] {
    (0..<count).map { ReplicaPlace(id: MemberID(UInt64($0)), region: $0 % 2 == 0 ? "a" : "b") }
  }

  private static func write(
    _ level: ConsistencyLevel, _ count: Int, time: UInt64 = 1
  ) throws -> WriteCoordinator {
    try WriteCoordinator(
      version: Version(time: time, node: 1), epoch: 1, replicas: places(count), level: level, region: "a",
      deadlineNanos: 100)
  }

  /// Five replicas, of which 0, 2 and 4 are in region "a".
  @Test(arguments: [
    (ConsistencyLevel.one, [3], true), (.quorum, [0, 1], false), (.quorum, [0, 1, 3], true),
    (.all, [0, 1, 2, 3], false),
    (.all, [0, 1, 2, 3, 4], true), (.localQuorum, [0, 1, 3], false), (.localQuorum, [0, 4], true),
  ])
  func levelsCount(level: ConsistencyLevel, stored: [UInt64], isEnough: Bool) throws {
    var write = try Self.write(level, 5)
    #expect(write.start().count == 5)
    var effects: [WriteEffect] = []
    for replica in stored + stored {
      effects += write.receive(.stored, from: MemberID(replica), version: write.version)
    }
    #expect(effects.count { $0 == .acknowledge(write.version) } == (isEnough ? 1 : 0))
    let last = write.tick(nowNanos: 100)
    let hints = last.compactMap { if case .hint(let member, _) = $0 { member.value } else { nil } }
    let missing = (0..<5).filter { !stored.contains($0) }
    #expect(hints == (isEnough && stored.count < 5 ? missing : []))
    if !isEnough, case .fail(_, let mayHaveHappened) = last.first { #expect(mayHaveHappened) }
    #expect(write.tick(nowNanos: 200).isEmpty)
  }

  @Test func aHopelessWriteFailsAtOnce() throws {
    var write = try Self.write(.quorum, 3)
    #expect(write.receive(.failed, from: MemberID(0), version: write.version).isEmpty)
    let effects = write.receive(.failed, from: MemberID(1), version: write.version)
    guard case .fail(let error, false) = effects.first else {
      Issue.record("\(effects)")
      return
    }
    #expect(error.kind == .unavailable && effects.last == .finished)
    #expect(throws: RoostError.self) {
      try WriteCoordinator(
        version: .zero, epoch: 1, replicas: Self.places(3), level: .localQuorum, region: "c", deadlineNanos: 1
      )
    }
  }

  @Test func aStaleWriteIsSentAnew() throws {
    var write = try Self.write(.quorum, 3)
    let old = write.version
    _ = write.receive(.stored, from: MemberID(0), version: old)
    #expect(write.receive(.stale, from: MemberID(1), version: old) == [.renew])
    #expect(write.receive(.stale, from: MemberID(2), version: old).isEmpty)
    let fresh = Version(time: 9, node: 1)
    #expect(write.renew(version: fresh, epoch: 2, replicas: Self.places(3)).count == 3)
    // What was stored under the old version does not count.
    #expect(write.receive(.stored, from: MemberID(1), version: old).isEmpty)
    #expect(write.receive(.stored, from: MemberID(1), version: fresh).isEmpty)
    #expect(write.receive(.stored, from: MemberID(2), version: fresh) == [.acknowledge(fresh)])
    var restless = try Self.write(.one, 1)
    var effects: [WriteEffect] = []
    for time in 2..<9 as Range<UInt64> {
      effects = restless.receive(.stale, from: MemberID(0), version: restless.version)
      guard effects == [.renew] else { break }
      _ = restless.renew(version: Version(time: time, node: 1), epoch: time, replicas: Self.places(1))
    }
    if case .fail = effects.first {} else { Issue.record("\(effects)") }
  }

  @Test func readsMendBeforeTheyAnswer() throws {
    var read = try ReadCoordinator(
      replicas: Self.places(3), level: .quorum, region: "a", hedgeNanos: 10, deadlineNanos: 100)
    let (old, new) = (Version(time: 1, node: 1), Version(time: 2, node: 1))
    #expect(read.start() == [.ask(MemberID(0)), .ask(MemberID(1))])
    #expect(read.receive(old, from: MemberID(0)).isEmpty)
    #expect(read.receive(new, from: MemberID(1)) == [.mend(MemberID(0), version: new, from: MemberID(1))])
    // Slow to mend: another one is asked, and it has nothing at all.
    #expect(read.tick(nowNanos: 10) == [.ask(MemberID(2))])
    #expect(read.receive(nil, from: MemberID(2)) == [.mend(MemberID(2), version: new, from: MemberID(1))])
    #expect(read.mended(MemberID(2), version: old).isEmpty)
    #expect(read.mended(MemberID(2), version: new) == [.answer(from: MemberID(1), version: new), .finished])
    var one = try ReadCoordinator(
      replicas: Self.places(3), level: .one, region: "a", hedgeNanos: 10, deadlineNanos: 100)
    #expect(one.start() == [.ask(MemberID(0))] && one.failed(MemberID(0)) == [.ask(MemberID(1))])
    #expect(one.receive(nil, from: MemberID(1)) == [.answer(from: nil, version: nil), .finished])
  }

  /// A register on some replicas, coordinators whose clocks differ, messages in any order, some lost. What
  /// a quorum acknowledged, every later quorum read sees; and no read sees less than one before it.
  @Test func quorumsSeeWhatQuorumsAcknowledged() throws {
    var (acknowledged, answered, failures) = (0, 0, 0)
    for seed in 1...150 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let count = 3 + 2 * Int(random.next() % 2)
      var stored: [MemberID: Version] = [:]
      var least = Version.zero
      for step in 0..<60 as Range<UInt64> {
        let loss = random.next() % 5
        func isLost() -> Bool { random.next() % 10 < loss }
        if random.next() % 2 == 0 {
          let time = 100 + step / 2 + random.next() % 8
          var write = try WriteCoordinator(
            version: Version(time: time, node: UInt32(step)), epoch: 1, replicas: Self.places(count),
            level: .quorum, region: "a", deadlineNanos: 100)
          var order = (0..<count).map { MemberID(UInt64($0)) }
          order.swapAt(0, Int(random.next() % UInt64(count)))
          var effects: [WriteEffect] = []
          for replica in order where !isLost() {
            stored[replica] = max(stored[replica] ?? .zero, write.version)
            if !isLost() { effects += write.receive(.stored, from: replica, version: write.version) }
          }
          effects += write.tick(nowNanos: 100)
          if effects.contains(.acknowledge(write.version)) {
            least = max(least, write.version)
            acknowledged += 1
          }
        } else {
          var read = try ReadCoordinator(
            replicas: Self.places(count), level: .quorum, region: "a", hedgeNanos: 10, deadlineNanos: 100)
          var todo = read.start()
          while !todo.isEmpty {
            switch todo.remove(at: Int(random.next() % UInt64(todo.count))) {
            case .ask(let replica):
              todo += isLost() ? read.failed(replica) : read.receive(stored[replica], from: replica)
            case .mend(let replica, let version, _):
              guard !isLost() else { continue }
              stored[replica] = max(stored[replica] ?? .zero, version)
              if !isLost() { todo += read.mended(replica, version: version) }
            case .answer(_, let version):
              #expect(version ?? .zero >= least, "seed \(seed), step \(step)")
              least = max(least, version ?? .zero)
              answered += 1
            case .fail: failures += 1
            case .finished: break
            }
          }
        }
      }
    }
    #expect(acknowledged > 1_000 && answered > 1_000 && failures > 10)
  }

  @Test func clocksFarAheadAreRefused() throws {
    let bound = ClockBound(aheadMaxMs: 60_000)
    let wallMicros: Int64 = 1_700_000_000_000_000
    let wallMs = UInt64(wallMicros / 1_000)
    try bound.check(Version(time: (wallMs + 60_000) << 16 | 0xffff, node: 1), wallMicros: wallMicros)
    try bound.check(Version(time: 1, node: 1), wallMicros: wallMicros)
    #expect(throws: RoostError.self) {
      try bound.check(Version(time: (wallMs + 60_001) << 16, node: 1), wallMicros: wallMicros)
    }
    #expect(throws: RoostError.self) { try bound.check(Version(time: .max, node: 1), wallMicros: -5) }
  }
}
