// Filtered search by every method, against comparing with every record, while records come, change and go.

import Core
import Testing

@testable import Storage

@Suite struct FilteredSearchTests {
  private static let schema = CollectionSchema(dimension: 8)
  private static let methods: [SearchExplanation.Method?] = [
    nil, .scan, .indexedScan, .filteredGraph, .graph, .codedScan,
  ]

  /// A collection and what it must hold.
  private struct World {
    let collection: Collection
    var records: [RecordID: PutRecord] = [:]

    /// Clustered vectors; `near` says how near the first axis' end they lie, so that filters on it go with
    /// the query or against it.
    mutating func put(_ count: Int, _ random: inout SplitMix64) async throws {
      let batch = (0..<count).map { _ in
        let center = Float(random.below(4))
        let values = (0..<8).map { axis in (axis == 0 ? center : 0) + random.unitFloat() }
        return PutRecord(
          id: .number(UInt64(random.below(900))), vector: Vector(values),
          payload: Payload([
            "near": .double(Double(values[0])), "random": .int(Int64(random.below(10_000))),
            "color": .string(["red", "green", "blue"][random.below(3)]),
            "tags": .array((0..<random.below(3)).map { _ in .int(Int64(random.below(40))) }),
          ]))
      }
      _ = try await collection.put(batch)
      for record in batch { records[record.id] = record }
    }

    mutating func delete(_ count: Int, _ random: inout SplitMix64) async throws {
      let ids = (0..<count).map { _ in RecordID.number(UInt64(random.below(900))) }
      _ = try await collection.delete(ids)
      for id in ids { records[id] = nil }
    }

    /// Ids and distances of all that pass, nearest first.
    func truth(_ query: SearchQuery, _ vector: Vector) throws -> [(id: RecordID, distance: Double)] {
      let compiled = try query.filter.map { try CompiledFilter($0) }
      return try records.values.filter { record in
        let bytes = IOBuffer(record.payload.encoded)
        let id = IOBuffer(record.id.encodedBytes)
        return try compiled?.matches(bytes.bytes, id: id.bytes) ?? true
      }.map { (id: $0.id, distance: referenceDistance($0.vector!, vector, .l2)) }
        .sorted { $0.distance < $1.distance }
    }
  }

  private static func filter(_ random: inout SplitMix64) -> Filter {
    let width = [1, 10, 100, 1000, 5000, 9900][random.below(6)]
    let low = random.below(10_001 - width)
    let some = Filter.field(
      "random",
      .range(FilterRange(lower: .inclusive(.int(Int64(low))), upper: .exclusive(.int(Int64(low + width))))))
    let border = Double(random.unitFloat()) * 2 + 1.5
    switch random.below(9) {
    case 7: return .hasID((0..<random.below(40)).map { _ in .number(UInt64(random.below(900))) })
    case 0, 1: return some
    case 2: return .field("near", .range(FilterRange(lower: .inclusive(.double(border)))))
    case 3: return .field("near", .range(FilterRange(upper: .exclusive(.double(border)))))
    case 4: return .and([.field("color", .equals(.string("red"))), .not(some)])
    case 5: return .or([.field("tags", .isIn([.int(3), .int(17)])), some])
    case 6: return .not(.field("nothing", .exists))
    default: return .field("color", .equals(.string("violet")))
    }
  }

  @Test(arguments: 1...3 as ClosedRange<UInt64>)
  func everyMethodFindsWhatPasses(_ seed: UInt64) async throws {
    let folder = TemporaryFolder()
    var random = SplitMix64(seed: seed)
    // With little memory segments are searched by page reads.
    let options = StorageOptions(
      memoryBytes: seed % 3 == 0 ? 1 << 14 : 1 << 30, sync: .none, memtableRows: 350)
    var world = World(
      collection: try await Collection.create(
        folder.path + "/c", schema: Self.schema, options: options, runtime: .system()))
    var found = 0
    var possible = 0
    for round in 0..<5 {
      try await world.put(150 + random.below(250), &random)
      try await world.delete(random.below(60), &random)
      switch random.below(5) {
      case 0: try await world.collection.flush()
      case 1: try await world.collection.compact()
      case 2:
        try await world.collection.close()
        world = World(
          collection: try await Collection.open(folder.path + "/c", options: options, runtime: .system()),
          records: world.records)
      default: break
      }
      for _ in 0..<3 {
        let vector = Vector(
          (0..<8).map { axis in (axis == 0 ? Float(random.below(4)) : 0) + random.unitFloat() })
        let k = 1 + random.below(20)
        var query = SearchQuery(target: .point(.vector(vector)), k: k)
        query.filter = Self.filter(&random)
        let truth = try world.truth(query, vector)
        let expected = Array(truth.prefix(k))
        let counted = try await world.collection.count(filter: query.filter)
        #expect(counted == truth.count, "seed \(seed) round \(round) \(query.filter!.text)")
        let scanned = try await world.collection.scan(limit: 10_000, filter: query.filter)
        #expect(
          scanned.map(\.id) == truth.map(\.id).sorted(), "seed \(seed) round \(round) \(query.filter!.text)")
        for method in Self.methods {
          let outcome = try await world.collection.explainedSearch(query, forcing: method)
          let note: Comment =
            "seed \(seed) round \(round) \(String(describing: method)) \(query.filter!.text)"
          #expect(outcome.hits.count == expected.count, note)
          let distances = outcome.hits.map { Double($0.distance) }
          let bound = expected.last?.distance ?? 0
          let passing = Dictionary(uniqueKeysWithValues: truth)
          for hit in outcome.hits {
            let distance = passing[hit.id]
            #expect(distance != nil && abs(distance! - Double(hit.distance)) < 1e-3, note)
          }
          let near = distances.filter { $0 <= bound + 1e-3 }.count
          if method == .scan || method == .indexedScan { #expect(near == expected.count, note) }
          found += near
          possible += expected.count
        }
      }
    }
    #expect(Double(found) >= 0.97 * Double(possible), "seed \(seed): \(found) of \(possible)")
    try await world.collection.close()
  }

  @Test func plansFollowTheNumberOfRowsThatPass() {
    func choose(_ passing: PassingRows, pages: Bool = false, exact: Bool = false) -> SearchExplanation.Method
    {
      QueryPlanner.choose(
        SourceTraits(
          rows: 1_000_000, vectorBytes: 512, degree: 32, rowsPerRead: pages ? 6 : nil,
          codeBytes: pages ? 72 : nil), passing, k: 10, effort: 64, exact: exact
      ).method
    }
    func indexed(_ rows: Int) -> PassingRows { PassingRows(evidence: .indexed, named: rows, share: 1) }
    func sampled(_ share: Double) -> PassingRows {
      PassingRows(evidence: .sampled, named: 1_000_000, share: share)
    }
    #expect(choose(indexed(0)) == .nothing)
    #expect(choose(indexed(1)) == .indexedScan)
    #expect(choose(indexed(500)) == .indexedScan)
    #expect(choose(indexed(100_000)) == .filteredGraph)
    #expect(choose(indexed(900_000)) == .filteredGraph)
    #expect(choose(indexed(900_000), exact: true) == .indexedScan)
    #expect(choose(indexed(20), pages: true) == .indexedScan)
    #expect(choose(indexed(100_000), pages: true) == .codedScan)
    #expect(choose(indexed(900_000), pages: true) == .graph)
    #expect(choose(sampled(0)) == .scan)
    #expect(choose(sampled(0.5)) == .graph)
    #expect(choose(PassingRows(evidence: .unfiltered, named: 1_000_000, share: 1)) == .graph)
  }

  @Test func rowsOfSegmentsInMemoryAreRankedByCodes() {
    func choose(_ rows: Int, exact: Bool = false) -> SearchExplanation.Method {
      var traits = SourceTraits(rows: 1_000_000, vectorBytes: 512, degree: 32)
      traits.codeBytes = 72
      traits.hasLinks = true
      let passing = PassingRows(evidence: .indexed, named: rows, share: 1)
      return QueryPlanner.choose(traits, passing, k: 10, effort: 64, exact: exact).method
    }
    #expect(choose(1) == .indexedScan)
    #expect(choose(60) == .indexedScan)
    #expect(choose(5000) == .codedScan)
    #expect(choose(5000, exact: true) == .indexedScan)
    #expect(choose(20_000) == .codedScan)
    #expect(choose(100_000) == .filteredGraph)
    #expect(choose(900_000) == .filteredGraph)
  }
}
