// A row that a call has killed whose WAL is not durable is still the record's last durable state: neither a
// flush nor a merge may leave it out.

import Core
import Testing

@testable import Storage

@Suite struct UnflushedDeathTests {
  private static let apple = RecordID.key("apple")

  private func open(_ world: CrashWorld, create: Bool) async throws -> Collection {
    let options = StorageOptions(sync: .none, compactsAutomatically: false)
    if create {
      return try await Collection.create(
        CrashWorld.path, schema: CrashWorld.schema, options: options, runtime: world.runtime)
    }
    return try await Collection.open(CrashWorld.path, options: options, runtime: world.runtime)
  }

  private func put(_ collection: Collection, _ id: RecordID, _ value: Int64) async throws {
    _ = try await collection.put([
      PutRecord(
        id: id, vector: Vector([Float(value), 1, 2, 3]), payload: Payload(["value": .int(value)]))
    ])
  }

  /// Loses power after `scenario`, with everything that was not synced, and returns the apple that is left.
  private func survivor(of scenario: @escaping @Sendable (Collection) async throws -> Void) throws -> Value? {
    let world = CrashWorld(seed: 1, disk: CrashWorld.freshDisk(seed: 1, faults: .none))
    try world.executor.run {
      let collection = try await self.open(world, create: true)
      try await scenario(collection)
      let found = try await collection.get([Self.apple])[0]
      #expect(found?.payload["value"] == .int(2))
    }
    world.disk.crash()
    let next = CrashWorld(seed: 2, disk: world.disk.afterCrash(.nothing))
    return try next.executor.run {
      let collection = try await self.open(next, create: false)
      let found = try await collection.get([Self.apple])[0]
      try await collection.close()
      return found?.payload["value"]
    }
  }

  @Test func mergeKeepsThem() throws {
    let value = try survivor { collection in
      try await self.put(collection, Self.apple, 1)
      try await collection.flush()
      try await self.put(collection, .key("lime"), 1)
      try await collection.flush()
      try await self.put(collection, Self.apple, 2)
      await collection.maintenanceLock.acquire()
      try await collection.merge(collection.published.withLock { $0.segments })
      collection.maintenanceLock.release()
      #expect(await collection.stats().segments == 1)
    }
    #expect(value == .int(1))
  }

  @Test func flushKeepsThem() throws {
    let value = try survivor { collection in
      try await self.put(collection, Self.apple, 1)
      await collection.writeLock.acquire()
      try await collection.rotate()
      collection.writeLock.release()
      try await self.put(collection, Self.apple, 2)
      collection.startMaintenance()
      while await collection.stats().sealedMemtables > 0 { await Task.yield() }
      #expect(await collection.stats().segments == 1)
    }
    #expect(value == .int(1))
  }
}
