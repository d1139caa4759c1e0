import Core
import Glibc
import Storage
import Testing
import Wasm
import Wire

@testable import Node

@Suite struct ModuleTests {
  @Test func digestsAreThoseOfTheStandard() {
    // FIPS 180-4 examples.
    #expect(Digest(of: []).text == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      Digest(of: Array("abc".utf8)).text == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    )
    #expect(
      Digest(of: Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8)).text
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      Digest(of: [UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000)).text
        == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0")
  }

  @Test func modulesFilterSearchesAndTellTheirVersion() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.createCollection("c", schema: CollectionSchema(dimension: 2))
    try await client.put(
      (0..<10).map { PutRecord(id: .number(UInt64($0)), vector: vector(Float($0), 0)) }, into: "c")
    let none = try await client.publishModule("gate", bytes: Guests.constantFilter(0))
    #expect(none.kind == .filter)
    #expect(none.sha256.count == 64)
    let query = SearchQuery(target: .vector(vector(0, 0)), k: 3, module: ModuleCall(module: "gate"))
    var answer = try await client.search([query], in: "c")
    #expect(answer.hits == [[]])
    #expect(answer.modules == [ModuleVersion(name: "gate", version: 1, sha256: none.sha256)])
    // A new version under the same name serves the next query.
    let all = try await client.publishModule("gate", bytes: Guests.constantFilter(1))
    #expect(all.sha256 != none.sha256)
    answer = try await client.search([query, query], in: "c")
    #expect(answer.hits.map(\.count) == [3, 3])
    #expect(answer.modules == [ModuleVersion(name: "gate", version: 2, sha256: all.sha256)])
    // Publishing the same bytes again changes nothing.
    #expect(try await client.publishModule("gate", bytes: Guests.constantFilter(1)) == all)
    let listed = try await client.listModules()
    #expect(listed.map(\.versions) == [[none, all]])
    #expect(listed.map(\.current) == [2])
    try await test.stop()

    let again = try await TestNode(in: test.folder)
    #expect(try await again.client.listModules() == listed)
    #expect(try await again.client.search([query], in: "c").hits[0].count == 3)
    try await again.stopAndRemove()
  }

  @Test func aFailingModuleFailsItsQueryAlone() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.createCollection("c", schema: CollectionSchema(dimension: 2))
    try await client.put([PutRecord(id: .number(1), vector: vector(1, 0))], into: "c")
    try await client.publishModule("trap", bytes: Guests.trapping())
    let query = SearchQuery(target: .vector(vector(0, 0)), k: 1, module: ModuleCall(module: "trap"))
    #expect(await failure { _ = try await client.search(query, in: "c") }?.kind == .moduleFailed)
    var plain = query
    plain.module = nil
    #expect(try await client.search(plain, in: "c").count == 1)
    #expect(
      await failure { _ = try await client.publishModule("junk", bytes: [1, 2, 3]) }?.kind == .invalidArgument
    )
    #expect(try await client.listModules().map(\.name) == ["trap"])
    try await test.stopAndRemove()
  }

  @Test func collectionsEmbedTheirText() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.publishModule("embedder", bytes: Guests.embedder(dimension: 3, factor: 2))
    try await client.publishModule("filter", bytes: Guests.everySecond())
    func schema(_ module: String, dimension: Int, element: VectorElement = .f32) -> CollectionSchema {
      CollectionSchema(
        dimension: dimension, element: element,
        embedder: EmbedderReference(module: module, sourceField: "text"))
    }
    for wrong in [
      schema("embedder", dimension: 4), schema("filter", dimension: 3),
      schema("embedder", dimension: 3, element: .u8),
    ] {
      #expect(
        await failure { try await client.createCollection("wrong", schema: wrong) }?.kind == .invalidArgument)
    }
    try await client.createCollection("c", schema: schema("embedder", dimension: 3))
    var records = (0..<200).map {
      PutRecord(id: .number(UInt64($0)), vector: nil, payload: Payload(["text": .string("text \($0)")]))
    }
    records.append(PutRecord(id: .number(200), vector: vector(9, 9, 9)))
    try await client.put(records, into: "c")
    #expect(
      try await client.get([.number(150), .number(200)], from: "c").map { $0?.vector?.floats } == [
        [2, 0, 0], [9, 9, 9],
      ])
    let answer = try await client.search([SearchQuery(target: .text("anything"), k: 1)], in: "c")
    #expect(answer.hits[0].first?.distance == 0)
    #expect(answer.modules.map(\.name) == ["embedder"])
    let textless = PutRecord(id: .number(300), vector: nil, payload: Payload(["text": .int(1)]))
    let error = await failure { _ = try await client.put([textless], into: "c") }
    #expect(error?.kind == .invalidArgument)
    #expect(error?.place.contains("300") == true)
    // A version whose vectors do not fit the collection is refused, and the old one goes on.
    #expect(
      await failure {
        _ = try await client.publishModule("embedder", bytes: Guests.embedder(dimension: 5, factor: 1))
      }?
      .kind == .invalidArgument)
    #expect(try await client.search(SearchQuery(target: .text("x"), k: 1), in: "c").count == 1)
    try await test.stopAndRemove()
  }

  @Test func collectionsEmbedBytes() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.publishModule("sizes", bytes: Guests.sizes())
    try await client.publishModule("texts", bytes: Guests.embedder(dimension: 1, factor: 1))
    func schema(_ module: String) -> CollectionSchema {
      CollectionSchema(dimension: 1, embedder: EmbedderReference(module: module, sourceField: "data"))
    }
    try await client.createCollection("c", schema: schema("sizes"))
    try await client.createCollection("t", schema: schema("texts"))
    try await client.createCollection("plain", schema: CollectionSchema(dimension: 1))
    let big = [UInt8](repeating: 7, count: 3 << 20)
    try await client.put(
      [
        PutRecord(id: .number(1), vector: nil, source: .bytes(big)),
        PutRecord(id: .number(2), vector: nil, payload: Payload(["data": .bytes([1, 2, 3])])),
        PutRecord(id: .number(3), vector: nil, payload: Payload(["data": .bytes([1])]), source: .bytes([])),
      ], into: "c")
    let found = try await client.get([.number(1), .number(2), .number(3)], from: "c")
    #expect(found.map { $0?.vector?.floats } == [[Float(big.count)], [3], [0]])
    #expect(found.map { $0?.payload.fields.count } == [0, 1, 1])
    let near = SearchQuery(target: .bytes([9, 9, 9, 9]), k: 1)
    #expect(try await client.search(near, in: "c").map(\.id) == [.number(2)])

    func refusal(_ record: PutRecord, _ collection: String) async -> RoostError? {
      await failure { _ = try await client.put([record], into: collection) }
    }
    let input = PutRecord(id: .number(4), vector: nil, source: .bytes([1]))
    let wrongKind = await refusal(input, "t")
    #expect(wrongKind?.kind == .invalidArgument && wrongKind?.message.contains("embeds texts") == true)
    #expect(await failure { _ = try await client.search(near, in: "t") }?.kind == .invalidArgument)
    #expect(await refusal(input, "plain")?.place.contains("record 4, source") == true)
    #expect(await failure { _ = try await client.search(near, in: "plain") }?.kind == .invalidArgument)
    let both = PutRecord(id: .number(4), vector: vector(1), source: .bytes([1]))
    #expect(await refusal(both, "c")?.message.contains("both a vector and a source") == true)
    let long = PutRecord(
      id: .number(4), vector: nil, source: .bytes([UInt8](repeating: 0, count: Limits.embedderBytesMax + 1)))
    #expect(await refusal(long, "c")?.kind == .limitExceeded)
    try await test.stopAndRemove()
  }

  @Test func scorersOrderTheHits() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.createCollection("c", schema: CollectionSchema(dimension: 1))
    try await client.put(
      (0..<50).map { PutRecord(id: .number(UInt64($0)), vector: vector(Float($0))) }, into: "c")
    let module = try await client.publishModule("far", bytes: Guests.farthest())
    #expect(module.kind == .scorer)
    try await client.publishModule("all", bytes: Guests.constantFilter(1))
    var query = SearchQuery(
      target: .vector(vector(0)), k: 3, module: ModuleCall(module: "all"),
      score: ScoreCall(module: "far", candidates: 10))
    let answer = try await client.search([query], in: "c")
    #expect(answer.hits[0].map(\.id) == [.number(9), .number(8), .number(7)])
    #expect(answer.hits[0].map(\.score) == [81, 64, 49])
    #expect(Set(answer.modules.map(\.name)) == ["far", "all"])
    query.score?.weight = 0.25
    #expect(try await client.search(query, in: "c").map(\.id) == [.number(0), .number(1), .number(2)])
    // Many at a time.
    query.score?.weight = 1
    let many = try await client.search(Array(repeating: query, count: 200), in: "c")
    #expect(many.hits.allSatisfy { $0 == answer.hits[0] })
    query.score = ScoreCall(module: "all")
    #expect(await failure { _ = try await client.search(query, in: "c") }?.kind == .invalidArgument)
    query.score = ScoreCall(module: "nobody")
    #expect(await failure { _ = try await client.search(query, in: "c") }?.kind == .notFound)
    try await test.stopAndRemove()
  }

  @Test func transformsDeriveAttributes() async throws {
    let test = try await TestNode()
    let client = test.client
    try await client.publishModule("mark", bytes: Guests.marking())
    try await client.publishModule("all", bytes: Guests.constantFilter(1))
    func schema(_ module: String) -> CollectionSchema {
      CollectionSchema(dimension: 1, transforms: [TransformReference(module: module)])
    }
    for (module, kind) in [("nobody", RoostError.Kind.notFound), ("all", .invalidArgument)] {
      #expect(await failure { try await client.createCollection("x", schema: schema(module)) }?.kind == kind)
    }
    try await client.createCollection("c", schema: schema("mark"))
    #expect(try await client.listCollections()[0].schema == schema("mark"))
    try await client.put(
      (0..<600).map {
        PutRecord(id: .number(UInt64($0)), vector: vector(1), payload: Payload(["n": .int(Int64($0))]))
      }, into: "c")
    #expect(try await client.count(in: "c", filter: .field("seen", .equals(.bool(true)))) == 600)
    let error = await failure {
      _ = try await client.put(
        [
          PutRecord(id: .key("full"), vector: vector(1), payload: Payload(["n": .int(1)])),
          PutRecord(id: .key("bare"), vector: vector(1)),
        ], into: "c")
    }
    #expect(error?.kind == .invalidArgument && error?.place == "record bare")
    #expect(error?.message.contains("it is empty") == true)
    #expect(try await client.count(in: "c", filter: nil) == 600)
    // A name that a collection transforms with cannot become something else.
    #expect(
      await failure { _ = try await client.publishModule("mark", bytes: Guests.constantFilter(1)) }?.kind
        == .invalidArgument)
    try await test.stop()
    let again = try await TestNode(in: test.folder)
    try await again.client.put(
      [PutRecord(id: .number(9_000), vector: vector(1), payload: Payload(["n": .int(1)]))], into: "c")
    #expect(try await again.client.get([.number(9_000)], from: "c")[0]?.payload["seen"] == .bool(true))
    try await again.stopAndRemove()
  }

  @Test func aDamagedModuleIsReported() async throws {
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 2))
    try await test.client.put([PutRecord(id: .number(1), vector: vector(1, 0))], into: "c")
    let module = try await test.client.publishModule("gate", bytes: Guests.constantFilter(1))
    try await test.stop()
    let path = test.folder.path + "/data/modules/" + module.sha256 + ".wasm"
    guard let file = fopen(path, "r+") else {
      Issue.record("no module file")
      return
    }
    fseek(file, 20, SEEK_SET)
    fputc(0x7f, file)
    fclose(file)
    let again = try await TestNode(in: test.folder)
    // Found at the start, not when somebody needs it; and nothing of it is compiled.
    let status = try await again.client.inspectModule("gate")
    #expect(status.versions[0].failure?.contains("module 'gate', version 1") == true, "\(status)")
    let query = SearchQuery(target: .vector(vector(0, 0)), k: 1, module: ModuleCall(module: "gate"))
    let error = await failure { _ = try await again.client.search(query, in: "c") }
    #expect(error?.kind == .corrupted)
    #expect(error?.message.contains("module 'gate', version 1") == true)
    #expect(error?.remedy == "publish the module again")
    // Publishing it again mends it.
    #expect(try await again.client.publishModule("gate", bytes: Guests.constantFilter(1)).version == 1)
    #expect(try await again.client.search(query, in: "c").count == 1)
    try await again.stopAndRemove()
  }
}
