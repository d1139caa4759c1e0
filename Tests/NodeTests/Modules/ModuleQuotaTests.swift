// What a module may take of the node, and what it has taken: by counting, not by the clock.

import Core
import Storage
import Testing
import Wire

@testable import Node
@testable import Wasm

@Suite struct ModuleQuotaTests {
  /// Any pattern of calls stays within share × (time + burst), but for the calls that had begun.
  @Test(arguments: 0..<30) func aBudgetBoundsAnyPatternOfCalls(_ seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let percent = Int.random(in: 1...99, using: &random)
    let cores = Int.random(in: 1...16, using: &random)
    let budget = WasmBudget()
    budget.set(percent: percent, cores: cores)
    let share = Double(percent * cores) / 100
    let longest = UInt64.random(in: 1_000...50_000_000, using: &random)
    var now: UInt64 = 5_000_000_000
    let start = now
    var (spent, refused, granted) = (0.0, 0 as UInt64, 0)
    for _ in 0..<3_000 {
      now += UInt64.random(in: 0...longest, using: &random)
      guard budget.admits(now: now) else {
        refused += 1
        continue
      }
      let cost = UInt64.random(in: 0...longest, using: &random)
      now += cost / UInt64(cores)
      budget.spend(cost, now: now)
      spent += Double(cost)
      granted += 1
      let elapsed = Double(now - start)
      // The price is a whole number of thousandths, which errs by less than a part in six for 16 cores.
      #expect(
        spent <= share * (elapsed + Double(WasmBudget.burstNanos)) * 1.2 + Double(longest),
        "seed \(seed): \(percent)% of \(cores)")
    }
    #expect(granted > 0)
    #expect(budget.refused.load(ordering: .relaxed) == refused)
    budget.set(percent: 100, cores: cores)
    #expect(budget.admits(now: start))
  }

  @Test func callsAtATimeAreCounted() throws {
    let gate = ModuleGate(name: "m")
    gate.set(ModuleQuota(calls: 2, cpuPercent: 100), cores: 2)
    var uses = [ModuleUse(), ModuleUse()]
    try uses[0].enter(gate)
    try uses[0].enter(gate)
    try uses[1].enter(gate)
    let third = ModuleUse()
    let error = #expect(throws: RoostError.self) { try third.enter(gate) }
    #expect(
      error?.kind == .overloaded && error?.message == "module 'm' is used by 2 requests, its limit is 2")
    #expect(gate.metrics["in_use"] == .int(2) && gate.metrics["refused_calls"] == .int(1))
    uses.removeAll()
    #expect(gate.metrics["in_use"] == .int(0))
    try third.enter(gate)
    gate.set(.unlimited, cores: 2)
    for _ in 0..<100 { try gate.enter() }
  }

  private static func query(_ module: String) -> SearchQuery {
    SearchQuery(target: .vector(vector(0, 0)), k: 3, module: ModuleCall(module: module))
  }

  @Test func aGreedyModuleStopsAtItsShareAndHarmsNobody() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.createCollection("c", schema: CollectionSchema(dimension: 2))
    try await client.put(
      (0..<10).map { PutRecord(id: .number(UInt64($0)), vector: vector(Float($0), 0)) }, into: "c")
    try await client.publishModule("modest", bytes: Guests.constantFilter(1))
    try await client.publishModule("greedy", bytes: Guests.busyFilter(rounds: 200_000))
    try await client.changeModule("greedy", .quota(ModuleQuota(calls: 0, cpuPercent: 1)))
    // One that does not try again by itself, so that refusals can be counted.
    var impatience = ClientConfiguration()
    impatience.attemptsMax = 1
    let impatient = Client(test.node.address, configuration: impatience, runtime: test.runtime)
    let start = test.runtime.clock.monotonicNanos()
    var (granted, refused) = (0, 0)
    for _ in 0..<60 {
      if let error = await failure({ _ = try await impatient.search(Self.query("greedy"), in: "c") }) {
        #expect(
          error.kind == .overloaded && error.message.contains("'greedy' has used up its share"), "\(error)")
        refused += 1
      } else {
        granted += 1
      }
      // Whoever does not use it is served, every time.
      #expect(try await client.search(Self.query("modest"), in: "c").count == 3)
    }
    let elapsed = Double(test.runtime.clock.monotonicNanos() - start)
    #expect(granted > 0 && refused > 0, "\(granted) of 60")
    let metrics = try await client.inspectModule("greedy").metrics
    guard case .map(let versions)? = metrics["versions"], case .map(let figures)? = versions["1"],
      case .int(let spent)? = figures["guest_ns"]
    else {
      Issue.record("no figures: \(metrics)")
      return
    }
    #expect(metrics["refused_cpu"] == .int(Int64(refused)))
    // A search may be refused between two of its calls.
    guard case .int(let calls)? = figures["calls"], case .int(let items)? = figures["items"] else {
      Issue.record("no figures: \(metrics)")
      return
    }
    #expect(calls >= granted && items >= granted * 10)
    // Its share of two or more cores, the burst, and the last call that had begun (at most its deadline).
    let share = 0.01 * Double(test.runtime.executors.count)
    #expect(Double(spent) <= share * (elapsed + 100e6) * 1.2 + 1_000e6)
    await impatient.close()
    // With no bound again it is served at once.
    try await client.changeModule("greedy", .quota(.unlimited))
    #expect(try await client.search(Self.query("greedy"), in: "c").count == 3)
    try await test.stopAndRemove()
  }

  @Test func aModuleFindsWhatTheOperatorHasSet() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.createCollection("c", schema: CollectionSchema(dimension: 2))
    try await client.put([PutRecord(id: .number(1), vector: vector(1, 0))], into: "c")
    try await client.publishModule("switch", bytes: Guests.passesWithKey("open"))
    func hits() async throws -> Int { try await client.search(Self.query("switch"), in: "c").count }
    #expect(try await hits() == 0)
    #expect(
      try await client.changeModule("switch", .state(Payload(["open": .bool(true)])))?.state.fields.count == 1
    )
    #expect(try await hits() == 0, "it has not been granted kv")
    try await client.changeModule("switch", .grant(["log", "kv"]))
    #expect(try await hits() == 1)
    try await client.changeModule("switch", .state(Payload(["shut": .bool(true)])))
    #expect(try await hits() == 0)
    try await client.changeModule("switch", .state(Payload(["open": .int(1)])))
    try await test.stop()
    let again = try await TestNode(in: test.folder)
    #expect(try await again.client.search(Self.query("switch"), in: "c").count == 1)
    try await again.stopAndRemove()
  }

  @Test func failuresAndGrantsShow() async throws {
    let test = try await TestNode { $0.wasm.filterDeadlineMs = 20 }
    let client = test.client
    try await client.createCollection("c", schema: CollectionSchema(dimension: 2))
    try await client.put([PutRecord(id: .number(1), vector: vector(1, 0))], into: "c")
    try await client.publishModule("trap", bytes: Guests.trapping())
    try await client.publishModule("loop", bytes: Guests.busyFilter(rounds: 1 << 40))
    for module in ["trap", "trap", "loop"] {
      #expect(
        await failure { _ = try await client.search(Self.query(module), in: "c") }?.kind == .moduleFailed)
    }
    func figures(_ module: String) async throws -> [Value?] {
      guard case .map(let versions)? = try await client.inspectModule(module).metrics["versions"],
        case .map(let figures)? = versions["1"]
      else { return [] }
      return [figures["calls"], figures["failures"], figures["deadline_misses"]]
    }
    #expect(try await figures("trap") == [.int(2), .int(2), .int(0)])
    #expect(try await figures("loop") == [.int(1), .int(1), .int(1)])
    #expect(try await client.stats()["module_failures"] == .int(3))
    #expect(try await client.inspectModule("trap").grants == ["log", "tensor"])
    let changed = try await client.changeModule("trap", .grant(["log"]))
    #expect(changed?.grants == ["log"])
    // The figures are those of the version, not of one copy of its code.
    #expect(await failure { _ = try await client.search(Self.query("trap"), in: "c") }?.kind == .moduleFailed)
    #expect(try await figures("trap") == [.int(3), .int(3), .int(0)])
    #expect(
      await failure { try await client.changeModule("trap", .grant(["fly"])) }?.kind == .invalidArgument)
    try await test.stop()
    let again = try await TestNode(in: test.folder)
    #expect(try await again.client.inspectModule("trap").grants == ["log"])
    try await again.stopAndRemove()
  }
}
