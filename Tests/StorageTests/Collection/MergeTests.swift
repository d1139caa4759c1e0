// Changes with versions, merged in any order and more than once, leave what the newest of each record says.

import Core
import Testing

@testable import Storage

@Suite struct MergeTests {
  @Test(arguments: 0..<4) func anyOrderLeavesTheNewest(_ seed: UInt64) throws {
    var random = SplitMix64(seed: seed)
    var changes: [VersionedChange] = []
    var newest: [RecordID: (version: Version, value: Int?)] = [:]
    for step in 1...150 {
      let id = RecordID.number(UInt64.random(in: 0..<20, using: &random))
      let version = Version(time: UInt64(step) << 16, node: UInt32.random(in: 0..<3, using: &random))
      let isPut = Int.random(in: 0..<3, using: &random) > 0
      let vector = Vector([Float(step), 1, 2, 3])
      changes.append(
        VersionedChange(
          isPut
            ? .put(PutRecord(id: id, vector: vector, payload: Payload(["n": .int(Int64(step))])))
            : .delete(id),
          version: version))
      newest[id] = (version, isPut ? step : nil)
    }
    var order = (changes + changes.prefix(60)).shuffled(using: &random)
    let world = CrashWorld(seed: seed, disk: CrashWorld.freshDisk(seed: seed, faults: .none))
    var batches: [[VersionedChange]] = []
    while !order.isEmpty {
      let count = min(order.count, Int.random(in: 1...9, using: &random))
      batches.append(Array(order.prefix(count)))
      order.removeFirst(count)
    }
    let (all, ids) = (batches, Array(newest.keys))
    var options = CrashWorld.options
    options.tombstones = .upTo { .zero }
    let keeping = options
    let found = try world.executor.run { () async throws -> [Record?] in
      let collection = try await Collection.create(
        CrashWorld.path, schema: CrashWorld.schema, options: keeping, runtime: world.runtime)
      for (index, batch) in all.enumerated() {
        try await collection.merge(batch)
        if index == all.count / 2 { try await collection.flush() }
      }
      try await collection.close()
      let again = try await Collection.open(
        CrashWorld.path, options: keeping, runtime: world.runtime)
      let records = try await again.get(ids)
      // What is written now is newer than all of it.
      let version = try await again.put([PutRecord(id: ids[0], vector: Vector([1, 2, 3, 4] as [Float]))])[0]
      #expect(version > Version(time: 150 << 16, node: 0))
      #expect(try await again.deleteVersioned([ids[0]]).versions[0] > version)
      try await again.close()
      return records
    }
    for (id, record) in zip(ids, found) {
      let expected = newest[id]
      #expect(
        record?.version == expected.flatMap { $0.value == nil ? nil : $0.version }, "seed \(seed), \(id)")
      #expect(record?.payload["n"] == expected?.value.map { .int(Int64($0)) }, "seed \(seed), \(id)")
    }
  }
}
