// What a collection does when things go wrong around it while it runs: full disks, failing merges, cancelled
// callers, a close in the middle of writes. Deterministic where the simulated disk suffices.

import Core
import Storage
import Testing

@Suite struct FailureTests {
  private func world(_ seed: UInt64, latency: Bool = false) -> CrashWorld {
    guard latency else {
      return CrashWorld(seed: seed, disk: CrashWorld.freshDisk(seed: seed, faults: .none))
    }
    return CrashWorld(seed: seed, latencyNanos: 1000...1_000_000)
  }

  private func create(_ world: CrashWorld, _ options: StorageOptions) async throws(RoostError) -> Collection {
    try await Collection.create(
      CrashWorld.path, schema: CrashWorld.schema, options: options, runtime: world.runtime)
  }

  private static func records(_ ids: Range<Int>) -> [PutRecord] {
    var random = SplitMix64(seed: UInt64(ids.lowerBound))
    return ids.map { random.record(.number(UInt64($0)), CrashWorld.schema) }
  }

  private func segmentFiles(_ disk: MemoryDisk) -> Int {
    disk.filePaths.filter { $0.hasSuffix(".seg") }.count
  }

  @Test func closeEndsWritesThatWaitForRoom() throws {
    for seed: UInt64 in 1...60 {
      let world = world(seed, latency: true)
      do {
        try world.executor.run {
          let collection = try await create(world, StorageOptions(memtableRows: 8, segmentsPerTier: 2))
          await withTaskGroup(of: Void.self) { group in
            for writer in 0..<8 {
              group.addTask {
                for round in 0..<12 {
                  let first = (writer * 12 + round) * 4
                  do throws(RoostError) {
                    _ = try await collection.put(Self.records(first..<first + 4))
                  } catch {
                    #expect(error.kind == .unavailable, "seed \(seed): \(error)")
                  }
                }
              }
            }
            group.addTask {
              try? await world.runtime.clock.sleep(nanos: seed * 2_000_000)
              do throws(RoostError) { try await collection.close() } catch { Issue.record(error) }
            }
          }
        }
      } catch { Issue.record("seed \(seed): \(error)") }
    }
  }

  @Test(arguments: [".seg", "MANIFEST"])
  func writesGoOnOnceAFullDiskHasRoomAgain(_ full: String) throws {
    let world = world(3)
    try world.executor.run {
      let collection = try await create(world, CrashWorld.options)
      world.disk.setFaults(FaultPlan([FaultPlan.Rule(.noSpace, .from(0), pathContains: full)]))
      var written = 0
      var refusals = 0
      while refusals < 5 {
        do throws(RoostError) {
          _ = try await collection.put(Self.records(written..<written + 4))
          written += 4
        } catch {
          #expect(error.kind == .noSpace)
          refusals += 1
        }
      }
      #expect(segmentFiles(world.disk) == 0, "a failed flush leaves nothing behind")
      world.disk.setFaults(.none)
      for _ in 0..<20 {
        _ = try await collection.put(Self.records(written..<written + 4))
        written += 4
      }
      try await collection.flush()
      #expect(try await collection.count() == written)
      #expect(await collection.stats().maintenanceFailure == nil)
      try await collection.close()
    }
  }

  @Test func aMergeThatFailsDoesNotStopWrites() throws {
    let world = world(4, latency: true)
    try world.executor.run {
      var collection = try await create(world, CrashWorld.options)
      _ = try await collection.put(Self.records(0..<12))
      try await collection.flush()
      try await collection.close()
      let segment = try #require(world.disk.filePaths.first { $0.hasSuffix(".seg") })
      world.disk.corrupt(segment, offset: 10, bit: 3)
      collection = try await Collection.open(
        CrashWorld.path, options: CrashWorld.options, runtime: world.runtime)
      let opened = collection
      await withTaskGroup(of: Void.self) { group in
        for writer in 1...6 {
          group.addTask {
            for round in 0..<20 {
              let first = writer * 1000 + round * 4
              do throws(RoostError) { _ = try await opened.put(Self.records(first..<first + 4)) } catch {
                Issue.record(error)
                return
              }
            }
          }
        }
      }
      // Until the merges have caught up with the writes.
      while await collection.stats().maintenanceFailure == nil {
        try await world.runtime.clock.sleep(nanos: 10_000_000)
      }
      #expect(await collection.stats().maintenanceFailure?.kind == .corrupted)
      #expect(try await collection.count() == 12 + 6 * 20 * 4)
    }
  }

  @Test func steadyWritesDoNotPutMergesOff() throws {
    let world = world(11, latency: true)
    try world.executor.run {
      let collection = try await create(world, CrashWorld.options)
      try await withThrowingTaskGroup(of: Void.self) { group in
        for writer in 0..<6 {
          group.addTask {
            for round in 0..<25 {
              let first = writer * 1000 + round * 4
              _ = try await collection.put(Self.records(first..<first + 4))
            }
          }
        }
        try await group.waitForAll()
      }
      #expect(await collection.stats().segments <= 24)
      try await collection.close()
    }
  }

  @Test func segmentsStayBelowTheirLimitWithoutAutomaticMerges() throws {
    let world = world(13)
    try world.executor.run {
      let collection = try await create(world, StorageOptions(memtableRows: 4, compactsAutomatically: false))
      for first in 0..<Limits.segmentsMax / 2 + 8 {
        _ = try await collection.put(Self.records(first..<first + 1))
        try await collection.flush()
      }
      #expect(await collection.stats().segments <= Limits.segmentsMax / 2)
      #expect(try await collection.count() == Limits.segmentsMax / 2 + 8)
      try await collection.close()
    }
  }

  @Test func deletesOfWhatIsNotThereAreFlushed() throws {
    let world = world(5)
    try world.executor.run {
      let collection = try await create(world, CrashWorld.options)
      for id: UInt64 in 0..<500 { #expect(try await collection.delete([.number(id)]) == 0) }
      let stats = await collection.stats()
      #expect(stats.flushes > 10)
      #expect(stats.walBytes < 4096)
      try await collection.close()
    }
  }

  @Test func anIntervalBoundsWhatAPowerLossTakes() throws {
    let world = world(6)
    var options = CrashWorld.options
    options.sync = .interval(milliseconds: 50)
    let chosen = options
    try world.executor.run {
      let collection = try await create(world, chosen)
      _ = try await collection.put(Self.records(0..<2))
      try await world.runtime.clock.sleep(nanos: 60_000_000)
      _ = try await collection.put(Self.records(2..<4))
      try await world.runtime.clock.sleep(nanos: 60_000_000)
      _ = try await collection.put(Self.records(4..<6))
    }
    let after = CrashWorld(seed: 7, disk: world.disk.afterCrash(.nothing))
    try after.executor.run {
      let collection = try await Collection.open(
        CrashWorld.path, options: CrashWorld.options, runtime: after.runtime)
      #expect(try await collection.count() == 4)
    }
  }

  @Test func aLostLogIsNoticed() throws {
    let world = world(8)
    try world.executor.run {
      let collection = try await create(world, CrashWorld.options)
      _ = try await collection.put(Self.records(0..<2))
    }
    let disk = world.disk.afterCrash(.everything)
    let after = CrashWorld(seed: 9, disk: disk)
    try after.executor.run {
      let log = try #require(disk.filePaths.first { $0.hasSuffix(".wal") })
      try await disk.remove(log)
      do throws(RoostError) {
        _ = try await Collection.open(CrashWorld.path, options: CrashWorld.options, runtime: after.runtime)
        Issue.record("opened although \(log) is gone")
      } catch { #expect(error.kind == .corrupted && error.place.contains(log)) }
    }
  }

  @Test func aFolderThatLostCurrentIsKept() throws {
    let world = world(10)
    try world.executor.run {
      let collection = try await create(world, CrashWorld.options)
      _ = try await collection.put(Self.records(0..<2))
      try await collection.close()
      try await world.disk.remove(CrashWorld.path + "/CURRENT")
      let before = world.disk.filePaths
      do throws(RoostError) {
        _ = try await create(world, CrashWorld.options)
        Issue.record("created over the files of a collection")
      } catch { #expect(error.kind == .corrupted) }
      #expect(world.disk.filePaths == before)
    }
  }

  @Test func aRemovalThatPowerLossCutsShortCanBeFinished() throws {
    for change in 0..<12 {
      for seed: UInt64 in 0..<8 {
        let world = world(seed)
        try world.executor.run {
          let collection = try await create(world, CrashWorld.options)
          _ = try await collection.put(Self.records(0..<13))
          try await collection.flush()
          _ = try await collection.put(Self.records(20..<22))
          try await collection.close()
          world.disk.setFaults(.crashAt(world.disk.changeCount + change))
          do throws(RoostError) { try await Collection.destroy(CrashWorld.path, files: world.disk) } catch {}
        }
        world.disk.crash()
        let disk = world.disk.afterCrash(.seed(seed))
        try CrashWorld(seed: seed, disk: disk).executor.run {
          guard try await disk.exists(CrashWorld.path) else { return }
          if try await !Collection.exists(CrashWorld.path, files: disk) {
            try await Collection.requireUnfinished(CrashWorld.path, files: disk)
          }
          try await Collection.destroy(CrashWorld.path, files: disk)
        }
      }
    }
  }

  /// A caller that gives up, as at a deadline, must not leave rows that no search finds.
  @Test func cancelledCareLeavesEveryRowInReach() async throws {
    let folder = TemporaryFolder()
    let schema = CollectionSchema(dimension: 16)
    let collection = try await Collection.create(
      folder.path + "/c", schema: schema,
      options: StorageOptions(memtableRows: 4000, compactsAutomatically: false), runtime: .system())
    var random = SplitMix64(seed: 12)
    var records: [PutRecord] = []
    for part in 0..<4 {
      let batch = (0..<600).map { random.record(.number(UInt64(part * 600 + $0)), schema) }
      _ = try await collection.put(batch)
      _ = try await collection.delete(batch[..<40].map(\.id))
      records += batch[40...]
      await cancelled { () async throws(RoostError) in try await collection.flush() }
    }
    await cancelled { () async throws(RoostError) in try await collection.compact() }
    var found = 0
    for record in records {
      let hits = try await collection.search(SearchQuery(target: .vector(record.vector!), k: 1, effort: 64))
      if hits.first?.id == record.id { found += 1 }
    }
    #expect(Double(found) >= 0.99 * Double(records.count), "\(found) of \(records.count)")
    try await collection.close()
  }

  private func cancelled(_ body: @escaping @Sendable () async throws(RoostError) -> Void) async {
    let gate = Task { try? await Task.sleep(nanoseconds: 10_000_000_000) }
    let task = Task {
      await gate.value
      do throws(RoostError) { try await body() } catch { #expect(error.kind == .cancelled) }
    }
    task.cancel()
    gate.cancel()
    await task.value
  }

  /// Calls that race for one id must leave a log that recovery reads to the same end.
  @Test func writersOfOneRecordAgreeAfterReopening() async throws {
    let folder = TemporaryFolder()
    let schema = CollectionSchema(dimension: 4)
    let options = StorageOptions(memtableRows: 64, compactsAutomatically: false)
    var collection = try await Collection.create(
      folder.path + "/c", schema: schema, options: options, runtime: .system())
    for round in 0..<20 {
      let opened = collection
      await withTaskGroup(of: Void.self) { group in
        for writer in 0..<8 {
          group.addTask {
            var random = SplitMix64(seed: UInt64(writer))
            for _ in 0..<12 {
              let id = RecordID.number(UInt64(random.below(2)))
              do throws(RoostError) {
                if writer % 2 == 0 {
                  _ = try await opened.put([random.record(id, schema)])
                } else {
                  _ = try await opened.delete([id])
                }
              } catch { Issue.record(error) }
            }
          }
        }
      }
      if round % 2 == 0 { try await collection.flush() }
      let before = try await collection.scan(limit: 10)
      try await collection.close()
      collection = try await Collection.open(folder.path + "/c", options: options, runtime: .system())
      let after = try await collection.scan(limit: 10)
      #expect(before.map(\.version) == after.map(\.version))
    }
    try await collection.close()
  }
}
