// A segment that is written and then finds no place in the manifest must not stay behind.

import Core
import Storage
import Testing

@Suite struct FailedInstallTests {
  private static func segments(_ disk: MemoryDisk) -> [String] {
    disk.filePaths.filter { $0.hasSuffix(".seg") }
  }

  @Test(arguments: [FaultPlan.Fault.noSpace, .tornWrite])
  func failedFlushesAndMergesLeaveNoFiles(_ fault: FaultPlan.Fault) throws {
    let disk = CrashWorld.freshDisk(seed: 3, faults: .none)
    let world = CrashWorld(seed: 3, disk: disk)
    var options = CrashWorld.options
    options.compactsAutomatically = false
    let settings = options
    try world.executor.run { () async throws in
      let collection = try await Collection.create(
        CrashWorld.path, schema: CrashWorld.schema, options: settings, runtime: world.runtime)
      var random = SplitMix64(seed: 3)
      func put(_ ids: Range<UInt64>) async throws {
        _ = try await collection.put(ids.map { random.record(.number($0), CrashWorld.schema) })
      }
      try await put(0..<8)
      try await collection.flush()
      try await put(8..<16)
      let before = Self.segments(disk)
      disk.setFaults(FaultPlan([FaultPlan.Rule(fault, .from(0), pathContains: "MANIFEST")]))
      for _ in 0..<4 {
        await #expect(throws: RoostError.self) { try await collection.flush() }
        #expect(Self.segments(disk) == before)
      }
      disk.setFaults(.none)
      try await collection.flush()
      #expect(Self.segments(disk).count == before.count + 1)
      let flushed = Self.segments(disk)
      disk.setFaults(FaultPlan([FaultPlan.Rule(fault, .from(0), pathContains: "MANIFEST")]))
      for _ in 0..<4 {
        await #expect(throws: RoostError.self) { try await collection.compact() }
        #expect(Self.segments(disk) == flushed)
      }
      disk.setFaults(.none)
      try await collection.compact()
      #expect(Self.segments(disk).count == 1)
      #expect(try await collection.count() == 16)
      try await collection.close()
    }
  }
}
