// Kills a real node again and again while it is written to, and holds it to its word each time:
// what it acknowledged is there, what it acknowledged as deleted is gone, and a call that was in flight has
// happened as a whole or not at all.
//   ROOST_KILLS=1000 ROOST_SEED=7 swift test --filter KillTests

import Core
import Foundation
import Storage
import Testing
import Wire

@Suite struct KillTests {
  @Test func nothingAcknowledgedIsLost() async throws {
    let environment = ProcessInfo.processInfo.environment
    let kills = environment["ROOST_KILLS"].flatMap(Int.init) ?? 50
    let seed = environment["ROOST_SEED"].flatMap(UInt64.init) ?? UInt64.random(in: 1...999_999)
    print("kill tests: \(kills) kills, seed \(seed) (ROOST_KILLS, ROOST_SEED)")
    var world = try KillWorld(seed: seed)
    try await world.start()
    try await world.createCollection()
    for round in 1...kills {
      if world.flips(4) {
        try await world.killDuringStart()
      } else {
        try await world.loadAndKill()
      }
      try await world.start()
      let problems = try await world.check()
      #expect(problems.isEmpty, "seed \(seed), kill \(round): \(problems.prefix(5).joined(separator: "; "))")
      guard problems.isEmpty else { return }
    }
    print("kill tests: \(world.summary)")
    #expect(world.acknowledgedCalls > kills, "the load must get through")
    #expect(world.flushes > 0 && world.compactions > 0, "kills must meet flushes and merges")
    // A graph search is approximate; of records that it should find at distance 0 it may miss very few.
    #expect(world.foundByGraph * 100 >= world.soughtByGraph * 98, "\(world.summary)")

    #expect(try await world.node.stop(SIGTERM) == 0)
    try await world.start()
    #expect(try await world.check().isEmpty, "seed \(seed), after a graceful stop")
    #expect(try await world.node.stop(SIGTERM) == 0)
    let verify = try await RoostProcess.run(
      ["verify", "--folder", "data/collections/\(KillWorld.collection)", "--json"], folder: world.node.folder)
    #expect(try verify.json()["problems"] == .array([]))
  }
}
