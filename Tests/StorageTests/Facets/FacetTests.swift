// Facets, counts and ordered scans against brute force, over random data and interleaved writes, flushes,
// merges and reopenings.

import Core
import Testing

@testable import Storage

/// A collection and its model, driven by a seed.
private final class FacetWorld: ChangingWorld {
  let seed: UInt64
  private let folder = TemporaryFolder()
  private let schema = CollectionSchema(dimension: 2)
  let options: StorageOptions
  var random: SplitMix64
  var model = FacetModel()
  var collection: Collection

  init(seed: UInt64) async throws {
    self.seed = seed
    random = SplitMix64(seed: seed)
    // In every second world segments are read page by page.
    options = StorageOptions(
      memoryBytes: seed % 2 == 0 ? 1 : 1 << 30, memtableRows: 128, memtableEntryBytes: 1 << 20)
    collection = try await Collection.create(
      folder.path + "/c", schema: schema, options: options, runtime: .system())
  }

  var collectionPath: String { folder.path + "/c" }

  func id() -> RecordID {
    let number = random.below(400)
    return number % 3 == 0 ? .key("k\(number)") : .number(UInt64(number))
  }

  private static let scalars: [Value] = [
    .null, .bool(false), .bool(true), .int(0), .int(7), .double(7), .double(-0.0), .double(2.5), .int(-3),
    .int(.max), .double(0x1p63), .int(.min), .double(.infinity), .string("a"), .string("ab"), .string("é"),
    .string(""), .bytes([0]), .bytes([]), .geo(latitude: 1, longitude: -2), .geo(latitude: -1, longitude: 2),
    .datetime(0), .datetime(-1), .datetime(90_000_000_000), .datetime(1_700_000_000_000_000),
  ]

  private func value(_ depth: Int) -> Value {
    switch depth < 3 ? random.below(8) : 7 {
    case 0: .array((0..<random.below(4)).map { _ in value(depth + 1) })
    case 1: .map(["in": value(depth + 1)])
    default: Self.scalars[random.below(Self.scalars.count)]
    }
  }

  func payload() -> Payload {
    var payload = Payload()
    if random.below(5) > 0 { payload["mixed"] = value(0) }
    if random.below(8) > 0 { payload["n"] = .int(Int64(random.below(40))) }
    if random.below(3) > 0 { payload["tags"] = .array((0..<random.below(4)).map { _ in tag() }) }
    payload["d"] = .datetime(Int64(random.below(10)) * 86_400_000_000 - 5)
    return payload
  }

  private func tag() -> Value { .string("t\(random.below(random.below(12) + 1))") }

  func record() -> PutRecord { PutRecord(id: id(), vector: random.vector(schema), payload: payload()) }

  func change() async throws { try await change(kinds: 9) }

  func path() -> FieldPath {
    (["mixed", "n", "tags", "d", "mixed.in", "none"] as [FieldPath])[random.below(6)]
  }

  func limit() -> Int? { random.below(2) == 0 ? nil : random.below(45) }
}

@Suite struct FacetTests {
  @Test(arguments: 0..<2) func facetsAndCountsAgreeWithBruteForce(_ run: Int) async throws {
    let world = try await FacetWorld(seed: UInt64.random(in: 0..<1_000_000))
    for round in 0..<20 {
      try await world.change()
      let limit = world.limit()
      let facets = (0..<1 + world.random.below(4)).map { _ in
        switch world.random.below(3) {
        case 0: Facet(world.path(), .numbers(interval: [0, 0.5, 3, 1e16][world.random.below(4)]))
        case 1: Facet(world.path(), .datetimes(interval: [0, 0.25, 86_400][world.random.below(3)]))
        default: Facet(world.path(), .values(top: 1 + world.random.below(30)))
        }
      }
      let filter = limit.map { FacetModel.filter($0) }
      let query = FacetQuery(facets, filter: filter)
      let count = world.model.passing(limit).count
      #expect(try await world.collection.count(filter: filter) == count, "seed \(world.seed) round \(round)")
      do {
        let outcome = try await world.collection.facet(query)
        #expect(outcome.matched == count, "seed \(world.seed) round \(round)")
        for (facet, answer) in zip(facets, outcome.answers) {
          let expected = world.model.answer(facet, limit)
          #expect(
            FacetModel.same(answer, expected),
            "seed \(world.seed) round \(round): \(facet) gives \(answer), not \(expected)")
        }
      } catch {
        // The largest numbers have no exact step of half a unit.
        #expect(error.message.contains("too small"), "seed \(world.seed) round \(round): \(error)")
      }
    }
    try await world.collection.close()
  }

  @Test(arguments: 0..<2) func orderedScansAgreeWithBruteForce(_ run: Int) async throws {
    let world = try await FacetWorld(seed: UInt64.random(in: 0..<1_000_000))
    for round in 0..<20 {
      try await world.change()
      let limit = world.limit()
      let order = ScanOrder(world.path(), descending: world.random.below(2) == 0)
      let expected = world.model.ordered(order, limit)
      // In one go, in pages of one scan, and in scans that go on behind a place.
      let start = expected.isEmpty ? 0 : world.random.below(expected.count)
      let after = start == 0 ? nil : ScanCursor(id: expected[start - 1].id, value: expected[start - 1].value)
      var scan = try world.collection.scan(
        orderedBy: order, after: after, filter: limit.map { FacetModel.filter($0) },
        expecting: 1 + world.random.below(300))
      var found: [OrderedRecord] = []
      while true {
        let wanted = 1 + world.random.below(200)
        let page = try await scan.next(wanted)
        found += page
        if page.count < wanted { break }
      }
      #expect(
        found.map(\.record.id) == expected[start...].map(\.id), "seed \(world.seed) round \(round): \(order)")
      #expect(
        zip(found, expected[start...]).allSatisfy { FacetModel.same($0.value, $1.value) },
        "seed \(world.seed) round \(round): \(order)")
      #expect(found.allSatisfy { $0.record.payload == world.model.records[$0.record.id] })
    }
    try await world.collection.close()
  }

  /// A record that keeps its value is seen just once, whatever happens to others between the pages.
  @Test func pagesSurviveWrites() async throws {
    let world = try await FacetWorld(seed: UInt64.random(in: 0..<1_000_000))
    for _ in 0..<12 { try await world.change() }
    let steady = (0..<100).map { number in
      PutRecord(
        id: .key("steady \(number)"), vector: Vector([1, 2] as [Float]),
        payload: Payload(["n": number % 7 == 0 ? .null : .int(Int64(number / 5))]))
    }
    _ = try await world.collection.put(steady)
    for descending in [false, true] {
      var seen: [RecordID] = []
      var after: ScanCursor?
      while true {
        var scan = try world.collection.scan(
          orderedBy: ScanOrder("n", descending: descending), after: after, includeVector: false, expecting: 13
        )
        let page = try await scan.next(13)
        seen += page.map(\.record.id).filter { $0.text.hasPrefix("steady") }
        after = page.last?.cursor ?? after
        if page.count < 13 { break }
        try await world.change()
      }
      #expect(seen.count == 100 && Set(seen).count == 100, "seed \(world.seed)")
    }
    try await world.collection.close()
  }

  @Test func boundsOfMemoryOnlyMeanMorePasses() throws {
    func offer(_ row: OrderedRow, to best: inout BestRows) {
      if best.mayTake(row.key) { best.offer(row) }
    }
    let seed = UInt64.random(in: 0..<1_000_000)
    var random = SplitMix64(seed: seed)
    for _ in 0..<60 {
      let rows = (0..<random.below(60)).map { number in
        OrderedRow(
          key: random.below(5) == 0
            ? nil : [UInt8](repeating: UInt8(random.below(4)), count: 1 + random.below(9)),
          id: RecordID.number(UInt64(number)).encodedBytes, source: 0, row: UInt32(number))
      }
      let descending = random.below(2) == 0
      var all = BestRows(descending: descending, after: nil, capacity: 1000)
      for row in rows { offer(row, to: &all) }
      let expected = all.finish().map(\.row)
      #expect(!all.isCut && expected.count == rows.count)
      var found: [OrderedRow] = []
      var passes = 0
      while true {
        var some = BestRows(
          descending: descending, after: found.last, capacity: 1 + random.below(9), bytesMax: 40)
        for row in rows { offer(row, to: &some) }
        found += some.finish()
        passes += 1
        if !some.isCut { break }
      }
      #expect(found.map(\.row) == expected, "seed \(seed)")
      #expect(passes <= rows.count + 1)
    }
  }

  @Test func refusesWhatItCannotAnswer() async throws {
    let world = try await FacetWorld(seed: 1)
    let bad: [FacetQuery] = [
      FacetQuery([]), FacetQuery([Facet("a", .values(top: 0))]),
      FacetQuery([Facet("a", .values(top: Limits.facetTopMax + 1))]),
      FacetQuery([Facet("a", .numbers(interval: -1))]), FacetQuery([Facet("a", .datetimes(interval: .nan))]),
      FacetQuery([Facet](repeating: Facet("a", .values(top: 1)), count: Limits.facetsMax + 1)),
    ]
    for query in bad {
      await #expect(throws: RoostError.self) { try await world.collection.facet(query) }
    }
    #expect(throws: RoostError.self) {
      try world.collection.scan(orderedBy: ScanOrder("a"), after: ScanCursor(id: .number(1), value: .null))
    }
    try await world.collection.close()
  }
}
