import Core
import Storage
import Testing
import Wire

@testable import Node

@Suite struct NodeEndToEndTests {
  private func record(_ number: Int) -> PutRecord {
    PutRecord(
      id: .number(UInt64(number)), vector: vector(Float(number), 0, 0, 1),
      payload: Payload(["n": .int(Int64(number)), "even": .bool(number % 2 == 0)]))
  }

  @Test func everyMessageWorks() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.ping()
    #expect(try await client.listCollections().isEmpty)
    try await client.createCollection("books", schema: CollectionSchema(dimension: 4))
    let versions = try await client.put((0..<100).map(record), into: "books")
    #expect(versions.count == 100)
    #expect(Set(versions).count == 100)

    let got = try await client.get([.number(7), .number(1_000)], from: "books")
    #expect(got[0]?.vector == vector(7, 0, 0, 1))
    #expect(got[0]?.payload["n"] == .int(7))
    #expect(got[0]?.version == versions[7])
    #expect(got[1] == nil)
    #expect(
      try await client.get([.number(7)], from: "books", includeVector: false)[0]?.vectors.isEmpty == true)

    let hits = try await client.search(SearchQuery(target: .vector(vector(10.2, 0, 0, 1)), k: 3), in: "books")
    #expect(hits.map(\.id) == [.number(10), .number(11), .number(9)])
    #expect(hits[0].payload?["n"] == .int(10))
    let near = try await client.search(
      SearchQuery(target: .record(.number(50)), k: 2, exact: true), in: "books")
    #expect(Set(near.map(\.id)) == [.number(49), .number(51)])
    let even = try await client.search(
      SearchQuery(target: .vector(vector(11, 0, 0, 1)), k: 2, filter: .field("even", .equals(.bool(true)))),
      in: "books")
    #expect(Set(even.map(\.id)) == [.number(10), .number(12)])

    #expect(try await client.count(in: "books") == 100)
    #expect(try await client.count(in: "books", filter: .field("even", .equals(.bool(true)))) == 50)
    #expect(try await client.delete([.number(3), .number(4), .number(500)], from: "books") == 2)
    #expect(try await client.get([.number(3)], from: "books") == [nil])

    var scanned: [RecordID] = []
    for try await page in client.scan("books", after: .number(89)) { scanned += page.records.map(\.id) }
    #expect(scanned == (90..<100).map { .number(UInt64($0)) })

    try await client.flush("books")
    try await client.put((100..<120).map(record), into: "books")
    try await client.flush("books")
    try await client.compact("books")
    let stats = try await client.stats(of: "books")
    #expect(stats["records"] == .int(118))
    let verified = try await client.verify("books")
    #expect(verified.problems.isEmpty)
    #expect(verified.bytesChecked > 0)

    let backup = test.folder.path + "/backup"
    try await client.backup("books", to: backup)
    let copy = try await Collection.open(backup, runtime: test.runtime)
    #expect(try await copy.count() == 118)
    try await copy.close()

    let list = try await client.listCollections()
    #expect(list.map(\.name) == ["books"])
    #expect(list[0].liveRecords == 118)
    #expect(list[0].schema == CollectionSchema(dimension: 4))
    #expect(try await client.stats()["collections"] == .int(1))
    try await client.dropCollection("books")
    #expect(try await client.listCollections().isEmpty)
    #expect(await failure { _ = try await client.count(in: "books") }?.kind == .notFound)
    // The name is free again, and nothing of the old records is left.
    try await client.createCollection("books", schema: CollectionSchema(dimension: 2, element: .u8))
    #expect(try await client.count(in: "books") == 0)
    try await test.stopAndRemove()
  }

  @Test func everythingIsThereAfterARestart() async throws {
    let test = try await TestNode()
    try await test.client.createCollection("a", schema: CollectionSchema(dimension: 4))
    try await test.client.createCollection("b", schema: CollectionSchema(dimension: 4, metric: .cosine))
    let version = try await test.client.put([record(1), record(2)], into: "a")[1]
    try await test.client.delete([.number(1)], from: "a")
    let id = test.node.nodeID
    try await test.stop()
    let again = try await TestNode(in: test.folder)
    #expect(again.node.nodeID == id)
    #expect(try await again.client.listCollections().map(\.name) == ["a", "b"])
    let records = try await again.client.get([.number(1), .number(2)], from: "a")
    #expect(records[0] == nil)
    #expect(records[1]?.version == version)
    try await again.stopAndRemove()
  }

  @Test func everyFormOfSearchWorks() async throws {
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 4))
    try await test.client.put((0..<100).map(record), into: "c")
    let near = SearchTarget.vector(vector(10.2, 0, 0, 1))
    let like = SearchTarget.recommend(
      Recommendation(
        positive: [.record(.number(20)), .record(.number(22))], negative: [.record(.number(23))]))
    let best = SearchTarget.recommend(
      Recommendation(
        positive: [.record(.number(20)), .vector(vector(50, 0, 0, 1))], negative: [.record(.number(21))],
        strategy: .bestScore))
    let queries = [
      SearchQuery(target: near, form: .range(radius: 1.5, limit: 10)),
      SearchQuery(target: near, form: .range(radius: 0.01, limit: 10)),
      SearchQuery(target: near, form: .grouped(field: "even", groups: 5, groupSize: 2)),
      SearchQuery(target: near, form: .diverse(k: 2, lambda: 0, candidates: 100)),
      SearchQuery(target: near, k: 2, excluded: [.number(10), .number(9), .key("nobody")]),
      SearchQuery(target: like, k: 1), SearchQuery(target: best, k: 2),
    ]
    func check(_ hits: [[SearchHit]]) {
      func ids(_ index: Int) -> [RecordID] { hits[index].map(\.id) }
      #expect(Set(ids(0)) == [.number(10), .number(11), .number(9)])
      #expect(ids(1) == [])
      #expect(ids(2) == [.number(10), .number(12), .number(11), .number(9)])
      #expect(hits[2].map(\.group) == [.bool(true), .bool(true), .bool(false), .bool(false)])
      #expect(hits[0].allSatisfy { $0.group == nil })
      #expect(ids(3) == [.number(10), .number(99)])
      #expect(ids(4) == [.number(11), .number(12)])
      // 2 · 21 − 23 = 19.
      #expect(ids(5) == [.number(19)])
      // Record 20 is left out; 19, 49 and 51 are all at distance 1 from an example.
      let near: [RecordID] = [.number(19), .number(49), .number(51)]
      #expect(ids(6).count == 2 && ids(6)[0] == .number(50) && near.contains(ids(6)[1]))
    }
    check(try await test.client.search(queries, in: "c").hits)
    try await test.client.flush("c")
    check(try await test.client.search(queries, in: "c").hits)
    for (index, query) in queries.enumerated() {
      let hits = try await test.client.search(query, in: "c")
      #expect(try await test.client.search(queries, in: "c").hits[index] == hits)
    }
    let unknown = SearchTarget.recommend(Recommendation(positive: [.record(.key("x"))]))
    let error = await failure { _ = try await test.client.search(SearchQuery(target: unknown), in: "c") }
    #expect(error?.kind == .notFound && error?.place.hasSuffix("search.target.positive[0]") == true)
    try await test.stopAndRemove()
  }

  @Test func batchSearchesAnswerInOrder() async throws {
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 4))
    try await test.client.put((0..<300).map(record), into: "c")
    let queries = (0..<200).map {
      SearchQuery(target: .vector(vector(Float($0), 0, 0, 1)), k: 5, includeVector: true)
    }
    let answer = try await test.client.search(queries, in: "c")
    #expect(answer.hits.map { $0[0].id } == (0..<200).map { .number(UInt64($0)) })
    #expect(answer.coverage == Coverage(shardsAnswered: 1, shardsTotal: 1))
    try await test.stopAndRemove()
  }

  @Test func longScansComeInPages() async throws {
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 64))
    for start in stride(from: 0, to: 5_000, by: 500) {
      let records = (start..<start + 500).map {
        PutRecord(
          id: .number(UInt64($0)), vector: Vector([Float](repeating: Float($0), count: 64)),
          payload: Payload(["odd": .bool($0 % 2 == 1)]))
      }
      try await test.client.put(records, into: "c")
    }
    var ids: [UInt64] = []
    var pages = 0
    for try await page in test.client.scan("c") {
      pages += 1
      ids += page.records.compactMap { if case .number(let number) = $0.id { number } else { nil } }
    }
    #expect(ids == Array(0..<5_000))
    #expect(pages > 5)
    var odd = 0
    for try await page in test.client.scan(
      "c", limit: 2_222, filter: .field("odd", .equals(.bool(true))), includeVector: false)
    {
      odd += page.records.count
    }
    #expect(odd == 2_222)
    // Page by page without streams gives the same.
    var after: ScanCursor?
    var seen = 0
    repeat {
      let page = try await test.client.scanPage("c", after: after, limit: 700, includeVector: false)
      seen += page.records.count
      after = page.next
    } while after != nil
    #expect(seen == 5_000)
    try await test.stopAndRemove()
  }

  @Test func orderedScansAndFacetsOverTheWire() async throws {
    func rank(_ id: Int) -> Int { id * 7_919 % 5_000 }
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 64))
    for start in stride(from: 0, to: 5_000, by: 500) {
      let records = (start..<start + 500).map {
        PutRecord(
          id: .number(UInt64($0)), vector: Vector([Float](repeating: Float($0), count: 64)),
          payload: $0 % 10 == 0 ? Payload() : Payload(["rank": .int(Int64(rank($0)))]))
      }
      try await test.client.put(records, into: "c")
    }
    let with = (0..<5_000).filter { $0 % 10 != 0 }.sorted { rank($0) > rank($1) }
    let expected = with + (0..<5_000).filter { $0 % 10 == 0 }
    let order = ScanOrder("rank", descending: true)
    var ids: [Int] = []
    var pages = 0
    for try await page in test.client.scan("c", orderedBy: order) {
      pages += 1
      ids += page.records.compactMap { if case .number(let number) = $0.id { Int(number) } else { nil } }
    }
    #expect(ids == expected && pages > 5)
    var after: ScanCursor?
    var seen: [Int] = []
    repeat {
      let page = try await test.client.scanPage(
        "c", orderedBy: order, after: after, limit: 800, includeVector: false)
      seen += page.records.compactMap { if case .number(let number) = $0.id { Int(number) } else { nil } }
      after = page.next
    } while after != nil
    #expect(seen == expected)
    // A place in an order means nothing to a scan by id.
    await #expect(throws: RoostError.self) {
      try await test.client.scanPage("c", after: ScanCursor(id: .number(1), value: .int(1)))
    }
    let outcome = try await test.client.facet(
      FacetQuery(
        [Facet("rank", .numbers(interval: 2_500)), Facet("rank", .values(top: 2))],
        filter: Filter(text: "rank < 3000")), in: "c")
    #expect(outcome.matched == with.count { rank($0) < 3_000 })
    guard case .bounds(let count, _, let greatest, let steps) = outcome.answers[0] else {
      Issue.record("no bounds")
      return
    }
    #expect(count == outcome.matched && steps.map(\.count).reduce(0, +) == count && steps.count == 2)
    #expect(greatest == .int(2_999))
    let error = await failure {
      _ = try await test.client.facet(FacetQuery([Facet("rank", .values(top: 0))]), in: "c")
    }
    #expect(error?.kind == .invalidArgument)
    try await test.stopAndRemove()
  }

  @Test func pipelinedCallsFromManyTasks() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.createCollection("c", schema: CollectionSchema(dimension: 4))
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<16 {
        group.addTask {
          for call in 0..<20 {
            let number = task * 100 + call
            try await client.put([record(number)], into: "c")
            // Searchable at once, and read back as written.
            let hits = try await client.search(
              SearchQuery(target: .vector(vector(Float(number), 0, 0, 1)), k: 1, exact: true), in: "c")
            #expect(hits.first?.id == .number(UInt64(number)))
            #expect(try await client.get([.number(UInt64(number))], from: "c")[0] != nil)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(try await client.count(in: "c") == 320)
    try await test.stopAndRemove()
  }
}
