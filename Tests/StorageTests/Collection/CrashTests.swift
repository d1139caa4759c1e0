// Crash safety, shown: random scenarios on a disk that loses power or fails at every single change.
// ROOST_SEEDS sets how many seeds (default 3), ROOST_FIRST_SEED where they start.

import Core
import Foundation
import Storage
import Testing

@Suite struct CrashTests {
  static let seeds: Range<UInt64> = {
    let environment = ProcessInfo.processInfo.environment
    let first = environment["ROOST_FIRST_SEED"].flatMap { UInt64($0) } ?? 1
    return first..<first + (environment["ROOST_SEEDS"].flatMap { UInt64($0) } ?? 3)
  }()

  /// How many changes the scenario makes on a disk that never fails; also checks it there.
  private func rehearse(_ scenario: CrashScenario) throws -> Int {
    let world = CrashWorld(
      seed: scenario.seed, disk: CrashWorld.freshDisk(seed: scenario.seed, faults: .none))
    var model = CrashModel()
    if let problem = try scenario.run(world, model: &model) {
      throw Finding(description: "seed \(scenario.seed): \(problem)")
    }
    let changes = world.disk.changeCount
    if let problem = try scenario.check(world, model: &model, wholeCalls: true) {
      throw Finding(description: "seed \(scenario.seed): \(problem)")
    }
    guard world.executor.strayJobs == 0 else { throw Finding(description: "the run cannot be repeated") }
    return changes
  }

  @Test func survivesPowerLossAtEveryChange() async throws { try await onOwnThread { try losePower() } }

  private func losePower() throws {
    for seed in Self.seeds {
      let scenario = CrashScenario(seed: seed, steps: 24)
      for change in 0..<(try rehearse(scenario)) {
        let survival: Survival = [.nothing, .everything, .seed(seed &+ UInt64(change))][change % 3]
        let world = CrashWorld(seed: seed, disk: CrashWorld.freshDisk(seed: seed, faults: .crashAt(change)))
        var model = CrashModel()
        let before = try scenario.run(world, model: &model)
        let after = CrashWorld(seed: seed, disk: world.disk.afterCrash(survival))
        let objection = try before ?? scenario.check(after, model: &model, wholeCalls: true)
        // Life goes on after recovery.
        let again = try CrashScenario(seed: seed &+ 1, steps: 8).run(after, model: &model, salt: 1000)
        let final = try again ?? scenario.check(after, model: &model, wholeCalls: true)
        if let problem = objection ?? final {
          throw Finding(description: "seed \(seed), power loss at change \(change), \(survival): \(problem)")
        }
      }
    }
  }

  @Test(arguments: [FaultPlan.Fault.fail, .noSpace, .tornWrite, .failSync])
  func survivesFaultsAtEveryChange(_ fault: FaultPlan.Fault) async throws {
    try await onOwnThread { try failOnce(fault) }
  }

  private func failOnce(_ fault: FaultPlan.Fault) throws {
    for seed in Self.seeds {
      let scenario = CrashScenario(seed: seed, steps: 24)
      for change in 0..<(try rehearse(scenario)) {
        let world = CrashWorld(seed: seed, disk: CrashWorld.freshDisk(seed: seed, faults: .at(change, fault)))
        var model = CrashModel()
        let before = try scenario.run(world, model: &model)
        // The process ends, too; what the kernel had not written is gone or not.
        world.disk.crash()
        let after = CrashWorld(seed: seed, disk: world.disk.afterCrash(.seed(seed &+ UInt64(change))))
        let objection = try before ?? scenario.check(after, model: &model, wholeCalls: false)
        if let objection {
          throw Finding(description: "seed \(seed), \(fault) at change \(change): \(objection)")
        }
      }
    }
  }

  @Test(arguments: [FaultPlan.Fault.fail, .noSpace, .tornWrite, .failSync])
  func survivesPowerLossSomeTimeAfterAFault(_ fault: FaultPlan.Fault) async throws {
    try await onOwnThread { try failOnceThenLosePower(fault) }
  }

  private func failOnceThenLosePower(_ fault: FaultPlan.Fault) throws {
    for seed in Self.seeds {
      let scenario = CrashScenario(seed: seed, steps: 24)
      var random = SplitMix64(seed: seed)
      for change in 0..<(try rehearse(scenario)) {
        let loss = change + 1 + random.below(12)
        let faults = FaultPlan([FaultPlan.Rule(fault, .at(change)), FaultPlan.Rule(.crash, .at(loss))])
        let world = CrashWorld(seed: seed, disk: CrashWorld.freshDisk(seed: seed, faults: faults))
        var model = CrashModel()
        let before = try scenario.run(world, model: &model)
        world.disk.crash()
        let after = CrashWorld(seed: seed, disk: world.disk.afterCrash(.seed(random.next())))
        let objection = try before ?? scenario.check(after, model: &model, wholeCalls: false)
        if let objection {
          throw Finding(
            description: "seed \(seed), \(fault) at change \(change), power loss at \(loss): \(objection)")
        }
      }
    }
  }

  /// After a failed sync, what the kernel shows need not be on the disk; the next opening must not act on it.
  @Test func survivesPowerLossWhileReopeningAfterAFailedSync() async throws {
    try await onOwnThread { try losePowerWhileReopening() }
  }

  private func losePowerWhileReopening() throws {
    for seed in Self.seeds {
      let scenario = CrashScenario(seed: seed, steps: 24)
      var random = SplitMix64(seed: seed)
      for change in 0..<(try rehearse(scenario)) {
        let disk = CrashWorld.freshDisk(seed: seed, faults: .at(change, .failSync))
        var model = CrashModel()
        let before = try scenario.run(CrashWorld(seed: seed, disk: disk), model: &model)
        let loss = random.below(16)
        disk.setFaults(.crashAt(disk.changeCount + loss))
        let reopening = try CrashScenario(seed: seed, steps: 0)
          .run(CrashWorld(seed: seed, disk: disk), model: &model, salt: 500)
        disk.crash()
        let survival: Survival = change % 2 == 0 ? .seed(random.next()) : .nothing
        let after = CrashWorld(seed: seed, disk: disk.afterCrash(survival))
        let objection = try before ?? reopening ?? scenario.check(after, model: &model, wholeCalls: false)
        if let objection {
          Issue.record(
            "seed \(seed), sync failed at change \(change), power loss \(loss) changes into opening: \(objection)"
          )
          return
        }
      }
    }
  }
}
