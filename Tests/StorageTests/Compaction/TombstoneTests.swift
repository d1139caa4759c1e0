// A deleted record never comes back: an older write loses against a tombstone, through flush, merge, crash and
// reopening, until the policy says that no older write can come any more.

import Core
import Synchronization
import Testing

@testable import Storage

@Suite struct TombstoneTests {
  private static let apple = RecordID.key("apple")

  /// A version that the tests may move.
  private final class Limit: Sendable {
    private let value = Mutex(Version.zero)
    var version: Version {
      get { value.withLock { $0 } }
      set { value.withLock { $0 = newValue } }
    }
  }

  private static func options(_ policy: TombstonePolicy, automatic: Bool = false) -> StorageOptions {
    // Little memory, so that the work goes through scratch files.
    StorageOptions(
      memoryBytes: 1024, memtableRows: 12, memtableEntryBytes: 4096, segmentsPerTier: 2,
      compactsAutomatically: automatic,
      tombstones: policy)
  }

  private static func version(_ time: Int) -> Version { Version(time: UInt64(time) << 16, node: 1) }

  private static func put(_ id: RecordID, _ time: Int) throws -> WriteOperation {
    .put(
      id: id, version: version(time),
      vectors: try CrashWorld.schema.storedVectors(RecordVectors(Vector([Float(time), 1, 2, 3]))),
      payload: try Payload(["v": .int(Int64(time))]).validatedEncoding())
  }

  private static func value(_ record: Record?) -> Int? {
    guard let record, case .int(let value)? = record.payload["v"] else { return nil }
    return Int(value)
  }

  private static func create(_ world: CrashWorld, _ options: StorageOptions) async throws -> Collection {
    try await Collection.create(
      CrashWorld.path, schema: CrashWorld.schema, options: options, runtime: world.runtime)
  }

  private static func open(_ world: CrashWorld, _ options: StorageOptions) async throws -> Collection {
    try await Collection.open(CrashWorld.path, options: options, runtime: world.runtime)
  }

  // MARK: examples

  @Test func anOldPutLosesAfterFlushMergeAndReopening() throws {
    let world = CrashWorld(seed: 1, disk: CrashWorld.freshDisk(seed: 1, faults: .none))
    let options = Self.options(.upTo { .zero })
    try world.executor.run {
      var collection = try await Self.create(world, options)
      _ = try await collection.commit([Self.put(Self.apple, 5)])
      try await collection.flush()
      let outcome = try await collection.commit([.delete(id: Self.apple, version: Self.version(7))])
      #expect(outcome.deleted == 1)
      for step in 0..<4 {
        switch step {
        case 1: try await collection.flush()
        case 2: try await collection.compact()
        case 3:
          try await collection.close()
          #expect(try await Collection.verify(CrashWorld.path, runtime: world.runtime).isSound)
          collection = try await Self.open(world, options)
        default: break
        }
        _ = try await collection.commit([Self.put(Self.apple, 6)])
        #expect(try await collection.get([Self.apple])[0] == nil, "step \(step)")
        #expect(await collection.stats().tombstones == 1)
      }
      _ = try await collection.commit([Self.put(Self.apple, 8)])
      #expect(Self.value(try await collection.get([Self.apple])[0]) == 8)
      try await collection.compact()
      // The newer row stands in for it.
      #expect(await collection.stats().tombstones == 0)
      _ = try await collection.commit([Self.put(Self.apple, 6)])
      #expect(Self.value(try await collection.get([Self.apple])[0]) == 8)
      try await collection.close()
    }
  }

  @Test func aTombstoneGoesWhenThePolicyAllows() throws {
    let world = CrashWorld(seed: 2, disk: CrashWorld.freshDisk(seed: 2, faults: .none))
    let limit = Limit()
    try world.executor.run {
      let collection = try await Self.create(world, Self.options(.upTo { limit.version }))
      for time in 1...6 {
        _ = try await collection.commit([
          .delete(id: .number(UInt64(time)), version: Self.version(time))
        ])
      }
      for kept in stride(from: 6, through: 0, by: -2) {
        limit.version = Self.version(6 - kept)
        try await collection.compact()
        #expect(await collection.stats().tombstones == kept)
      }
      #expect(await collection.stats().segments == 0)
      try await collection.close()
    }
  }

  @Test func aNodeAloneForgetsWhatItsSegmentsNoLongerHold() throws {
    let world = CrashWorld(seed: 3, disk: CrashWorld.freshDisk(seed: 3, faults: .none))
    try world.executor.run {
      let collection = try await Self.create(world, Self.options(.whenUnneeded))
      let vector = Vector([1, 2, 3, 4] as [Float])
      _ = try await collection.put([PutRecord(id: Self.apple, vector: vector)])
      _ = try await collection.put([PutRecord(id: .key("lime"), vector: vector)])
      try await collection.flush()
      let old = collection.published.withLock { $0.segments }
      _ = try await collection.delete([Self.apple])
      try await collection.flush()
      // The row is in a segment that the merge leaves alone.
      await collection.maintenanceLock.acquire()
      try await collection.merge(
        collection.published.withLock { $0.segments }.filter { $0 !== old[0] })
      collection.maintenanceLock.release()
      #expect(await collection.stats().tombstones == 1)
      try await collection.compact()
      #expect(await collection.stats().tombstones == 0)
      #expect(try await collection.count() == 1)
      try await collection.close()
    }
  }

  /// A refused put that no flush covers is replayed after a crash; the tombstone must still be there.
  @Test func aTombstoneStaysWhileARefusedWriteCouldBeReplayed() throws {
    let world = CrashWorld(seed: 4, disk: CrashWorld.freshDisk(seed: 4, faults: .none))
    let options = Self.options(.whenUnneeded)
    try world.executor.run {
      let collection = try await Self.create(world, options)
      _ = try await collection.commit([.delete(id: Self.apple, version: Self.version(7))])
      try await collection.flush()
      _ = try await collection.commit([Self.put(Self.apple, 6)])
      await collection.maintenanceLock.acquire()
      try await collection.merge(collection.published.withLock { $0.segments })
      collection.maintenanceLock.release()
    }
    world.disk.crash()
    let next = CrashWorld(seed: 5, disk: world.disk.afterCrash(.nothing))
    try next.executor.run {
      let collection = try await Self.open(next, options)
      #expect(try await collection.get([Self.apple])[0] == nil)
      try await collection.close()
    }
  }

  // MARK: against a model

  private struct Model {
    /// The newest write of each id: its version, and whether it is a put.
    var newest: [RecordID: (time: Int, isPut: Bool)] = [:]

    mutating func write(_ id: RecordID, _ time: Int, isPut: Bool) {
      if let known = newest[id], known.time >= time { return }
      newest[id] = (time, isPut)
    }
  }

  /// Writes with versions in any order, except that none is older than what the policy has let go.
  @Test(arguments: 1...12 as ClosedRange<UInt64>) func matchesAModel(seed: UInt64) async throws {
    try await onOwnThread {
      let world = CrashWorld(seed: seed, disk: CrashWorld.freshDisk(seed: seed, faults: .none))
      let limit = Limit()
      let options = Self.options(.upTo { limit.version }, automatic: seed % 2 == 0)
      try world.executor.run {
        var random = SplitMix64(seed: seed)
        var model = Model()
        var floor = 0
        var collection = try await Self.create(world, options)
        for step in 1...150 {
          switch random.below(20) {
          case 0: try await collection.flush()
          case 1: try await collection.compact()
          case 2:
            try await collection.close()
            collection = try await Self.open(world, options)
          case 3:
            floor += random.below(20)
            limit.version = Self.version(floor)
          default:
            var operations: [WriteOperation] = []
            for _ in 0...random.below(3) {
              let id = RecordID.number(UInt64(random.below(16)))
              let time = floor + 1 + random.below(60)
              // Versions are unique.
              if model.newest[id]?.time == time { continue }
              let isPut = random.below(2) == 0
              operations.append(isPut ? try Self.put(id, time) : .delete(id: id, version: Self.version(time)))
              model.write(id, time, isPut: isPut)
            }
            if !operations.isEmpty { _ = try await collection.commit(operations) }
          }
          let ids = (0..<16).map { RecordID.number(UInt64($0)) }
          let records = try await collection.get(ids)
          for (id, record) in zip(ids, records) {
            let known = model.newest[id]
            let expected = known?.isPut == true ? known?.time : nil
            guard Self.value(record) == expected else {
              throw Finding(
                description:
                  "seed \(seed), step \(step): \(id.text) is \(String(describing: Self.value(record))), "
                  + "the newest write is \(String(describing: known))")
            }
          }
        }
        try await collection.close()
      }
      guard world.executor.strayJobs == 0 else { throw Finding(description: "the run cannot be repeated") }
    }
  }

  // MARK: crashes

  /// Power is lost at every change of the disk; a delete that was acknowledged wins ever after.
  @Test func anOldPutLosesWhereverPowerIsLost() async throws {
    try await onOwnThread {
      let options = Self.options(.upTo { .zero }, automatic: true)
      for change in 0... {
        let world = CrashWorld(
          seed: UInt64(change), disk: CrashWorld.freshDisk(seed: UInt64(change), faults: .crashAt(change)))
        let isDeleted = Limit()
        try world.executor.run {
          do {
            let collection = try await Self.create(world, options)
            _ = try await collection.commit([Self.put(Self.apple, 5), Self.put(.key("lime"), 5)])
            try await collection.flush()
            _ = try await collection.commit([.delete(id: Self.apple, version: Self.version(7))])
            isDeleted.version = Self.version(7)
            _ = try await collection.commit([Self.put(Self.apple, 6)])
            try await collection.flush()
            _ = try await collection.commit([Self.put(Self.apple, 6)])
            try await collection.compact()
            _ = try await collection.commit([Self.put(.key("lime"), 9)])
            try await collection.close()
          } catch {}
        }
        world.executor.runUntilIdle()
        if !world.disk.hasCrashed {
          #expect(change > 20)
          return
        }
        guard isDeleted.version != .zero else { continue }
        let survival: Survival = [.nothing, .everything, .seed(UInt64(change))][change % 3]
        let after = CrashWorld(seed: 1, disk: world.disk.afterCrash(survival))
        let found = try after.executor.run {
          let collection = try await Self.open(after, options)
          _ = try await collection.commit([Self.put(Self.apple, 6)])
          let found = try await collection.get([Self.apple])[0]
          try await collection.close()
          return Self.value(found)
        }
        guard found == nil else {
          throw Finding(description: "power loss at change \(change), \(survival): the put of 6 came back")
        }
      }
    }
  }
}
