// Two callers may put one record at a time, and the one with the older version may reach the log last.

import Core
import Testing

@testable import Storage

@Suite struct LastWriterTests {
  @Test func aFlushCoversCallsThatChangedNothing() throws {
    let world = CrashWorld(seed: 1, disk: CrashWorld.freshDisk(seed: 1, faults: .none))
    let id = RecordID.key("apple")
    try world.executor.run {
      let collection = try await Collection.create(
        CrashWorld.path, schema: CrashWorld.schema, options: CrashWorld.options, runtime: world.runtime)
      let vector = Vector([1, 2, 3, 4] as [Float])
      _ = try await collection.put([PutRecord(id: id, vector: vector)])
      let outcome = try await collection.commit([.delete(id: id, version: Version(time: 1, node: 0))])
      #expect(outcome.deleted == 0)
      try await collection.flush()
      _ = try await collection.put([PutRecord(id: .key("lime"), vector: vector)])
      try await collection.close()
    }
    try world.executor.run {
      let collection = try await Collection.open(
        CrashWorld.path, options: CrashWorld.options, runtime: world.runtime)
      #expect(try await collection.get([id, .key("lime")]).allSatisfy { $0 != nil })
      try await collection.close()
    }
  }
}
