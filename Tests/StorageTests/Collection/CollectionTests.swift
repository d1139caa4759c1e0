// A collection on the real ring and real files: what it stores, finds, keeps and refuses.

import Core
import Storage
import Testing

@Suite struct CollectionTests {
  static let small = StorageOptions(memtableRows: 128, memtableEntryBytes: 1 << 20)

  @Test(arguments: vectorPairs)
  func exactSearchIsExactAndGraphSearchIsClose(_ element: VectorElement, _ metric: Metric) async throws {
    let folder = TemporaryFolder()
    let schema = CollectionSchema(dimension: 24, element: element, metric: metric)
    let collection = try await Collection.create(
      folder.path + "/c", schema: schema, options: Self.small, runtime: .system())
    var random = SplitMix64(seed: 11)
    var records: [RecordID: PutRecord] = [:]
    for _ in 0..<12 {
      let batch = (0..<60).map { _ in random.record(.number(UInt64(random.below(500))), schema) }
      _ = try await collection.put(batch)
      for record in batch { records[record.id] = record }
      let doomed = (0..<5).map { _ in RecordID.number(UInt64(random.below(500))) }
      let expected = Set(doomed.filter { records[$0] != nil })
      #expect(try await collection.delete(doomed) == expected.count)
      for id in doomed { records[id] = nil }
    }
    var hits = 0
    let queries = 20
    for round in 0..<queries {
      if round == 10 { try await collection.compact() }
      let query = random.vector(schema)
      let expected = records.values
        .map { (distance: referenceDistance($0.vector!, query, metric), id: $0.id) }
        .sorted { $0.distance < $1.distance }.prefix(10)
      let exact = try await collection.search(SearchQuery(target: .vector(query), k: 10, exact: true))
      #expect(exact.count == 10)
      for (hit, best) in zip(exact, expected) {
        let tolerance = max(1e-4, abs(best.distance) * 1e-5)
        #expect(abs(Double(hit.distance) - best.distance) <= tolerance)
        #expect(hit.payload == records[hit.id]?.payload)
      }
      let walked = try await collection.search(SearchQuery(target: .vector(query), k: 10, effort: 100))
      // Hamming distances are few, so another record may be as near.
      hits += walked.count { $0.distance <= (exact.last?.distance ?? 0) }
    }
    #expect(Double(hits) / Double(queries * 10) >= 0.95)
    #expect(try await collection.count() == records.count)
    try await collection.close()
  }

  @Test func filtersAreCorrectAtEverySelectivity() async throws {
    let folder = TemporaryFolder()
    let schema = CollectionSchema(dimension: 8)
    let collection = try await Collection.create(
      folder.path + "/c", schema: schema, options: StorageOptions(memtableRows: 3000), runtime: .system())
    var random = SplitMix64(seed: 5)
    let records = (0..<10_000).map { random.record(.number(UInt64($0)), schema) }
    for start in stride(from: 0, to: records.count, by: 1000) {
      _ = try await collection.put(Array(records[start..<start + 1000]))
    }
    for limit: Int64 in [0, 1, 10, 100, 500, 999] {
      let filter = Filter.field("size", .range(FilterRange(upper: .exclusive(.int(limit)))))
      let passing = records.filter { record in
        if case .int(let size)? = record.payload["size"] { size < limit } else { false }
      }
      #expect(try await collection.count(filter: filter) == passing.count)
      let query = random.vector(schema)
      let expected = passing.map { referenceDistance($0.vector!, query, .l2) }.sorted().prefix(10)
      for exact in [false, true] {
        let hits = try await collection.search(
          SearchQuery(target: .vector(query), k: 10, effort: 200, exact: exact, filter: filter))
        #expect(hits.count == expected.count)
        let found = zip(hits, expected).filter { abs(Double($0.distance) - $1) < 1e-4 }.count
        #expect(exact ? found == expected.count : Double(found) >= 0.9 * Double(expected.count))
      }
    }
    try await collection.close()
  }

  @Test func reopensWithEverythingInPlace() async throws {
    let folder = TemporaryFolder()
    let path = folder.path + "/c"
    let schema = CollectionSchema(dimension: 4, metric: .cosine)
    var random = SplitMix64(seed: 3)
    var model: [RecordID: Payload] = [:]
    for round in 0..<4 {
      let collection =
        round == 0
        ? try await Collection.create(path, schema: schema, options: Self.small, runtime: .system())
        : try await Collection.open(path, options: Self.small, runtime: .system())
      #expect(await collection.stats().recovery.wasClean)
      #expect(try await collection.count() == model.count)
      for _ in 0..<30 {
        let batch = (0..<20).map { _ in random.record(.key("k\(random.below(400))"), schema) }
        _ = try await collection.put(batch)
        for record in batch { model[record.id] = record.payload }
        let id = RecordID.key("k\(random.below(400))")
        _ = try await collection.delete([id])
        model[id] = nil
      }
      let scanned = try await collection.scan(limit: 1000)
      #expect(scanned.map(\.id) == model.keys.sorted())
      #expect(scanned.allSatisfy { $0.payload == model[$0.id] })
      try await collection.close()
    }
    let report = try await Collection.verify(path, runtime: .system())
    #expect(report.problems == [])
  }

  @Test func scanPagesThroughEverySource() async throws {
    let folder = TemporaryFolder()
    let schema = CollectionSchema(dimension: 2)
    let collection = try await Collection.create(
      folder.path + "/c", schema: schema, options: Self.small, runtime: .system())
    var random = SplitMix64(seed: 9)
    for id in (0..<1000).shuffled(using: &random) {
      _ = try await collection.put([random.record(.number(UInt64(id)), schema)])
    }
    var seen: [RecordID] = []
    while true {
      let page = try await collection.scan(after: seen.last, limit: 37, includeVector: false)
      if page.isEmpty { break }
      seen += page.map(\.id)
    }
    #expect(seen == (0..<1000).map { .number(UInt64($0)) })
    try await collection.close()
  }

  @Test func backupRestoresAndIsIndependent() async throws {
    let folder = TemporaryFolder()
    let schema = CollectionSchema(dimension: 4)
    let runtime = try Runtime.system()
    let collection = try await Collection.create(
      folder.path + "/c", schema: schema, options: Self.small, runtime: runtime)
    var random = SplitMix64(seed: 21)
    let records = (0..<300).map { random.record(.number(UInt64($0)), schema) }
    _ = try await collection.put(records)
    _ = try await collection.delete((0..<50).map { .number($0) })
    try await collection.backup(to: folder.path + "/b")
    _ = try await collection.delete((0..<300).map { .number($0) })
    try await collection.compact()
    #expect(try await collection.count() == 0)
    try await collection.close()
    try await Collection.restore(from: folder.path + "/b", to: folder.path + "/r", runtime: runtime)
    let restored = try await Collection.open(folder.path + "/r", options: Self.small, runtime: runtime)
    #expect(try await restored.count() == 250)
    let found = try await restored.get((0..<300).map { .number($0) })
    for (index, record) in found.enumerated() {
      #expect((record == nil) == (index < 50))
      if let record {
        #expect(record.vector == records[index].vector && record.payload == records[index].payload)
      }
    }
    try await restored.close()
  }

  @Test func refusesWhatDoesNotFit() async throws {
    let folder = TemporaryFolder()
    let schema = CollectionSchema(dimension: 3, metric: .cosine)
    let path = folder.path + "/c"
    let collection = try await Collection.create(path, schema: schema, runtime: .system())
    func refusal(_ record: PutRecord) async -> RoostError.Kind? {
      do throws(RoostError) {
        _ = try await collection.put([record])
        return nil
      } catch { return error.kind }
    }
    #expect(await refusal(PutRecord(id: .number(1), vector: Vector([1, 2] as [Float]))) == .invalidArgument)
    #expect(await refusal(PutRecord(id: .number(1), vector: Vector([1, 2, .nan]))) == .invalidArgument)
    #expect(await refusal(PutRecord(id: .number(1), vector: Vector([1, 2, .infinity]))) == .invalidArgument)
    #expect(
      await refusal(PutRecord(id: .number(1), vector: Vector([0, 0, 0] as [Float]))) == .invalidArgument)
    #expect(
      await refusal(PutRecord(id: .number(1), vector: Vector([1, 2, 3] as [UInt8]))) == .invalidArgument)
    #expect(await refusal(PutRecord(id: .number(1), vector: nil)) == .invalidArgument)
    let long = String(repeating: "k", count: Limits.keyBytesMax + 1)
    #expect(await refusal(PutRecord(id: .key(long), vector: Vector([1, 2, 3] as [Float]))) == .limitExceeded)
    let big = Payload(["a": .string(String(repeating: "x", count: Limits.payloadBytesMax))])
    #expect(
      await refusal(PutRecord(id: .number(1), vector: Vector([1, 2, 3] as [Float]), payload: big))
        == .limitExceeded)
    await #expect(throws: RoostError.self) { try await Collection.open(path, runtime: .system()) }
    await #expect(throws: RoostError.self) {
      try await Collection.create(path, schema: schema, runtime: .system())
    }
    await #expect(throws: RoostError.self) {
      try await Collection.open(folder.path + "/none", runtime: .system())
    }
    #expect(try await collection.count() == 0)
    try await collection.close()
    await #expect(throws: RoostError.self) { try await collection.count() }
  }
}
