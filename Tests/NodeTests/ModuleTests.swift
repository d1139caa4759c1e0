import Core
import Glibc
import Storage
import Testing
import Wasm
import Wire

@testable import Node

private enum Guests {
  private static func module(_ functions: String, memoryPages: Int = 16) throws -> [UInt8] {
    try WatText.assemble(
      """
      (module
        (memory (export "memory") \(memoryPages))
        (func (export "roost_abi") (result i32) (i32.const 1))
        (func (export "roost_buffer") (param i32) (result i32) (i32.const 65536))
        \(functions))
      """)
  }

  /// Passes every second candidate of a batch, starting with the first.
  static func everySecond() throws -> [UInt8] {
    try module(
      """
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32)
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
          (i32.store8 (i32.add (local.get $out) (local.get $i)) (i32.and (i32.add (local.get $i) (i32.const 1)) (i32.const 1)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (local.get $n))
      """)
  }

  static func constantFilter(_ verdict: Int) throws -> [UInt8] {
    try module(
      """
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (memory.fill (local.get $out) (i32.const \(verdict)) (local.get $n))
        (local.get $n))
      """)
  }

  static func trapping() throws -> [UInt8] {
    try module(
      """
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32) (unreachable))
      """)
  }

  /// The score is the distance, so that the farthest of the candidates comes first.
  static func farthest() throws -> [UInt8] {
    try module(
      """
      (func (export "roost_score") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (memory.copy (local.get $out)
          (i32.and (i32.add
            (i32.add (local.get $in) (i32.load (i32.add (local.get $in) (i32.shl (local.get $n) (i32.const 2)))))
            (i32.const 15)) (i32.const -16))
          (i32.shl (local.get $n) (i32.const 2)))
        (local.get $n))
      """)
  }

  /// Sets "seen" to true; refuses an empty payload.
  static func marking() throws -> [UInt8] {
    try module(
      """
      (data (i32.const 2048) "\\01\\04seen\\02") (data (i32.const 2064) "it is empty")
      (func (export "roost_transform") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32) (local $at i32)
        (loop $next
          (local.set $at (i32.add (local.get $in) (i32.shl (local.get $i) (i32.const 2))))
          (if (i32.eq (i32.sub (i32.load offset=4 (local.get $at)) (i32.load (local.get $at))) (i32.const 1))
            (then
              (i32.store (local.get $out) (i32.const 1))
              (i32.store offset=4 (local.get $out) (i32.const 2064))
              (i32.store offset=8 (local.get $out) (i32.const 11)))
            (else
              (i32.store (local.get $out) (i32.const 0))
              (i32.store offset=4 (local.get $out) (i32.const 2048))
              (i32.store offset=8 (local.get $out) (i32.const 7))))
          (local.set $out (i32.add (local.get $out) (i32.const 12)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
        (local.get $n))
      """)
  }

  /// Embeds bytes: the vector is (how many there are).
  static func sizes() throws -> [UInt8] {
    try module(
      """
      (func (export "roost_dimension") (result i32) (i32.const 1))
      (func (export "roost_embed_bytes") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32)
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
          (f32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 2)))
            (f32.convert_i32_u (i32.sub
              (i32.load offset=4 (i32.add (local.get $in) (i32.shl (local.get $i) (i32.const 2))))
              (i32.load (i32.add (local.get $in) (i32.shl (local.get $i) (i32.const 2)))))))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (local.get $n))
      """, memoryPages: 160)
  }

  /// Every vector is (factor, 0, …).
  static func embedder(dimension: Int, factor: Float) throws -> [UInt8] {
    try module(
      """
      (func (export "roost_dimension") (result i32) (i32.const \(dimension)))
      (func (export "roost_embed") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32)
        (memory.fill (local.get $out) (i32.const 0) (i32.mul (local.get $n) (i32.const \(dimension * 4))))
        (block $done (loop $next
          (br_if $done (i32.ge_u (local.get $i) (local.get $n)))
          (f32.store (i32.add (local.get $out) (i32.mul (local.get $i) (i32.const \(dimension * 4)))) (f32.const \(factor)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br $next)))
        (local.get $n))
      """)
  }
}

@Suite struct ModuleTests {
  @Test func digestsAreThoseOfTheStandard() {
    // FIPS 180-4 examples.
    #expect(sha256Text([]) == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855")
    #expect(
      sha256Text(Array("abc".utf8)) == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad")
    #expect(
      sha256Text(Array("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq".utf8))
        == "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1")
    #expect(
      sha256Text([UInt8](repeating: UInt8(ascii: "a"), count: 1_000_000))
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
    #expect(answer.modules == [ModuleVersion(name: "gate", sha256: none.sha256)])
    // A new version under the same name serves the next query.
    let all = try await client.publishModule("gate", bytes: Guests.constantFilter(1))
    #expect(all.sha256 != none.sha256)
    answer = try await client.search([query, query], in: "c")
    #expect(answer.hits.map(\.count) == [3, 3])
    #expect(answer.modules == [ModuleVersion(name: "gate", sha256: all.sha256)])
    // Publishing the same bytes again changes nothing.
    #expect(try await client.publishModule("gate", bytes: Guests.constantFilter(1)) == all)
    #expect(try await client.listModules() == [all])
    try await test.stop()

    let again = try await TestNode(in: test.folder)
    #expect(try await again.client.listModules() == [all])
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
    let query = SearchQuery(target: .vector(vector(0, 0)), k: 1, module: ModuleCall(module: "gate"))
    #expect(await failure { _ = try await again.client.search(query, in: "c") }?.kind == .corrupted)
    // Publishing it again mends it.
    _ = try await again.client.publishModule("gate", bytes: Guests.constantFilter(0))
    _ = try await again.client.publishModule("gate", bytes: Guests.constantFilter(1))
    #expect(try await again.client.search(query, in: "c").count == 1)
    try await again.stopAndRemove()
  }
}
