// How soon membership finds the dead, how often it errs, and what it costs, from simulated clusters.

import ArgumentParser
import Core
import Glibc
import Gossip

struct MembershipCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "membership", abstract: "Detection time, false positives and bandwidth of membership.",
    discussion: """
      One JSON line for each cluster. With `--detect`, nodes crash one after the other: `first_s` and \
      `all_s` are the seconds until the first and the last other member calls one dead (medians, and the \
      worst). With `--errors`, nothing crashes: how often a member that is well is called dead (by anybody) \
      or suspected (by one other), per node and hour; `--slow` nodes stand still for 1 to 10 seconds, \
      30 seconds apart on average, and are not counted among the well. With `--traffic`: what a node sends \
      in a quiet cluster, IP and UDP headers and seals included. Without any of these: all three, for the \
      usual sizes and losses.

      EXAMPLES
        tools/run sim membership
        tools/run sim membership --detect --members 32 --loss 25
        tools/run sim membership --errors --members 32 --loss 10 --slow 4 --minutes 60 --seed 7
      """)

  @Flag(help: "Measure detection.") var detect = false
  @Flag(help: "Measure errors.") var errors = false
  @Flag(help: "Measure traffic.") var traffic = false
  @Option(help: "Members of the cluster.") var members: Int?
  @Option(help: "Datagrams lost, per cent.") var loss: Double?
  @Option(help: "Members that are slow.") var slow: Int?
  @Option(help: "Virtual minutes of each run.") var minutes = 10
  @Option(help: "Crashes of each run.") var crashes = 12
  @Option(help: "Seed.") var seed: UInt64 = 1

  func validate() throws {
    guard (2...2_000).contains(members ?? 2), (0...90).contains(loss ?? 0), minutes > 0, crashes > 0,
      (slow ?? 0) >= 0, (slow ?? 0) < (members ?? .max)
    else {
      throw ValidationError("2 to 2000 members, a loss of 0 to 90 per cent, fewer slow ones than members")
    }
  }

  func run() throws {
    let isEverything = !(detect || errors || traffic)
    let losses: [Double] = loss.map { [$0] } ?? [0, 10, 25]
    let sizes: [Int]? = members.map { [$0] }
    if detect || isEverything {
      for count in sizes ?? [8, 32, 128] {
        for loss in losses { try measureDetection(count, loss) }
      }
    }
    if errors || isEverything {
      let count = members ?? 32
      let slowCounts: [Int] = slow.map { [$0] } ?? [0, count / 8]
      for slow in slowCounts {
        for loss in losses { try measureErrors(count, loss, slow) }
      }
    }
    if traffic || isEverything {
      for count in sizes ?? [8, 16, 32, 64, 128, 256, 512] { try measureTraffic(count, loss ?? 0) }
    }
  }

  private func cluster(_ count: Int, _ loss: Double) throws -> MembershipWorld {
    var network = PacketNetwork.Settings()
    network.loss = loss / 100
    network.duplication = 0.01
    var world = MembershipWorld(seed: seed, count: count, network: network)
    for node in 0..<count { try world.start(node, seeds: [node == 0 ? 1 : 0]) }
    guard world.run(until: \.isWhole, withinNanos: 120_000_000_000) != nil else {
      throw ValidationError("\(count) members did not find each other in two minutes")
    }
    world.run(forNanos: 30_000_000_000)
    return world
  }

  private func measureDetection(_ count: Int, _ loss: Double) throws {
    var world = try cluster(count, loss)
    var first: [Double] = []
    var all: [Double] = []
    for crash in 0..<crashes {
      let node = 1 + crash % (count - 1)
      world.run(forNanos: world.random.next() % 5_000_000_000)
      world.forgetHappenings()
      let start = world.nowNanos
      world.crash(node)
      world.run(forNanos: 60_000_000_000)
      let times = world.happenings.filter { $0.event == .failed(MembershipWorld.id(node)) && $0.node != node }
        .map { Double($0.nanos - start) / 1e9 }
      guard times.count >= count - 1 else {
        throw ValidationError("only \(times.count) members found a crash within a minute")
      }
      first.append(times.min()!)
      all.append(times.max()!)
      try world.start(node, seeds: [0])
      guard world.run(until: \.isWhole, withinNanos: 180_000_000_000) != nil else {
        throw ValidationError("a node that came back was not taken up in three minutes")
      }
    }
    report(
      "detection", count, loss,
      [
        ("crashes", Double(crashes)), ("first_s", median(first)), ("all_s", median(all)),
        ("worst_first_s", first.max()!), ("worst_all_s", all.max()!),
      ])
  }

  private func measureErrors(_ count: Int, _ loss: Double, _ slow: Int) throws {
    var world = try cluster(count, loss)
    world.forgetHappenings()
    let end = world.nowNanos + UInt64(minutes) * 60_000_000_000
    while world.nowNanos < end {
      for node in count - slow..<count where world.random.next() % 30 == 0 {
        world.stall(node, nanos: 1_000_000_000 + world.random.next() % 9_000_000_000)
      }
      world.run(forNanos: 1_000_000_000)
    }
    let well = Set((0..<count - slow).map { MembershipWorld.id($0) })
    var failed: Set<MemberID> = []
    var failures = 0
    var suspicions = 0
    for happening in world.happenings {
      switch happening.event {
      case .failed(let id) where well.contains(id):
        failures += 1
        failed.insert(id)
      case .suspected(let id) where well.contains(id): suspicions += 1
      default: break
      }
    }
    let nodeHours = Double(well.count * minutes) / 60
    report(
      "errors", count, loss,
      [
        ("slow", Double(slow)), ("minutes", Double(minutes)), ("called_dead", Double(failures)),
        ("members_called_dead", Double(failed.count)),
        ("false_positives_per_node_hour", Double(failed.count) / nodeHours),
        ("suspicions_per_node_hour", Double(suspicions) / nodeHours / Double(count)),
      ])
  }

  private func measureTraffic(_ count: Int, _ loss: Double) throws {
    var world = try cluster(count, loss)
    world.run(forNanos: 60_000_000_000)
    world.forgetTraffic()
    let seconds = 120.0
    world.run(forNanos: UInt64(seconds * 1e9))
    let each = Double(count) * seconds
    func mean(_ total: Int) -> Double { Double(total) / each }
    report(
      "traffic", count, loss,
      [
        ("datagram_bytes_per_s", mean(world.nodes.reduce(0) { $0 + $1.sentBytes })),
        ("datagrams_per_s", mean(world.nodes.reduce(0) { $0 + $1.sentPackets })),
        ("stream_bytes_per_s", mean(world.nodes.reduce(0) { $0 + $1.streamBytes })),
        ("largest_datagram", Double(world.nodes.map(\.largestPacket).max() ?? 0)),
      ])
  }

  private func report(_ measure: String, _ members: Int, _ loss: Double, _ values: [(String, Double)]) {
    let fields = values.map { name, value in "\"\(name)\":\(rounded(value))" }.joined(separator: ",")
    print(#"{"sim":"membership","measure":"\#(measure)","members":\#(members),"loss":\#(loss),\#(fields)}"#)
    fflush(nil)
  }

  private func median(_ values: [Double]) -> Double { values.sorted()[values.count / 2] }
  private func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}
