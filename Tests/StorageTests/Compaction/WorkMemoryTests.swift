// Flush and merge keep to their memory, whatever the size of the data: counted, not measured.

import Core
import Foundation
import Testing

@testable import Storage

@Suite struct WorkMemoryTests {
  @Test func countsAndSpills() async throws {
    let disk = MemoryDisk(seed: 1, directories: ["/d"])
    let work = WorkMemory(limit: 1000, directory: "/d", files: disk)
    var first: AnonymousMemory? = try await work.block(600)
    let second = try await work.block(400)
    #expect(work.usage == WorkMemory.Usage(bytes: 1000, peakBytes: 1000, spilledBytes: 0))
    #expect(disk.changeCount == 0)
    let third = try await work.block(1)
    #expect(work.usage == WorkMemory.Usage(bytes: 1000, peakBytes: 1000, spilledBytes: 1))
    #expect(disk.changeCount == 1)
    first?.base.storeBytes(of: 7, as: UInt8.self)
    first = nil
    #expect(work.usage.bytes == 400)
    let fourth = try await work.block(500)
    #expect(fourth.base.load(as: UInt8.self) == 0)
    #expect(work.usage == WorkMemory.Usage(bytes: 900, peakBytes: 1000, spilledBytes: 1))
    disk.setCapacity(10)
    await #expect(throws: RoostError.self) { _ = try await work.block(2000) }
    withExtendedLifetime((second, third, fourth)) {}
  }

  @Test func tablesBeginEmpty() async throws {
    let work = WorkMemory(limit: 1000, directory: "/d", files: MemoryFiles())
    let table = try await work.table(4)
    table[2] = 9
    #expect((0..<4).map { table[$0] } == [RowTable.none, RowTable.none, 9, RowTable.none])
  }

  @Test func scratchFilesAreZeroAndLeaveNothing() async throws {
    let folder = TemporaryFolder()
    let files = try Runtime.system().files
    let block = try await files.makeScratch(folder.path + "/work-1.tmp", count: 100_000)
    #expect(UnsafeRawBufferPointer(start: block.base, count: block.count).allSatisfy { $0 == 0 })
    block.base.storeBytes(of: 42, toByteOffset: 99_999, as: UInt8.self)
    #expect(block.base.load(fromByteOffset: 99_999, as: UInt8.self) == 42)
    #expect(try await files.list(folder.path).isEmpty)
    await #expect(throws: RoostError.self) {
      _ = try await files.makeScratch(folder.path + "/work-2.tmp", count: 1 << 60)
    }
    #expect(try await files.list(folder.path).isEmpty)
    await #expect(throws: RoostError.self) {
      _ = try await files.makeScratch(folder.path + "/none/work.tmp", count: 1)
    }
  }

  private static let schema = CollectionSchema(dimension: 16, degree: 32, buildEffort: 40)

  /// Fills several segments with overwritten and deleted rows among them.
  private static func fill(_ collection: Collection, count: Int) async throws {
    for round in 0..<4 {
      var random = SplitMix64(seed: UInt64(round))
      for first in stride(from: 0, to: count, by: 500) {
        _ = try await collection.put(
          (first..<min(first + 500, count)).map { index in
            random.record(.number(UInt64(round * count / 2 + index)), schema)
          })
      }
      _ = try await collection.delete((0..<50).map { .number(UInt64(round * count / 2 + $0)) })
      try await collection.flush()
    }
  }

  /// The share of the ten nearest that the graph finds.
  private static func recall(_ collection: Collection) async throws -> Double {
    var random = SplitMix64(seed: 99)
    var found = 0
    for _ in 0..<50 {
      var query = SearchQuery(target: .vector(random.vector(schema)), k: 10, effort: 100)
      let near = Set(try await collection.search(query).map(\.id))
      query.exact = true
      found += try await collection.search(query).reduce(0) { $0 + (near.contains($1.id) ? 1 : 0) }
    }
    return Double(found) / 500
  }

  @Test(arguments: [64 << 10, 256 << 10, 1 << 30])
  func mergesKeepToIt(memoryBytes: Int) async throws {
    let folder = TemporaryFolder()
    let options = StorageOptions(memoryBytes: memoryBytes, compactsAutomatically: false)
    let collection = try await Collection.create(
      folder.path + "/c", schema: Self.schema, options: options, runtime: .system())
    try await Self.fill(collection, count: 600)
    let before = try await collection.count()
    try await collection.compact()
    let usage = collection.status.withLock { $0.lastWork }
    #expect(usage.peakBytes <= options.workMemoryBytes && usage.peakBytes > 0)
    // 1,500 rows take over 350 KiB.
    #expect((usage.spilledBytes > 0) == (memoryBytes < 1 << 20))
    #expect(usage.spilledBytes + usage.peakBytes > 350 << 10)
    #expect(await collection.stats().segments == 1)
    #expect(try await collection.count() == before)
    let recall = try await Self.recall(collection)
    #expect(recall > 0.97, "recall@10 \(recall) with \(memoryBytes) bytes")
    try await collection.close()
    #expect(try await Collection.verify(folder.path + "/c", runtime: .system()).isSound)
    let names = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/c")
    #expect(!names.contains { $0.hasSuffix(".tmp") })
  }

  @Test func aFullDiskFailsTheMergeAndHeals() throws {
    let world = CrashWorld(seed: 1, disk: CrashWorld.freshDisk(seed: 1, faults: .none))
    let options = StorageOptions(memoryBytes: 4096, compactsAutomatically: false)
    try world.executor.run {
      let collection = try await Collection.create(
        CrashWorld.path, schema: Self.schema, options: options, runtime: world.runtime)
      try await Self.fill(collection, count: 60)
      let before = try await collection.scan(limit: 1000)
      world.disk.setFaults(FaultPlan([FaultPlan.Rule(.noSpace, .from(0), pathContains: "work-")]))
      await #expect(throws: RoostError.self) { try await collection.compact() }
      #expect(await collection.stats().segments == 4)
      world.disk.setFaults(.none)
      try await collection.compact()
      #expect(await collection.stats().segments == 1)
      #expect(try await collection.scan(limit: 1000).map(\.id) == before.map(\.id))
      try await collection.close()
    }
  }

  @Test func closingStopsAMerge() async throws {
    let folder = TemporaryFolder()
    let options = StorageOptions(compactsAutomatically: false)
    let path = folder.path + "/c"
    let collection = try await Collection.create(
      path, schema: Self.schema, options: options, runtime: .system())
    try await Self.fill(collection, count: 1000)
    let before = try await collection.count()
    let compaction = Task { try await collection.compact() }
    while await collection.stats().maintenance?.kind != .merge { await Task.yield() }
    try await collection.close()
    let result = await compaction.result
    #expect(throws: RoostError.self) { try result.get() }
    let reopened = try await Collection.open(path, options: options, runtime: .system())
    #expect(await reopened.stats().segments == 4)
    #expect(try await reopened.count() == before)
    try await reopened.close()
  }
}
