// Segments that are read page by page answer as those in memory do, within their budget, whatever the disk
// does and whoever closes the collection meanwhile.

import Core
import Testing

@testable import Storage

@Suite struct PagedReadsTests {
  private static func fill(
    _ path: String, _ schema: CollectionSchema, random: inout SplitMix64, records count: Int
  ) async throws -> [PutRecord] {
    let collection = try await Collection.create(
      path, schema: schema, options: StorageOptions(memtableRows: 200), runtime: .system())
    var records: [PutRecord] = []
    for number in 0..<count {
      let id: RecordID = number % 4 == 0 ? .key("key \(number)") : .number(UInt64(number))
      records.append(random.record(id, schema))
    }
    _ = try await collection.put(records)
    _ = try await collection.delete([records[3].id, records[8].id])
    try await collection.flush()
    try await collection.close()
    return records
  }

  /// Exact searches, filtered and not, look-ups, scans and counts: paged and mapped give the same.
  @Test(arguments: [(4, VectorElement.u8), (33, .f32), (700, .f32), (1100, .f32)], [1, 2] as [UInt64])
  func pagedEqualsMapped(shape: (dimension: Int, element: VectorElement), seed: UInt64) async throws {
    let folder = TemporaryFolder()
    var random = SplitMix64(seed: seed)
    let schema = CollectionSchema(dimension: shape.dimension, element: shape.element, metric: .l2)
    let records = try await Self.fill(folder.path + "/c", schema, random: &random, records: 500)
    struct Answers: Equatable {
      var hits: [[SearchHit]] = []
      var distances: [Float] = []
      var records: [Record?] = []
      var scanned: [Record] = []
      var counts: [Int] = []
    }
    var all: [Answers] = []
    for memory in [1 << 30, 1, 400_000] {
      var random = SplitMix64(seed: seed + 100)
      let collection = try await Collection.open(
        folder.path + "/c", options: StorageOptions(memoryBytes: memory, compactsAutomatically: false),
        runtime: .system())
      if memory != 400_000 { #expect(await collection.stats().isResident == (memory > 1)) }
      var answers = Answers()
      let filters: [Filter?] = [
        nil, .field("color", .equals(.string("red"))),
        .field("size", .range(FilterRange(upper: .exclusive(.int(100))))),
      ]
      for filter in filters {
        for _ in 0..<3 {
          var hits = try await collection.search(
            SearchQuery(
              target: .vector(random.vector(schema)), k: 7, exact: true, filter: filter, includeVector: true))
          // How rows are batched decides how sums are rounded.
          for index in hits.indices {
            answers.distances.append(hits[index].distance)
            hits[index].distance = 0
          }
          answers.hits.append(hits)
        }
        answers.counts.append(try await collection.count(filter: filter))
        answers.scanned += try await collection.scan(after: .number(40), limit: 90, filter: filter)
      }
      answers.records = try await collection.get(
        (0..<40).map { records[$0 * 12].id } + [records[3].id, .number(123_456), .key("nothing")])
      let stats = await collection.stats()
      #expect(stats.pageCache.usedBytes <= stats.pageCache.budgetBytes)
      try await collection.close()
      all.append(answers)
    }
    #expect(all[0].records.prefix(40).allSatisfy { $0 != nil })
    #expect(all[0].records.suffix(3).allSatisfy { $0 == nil })
    for index in [1, 2] {
      #expect(
        zip(all[0].distances, all[index].distances).allSatisfy { abs($0 - $1) <= 1e-5 * abs($0) },
        "seed \(seed)")
      all[index].distances = all[0].distances
      #expect(all[0] == all[index], "seed \(seed)")
    }
  }

  /// A close waits for the searches that began before it, and those that come later get `.unavailable`.
  @Test func closeWaitsForSearches() async throws {
    let folder = TemporaryFolder()
    var random = SplitMix64(seed: 7)
    let schema = CollectionSchema(dimension: 24)
    _ = try await Self.fill(folder.path + "/c", schema, random: &random, records: 600)
    for round in 0..<8 {
      let collection = try await Collection.open(
        folder.path + "/c", options: StorageOptions(memoryBytes: 1, compactsAutomatically: false),
        runtime: .system())
      let queries = (0..<40).map { _ in random.vector(schema) }
      let outcomes = await withTaskGroup(of: RoostError?.self) { group in
        for query in queries {
          group.addTask {
            do throws(RoostError) {
              let hits = try await collection.search(SearchQuery(target: .vector(query), k: 5))
              return hits.count == 5 ? nil : RoostError(.corrupted, "\(hits.count) hits")
            } catch { return error }
          }
        }
        for _ in 0..<round { await Task.yield() }
        do throws(RoostError) { try await collection.close() } catch {
          Issue.record("close failed: \(error)")
        }
        return await group.reduce(into: [RoostError?]()) { $0.append($1) }
      }
      #expect(outcomes.allSatisfy { $0 == nil || $0?.kind == .unavailable }, "round \(round): \(outcomes)")
      await #expect(throws: RoostError.self) {
        _ = try await collection.search(SearchQuery(target: .vector(queries[0]), k: 5))
      }
    }
  }

  /// Searches by many tasks through a cache of a few dozen frames stay within it and find what one task
  /// finds.
  @Test func manySearchesShareASmallCache() async throws {
    let folder = TemporaryFolder()
    var random = SplitMix64(seed: 9)
    let schema = CollectionSchema(dimension: 96)
    _ = try await Self.fill(folder.path + "/c", schema, random: &random, records: 1500)
    let collection = try await Collection.open(
      folder.path + "/c", options: StorageOptions(memoryBytes: 1, compactsAutomatically: false),
      runtime: .system())
    let queries = (0..<60).map { _ in random.vector(schema) }
    var alone: [[RecordID]] = []
    for query in queries {
      alone.append(try await collection.search(SearchQuery(target: .vector(query), k: 8)).map(\.id))
    }
    let together = try await withThrowingTaskGroup(of: (Int, [RecordID]).self) { group in
      for (index, query) in queries.enumerated() {
        group.addTask {
          (index, try await collection.search(SearchQuery(target: .vector(query), k: 8)).map(\.id))
        }
      }
      return try await group.reduce(into: [Int: [RecordID]]()) { $0[$1.0] = $1.1 }
    }
    // What is read in which order may change what is found at the edge, but not what is nearest.
    var same = 0
    for (index, ids) in alone.enumerated() {
      #expect(together[index]?.first == ids.first)
      same += Set(ids).intersection(together[index] ?? []).count
    }
    #expect(same >= 60 * 8 * 95 / 100, "\(same) of \(60 * 8) hits are the same")
    let stats = await collection.stats().pageCache
    #expect(stats.usedBytes <= stats.budgetBytes && stats.hits > 0 && stats.evictions > 0, "\(stats)")
    try await collection.close()
  }
}
