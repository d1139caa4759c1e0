// What a stranger would try. Each attempt gets a clear error, and the node goes on.

import Core
import Glibc
import Storage
import Testing

@testable import Node
@testable import Wire

@Suite struct BadInputTests {
  private func node() async throws -> TestNode {
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 4))
    try await test.client.put([PutRecord(id: .number(1), vector: vector(1, 2, 3, 4))], into: "c")
    return test
  }

  @Test func badRecordsAreRefusedAndNothingOfTheirBatchIsKept() async throws {
    let test = try await node()
    let client = test.client
    func put(_ record: PutRecord) async -> RoostError? {
      await failure {
        try await client.put([PutRecord(id: .number(2), vector: vector(0, 0, 0, 1)), record], into: "c")
      }
    }
    let dimension = await put(PutRecord(id: .number(3), vector: vector(1, 2)))
    #expect(dimension?.kind == .invalidArgument)
    #expect(dimension?.description.contains("dimension 2") == true)
    #expect(await put(PutRecord(id: .number(3), vector: vector(1, 2, 3, .nan)))?.kind == .invalidArgument)
    #expect(
      await put(PutRecord(id: .number(3), vector: vector(1, 2, 3, .infinity)))?.kind == .invalidArgument)
    #expect(
      await put(PutRecord(id: .number(3), vector: Vector([1, 2, 3, 4] as [UInt8])))?.kind == .invalidArgument)
    #expect(await put(PutRecord(id: .number(3), vector: nil))?.kind == .invalidArgument)
    #expect(
      await put(PutRecord(id: .key(String(repeating: "k", count: 65)), vector: vector(1, 2, 3, 4)))?.kind
        == .limitExceeded)
    #expect(await put(PutRecord(id: .key(""), vector: vector(1, 2, 3, 4)))?.kind == .invalidArgument)
    let large = Payload(["text": .string(String(repeating: "x", count: 70_000))])
    #expect(
      await put(PutRecord(id: .number(3), vector: vector(1, 2, 3, 4), payload: large))?.kind == .limitExceeded
    )
    let nan = Payload(["x": .double(.nan)])
    #expect(
      await put(PutRecord(id: .number(3), vector: vector(1, 2, 3, 4), payload: nan))?.kind == .invalidArgument
    )
    #expect(try await client.count(in: "c") == 1)
    try await test.stopAndRemove()
  }

  @Test func oversizedBatchesAreRefused() async throws {
    let test = try await node()
    let records = (0...Limits.batchRecordsMax).map {
      PutRecord(id: .number(UInt64($0)), vector: vector(1, 2, 3, 4))
    }
    #expect(await failure { try await test.client.put(records, into: "c") }?.kind == .limitExceeded)
    let wide = (0..<5_000).map {
      PutRecord(id: .number(UInt64($0)), vector: Vector([Float](repeating: 0, count: Limits.dimensionMax)))
    }
    let error = await failure { try await test.client.put(wide, into: "c") }
    #expect(error?.kind == .limitExceeded)
    #expect(error?.remedy.contains("smaller batches") == true)
    let queries = [SearchQuery](
      repeating: SearchQuery(target: .record(.number(1))), count: Limits.batchQueriesMax + 1)
    #expect(await failure { _ = try await test.client.search(queries, in: "c") }?.kind == .limitExceeded)
    #expect(try await test.client.count(in: "c") == 1)
    try await test.stopAndRemove()
  }

  @Test func badQueriesAreRefused() async throws {
    let test = try await node()
    let client = test.client
    func search(_ query: SearchQuery, in name: String = "c") async -> RoostError? {
      await failure { _ = try await client.search(query, in: name) }
    }
    let good = SearchTarget.vector(vector(1, 2, 3, 4))
    #expect(await search(SearchQuery(target: good), in: "nowhere")?.kind == .notFound)
    #expect(await search(SearchQuery(target: .vector(vector(1))))?.kind == .invalidArgument)
    #expect(await search(SearchQuery(target: .vector(vector(1, 2, .nan, 4))))?.kind == .invalidArgument)
    #expect(await search(SearchQuery(target: .record(.number(404))))?.kind == .notFound)
    #expect(await search(SearchQuery(target: .text("hello")))?.kind == .invalidArgument)
    #expect(await search(SearchQuery(target: good, k: 0))?.kind == .invalidArgument)
    #expect(await search(SearchQuery(target: good, k: -5))?.kind == .invalidArgument)
    #expect(await search(SearchQuery(target: good, k: Limits.kMax + 1))?.kind == .invalidArgument)
    #expect(await search(SearchQuery(target: good, module: ModuleCall(module: "nobody")))?.kind == .notFound)
    #expect(await failure { _ = try await client.search([SearchQuery](), in: "c") }?.kind == .invalidArgument)
    var deep = Filter.field("x", .exists)
    for _ in 0..<Limits.filterDepthMax + 5 { deep = .not(deep) }
    #expect(await failure { _ = try await client.count(in: "c", filter: deep) }?.kind == .limitExceeded)
    #expect(try await client.search(SearchQuery(target: good), in: "c").count == 1)
    try await test.stopAndRemove()
  }

  @Test func badCollectionsAreRefused() async throws {
    let test = try await node()
    let client = test.client
    for name in ["", ".hidden", "a/b", "../escape", "a b", String(repeating: "n", count: 65)] {
      #expect(
        await failure { try await client.createCollection(name, schema: CollectionSchema(dimension: 4)) }?
          .kind
          == .invalidArgument, "\(name)")
    }
    #expect(
      await failure { try await client.createCollection("c", schema: CollectionSchema(dimension: 4)) }?.kind
        == .alreadyExists)
    for dimension in [0, Limits.dimensionMax + 1] {
      #expect(
        await failure {
          try await client.createCollection("d", schema: CollectionSchema(dimension: dimension))
        }?.kind
          == .invalidArgument)
    }
    #expect(await failure { try await client.dropCollection("nowhere") }?.kind == .notFound)
    let embedded = CollectionSchema(
      dimension: 4, embedder: EmbedderReference(module: "nobody", sourceField: "text"))
    #expect(await failure { try await client.createCollection("e", schema: embedded) }?.kind == .notFound)
    #expect(try await client.listCollections().map(\.name) == ["c"])
    try await test.stopAndRemove()
  }

  @Test func badBackupFoldersAreRefused() async throws {
    let test = try await node()
    let data = test.folder.path + "/data"
    for directory in ["", "relative", test.folder.path + "/x/../../y", data, data + "/inside"] {
      #expect(
        await failure { try await test.client.backup("c", to: directory) }?.kind == .invalidArgument,
        "\(directory)")
    }
    try await test.stopAndRemove()
  }

  @Test func garbageOnTheSocketIsAnsweredAndClosed() async throws {
    let test = try await node()
    let stranger = try await test.runtime.transport.connect(to: test.node.address, timeoutMs: 1_000)
    let bytes = Array("POST /search HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd".utf8)
    try await stranger.send(IOBuffer(bytes), range: 0..<bytes.count)
    var receiver = FrameReceiver(stranger, bodyBytesMax: 1 << 20)
    var kind: RoostError.Kind?
    while kind == nil, try await receiver.fill() {
      kind = try receiver.next { (_, body) throws(RoostError) in try Response.decodeError(body).error.kind }
    }
    #expect(kind == .protocolViolation)
    await stranger.close()
    try await test.client.ping()
    try await test.stopAndRemove()
  }

  @Test func halfOpenConnectionsAreClosed() async throws {
    let test = try await TestNode { $0.handshakeTimeoutMs = 50 }
    let silent = try await test.runtime.transport.connect(to: test.node.address, timeoutMs: 1_000)
    let buffer = IOBuffer(count: 16)
    #expect(try await silent.receive(into: buffer, range: 0..<16) == 0)
    await silent.close()
    try await test.stopAndRemove()
  }

  @Test func slowReadersAreClosedAndOthersGoOn() async throws {
    let test = try await TestNode { $0.slowReaderTimeoutMs = 100 }
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 1_024))
    let records = (0..<100).map {
      PutRecord(id: .number(UInt64($0)), vector: Vector([Float](repeating: Float($0), count: 1_024)))
    }
    try await test.client.put(records, into: "c")
    let slow = try await test.runtime.transport.connect(to: test.node.address, timeoutMs: 1_000)
    var frames = ByteWriter()
    let hello = HelloRequest(offered: [], bodyBytesMax: 1 << 26, streamWindowBytes: 0, clientName: "slow")
    try frames.frame(FrameHeader(opcode: 1, requestID: 1), bodyBytesMax: 1 << 26) { hello.encode(into: &$0) }
    let get = GetRequest(collection: "c", ids: records.map(\.id), includeVector: true)
    try frames.frame(FrameHeader(opcode: Opcode.get.rawValue, requestID: 2), bodyBytesMax: 1 << 26) {
      get.encode(into: &$0)
    }
    let one = frames.bytes
    let sending = Task {
      try await slow.send(IOBuffer(one), range: 0..<one.count)
      // 400 KiB of reply for each; nothing is ever read.
      let again = Array(one[(one.count - 32 - WireFuzz.encode { get.encode(into: &$0) }.count)...])
      while true { try await slow.send(IOBuffer(again), range: 0..<again.count) }
    }
    await #expect(throws: RoostError.self) { try await sending.value }
    await slow.close()
    #expect(try await test.client.count(in: "c") == 100)
    try await test.stopAndRemove()
  }

  @Test func tooManyQueriesAtOnceAreRefused() async throws {
    let test = try await TestNode { $0.queriesPerCoreMax = 1 }
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 4))
    var settings = ClientConfiguration()
    settings.attemptsMax = 1
    let impatient = Client(test.node.address, configuration: settings, runtime: test.runtime)
    let records = (0..<5_000).map { PutRecord(id: .number(UInt64($0)), vector: vector(Float($0), 0, 0, 0)) }
    try await test.client.put(records, into: "c")
    // One search of what is in memory is answered at once; a batch is spread over the rings.
    let batch = Array(
      repeating: SearchQuery(target: .vector(vector(0, 0, 0, 0)), k: 100, exact: true), count: 4)
    let refused = await withTaskGroup(of: Int.self) { group in
      for _ in 0..<200 {
        group.addTask {
          let error = await failure { _ = try await impatient.search(batch, in: "c") as SearchAnswer }
          return error?.kind == .overloaded ? 1 : 0
        }
      }
      return await group.reduce(0, +)
    }
    #expect(refused > 0)
    #expect(try await test.client.count(in: "c", filter: .field("x", .exists)) == 0)
    await impatient.close()
    try await test.stopAndRemove()
  }
}
