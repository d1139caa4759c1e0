import Core
import Synchronization
import Testing

@testable import Wire

/// A node that says hello and nothing else.
private func serveGreetingOnly(_ connection: any Connection, endingAfterFrames limit: Int) async throws {
  var receiver = FrameReceiver(connection, bodyBytesMax: 1 << 20)
  var frames = 0
  while frames < limit {
    do { guard try await receiver.fill() else { break } } catch { break }
    while let header = try receiver.next({ header, _ in header }) {
      frames += 1
      guard frames == 1 else { continue }
      let greeting = ServerGreeting(
        features: .supported, nodeID: 1, serverVersion: "rude", requestsInFlightMax: 8, bodyBytesMax: 1 << 20)
      var writer = ByteWriter()
      try writer.frame(
        FrameHeader(opcode: 1, flags: .reply, requestID: header.requestID), bodyBytesMax: 1 << 20
      ) { greeting.encode(into: &$0) }
      try await connection.send(IOBuffer(writer.bytes), range: 0..<writer.count)
    }
  }
  await connection.close()
}

@Suite struct ClientTests {
  @Test func greetsAndPings() async throws {
    let server = try await TestServer { $0.nodeID = 77 }
    let client = server.client()
    #expect(try await client.connect().nodeID == 77)
    try await client.ping()
    await client.close()
    await #expect(throws: RoostError.self) { try await client.ping() }
    await server.stop()
  }

  @Test func manyTasksShareOneConnection() async throws {
    let server = try await TestServer()
    let client = server.client()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for task in 0..<20 {
        group.addTask {
          for call in 0..<50 {
            let id = UInt64(task * 100 + call)
            let records = try await client.get([.number(id), .key("none")], from: "c")
            #expect(records[0]?.id == .number(id))
            #expect(records[1] == nil)
          }
        }
      }
      try await group.waitForAll()
    }
    #expect(server.server.metrics.connectionsAccepted.load(ordering: .relaxed) == 1)
    await client.close()
    await server.stop()
  }

  @Test func slowCallsDoNotHoldUpQuickOnes() async throws {
    let server = try await TestServer()
    let client = server.client()
    try await client.connect()
    let order = Mutex<[String]>([])
    let slow = Task { try await client.count(in: "slow") }
    // The slow one is surely on its way once a later call has been answered.
    try await client.ping()
    _ = try await client.count(in: "quick")
    order.withLock { $0.append("quick") }
    #expect(try await slow.value == 1)
    order.withLock { $0.append("slow") }
    #expect(order.withLock { $0 } == ["quick", "slow"])
    await client.close()
    await server.stop()
  }

  @Test func moreCallsThanTheServerTakesWaitTheirTurn() async throws {
    let server = try await TestServer { $0.requestsInFlightMax = 4 }
    let client = server.client { $0.attemptsMax = 1 }
    let total = try await withThrowingTaskGroup(of: Int.self) { group in
      for _ in 0..<12 { group.addTask { try await client.count(in: "slow") } }
      return try await group.reduce(0, +)
    }
    #expect(total == 12)
    #expect(server.server.metrics.errors.load(ordering: .relaxed) == 0)
    await client.close()
    await server.stop()
  }

  @Test func errorsArriveWhole() async throws {
    let server = try await TestServer()
    let client = server.client()
    let error = await #expect(throws: RoostError.self) { try await client.count(in: "missing") }
    #expect(error == RoostError(.notFound, "no such collection", at: "missing", remedy: "create it"))
    await client.close()
    await server.stop()
  }

  @Test func deadlinesEndTheWaitEvenWhenTheHandlerIsStuck() async throws {
    let server = try await TestServer()
    let client = server.client()
    for collection in ["slow", "stuck"] {
      let error = await #expect(throws: RoostError.self) {
        try await client.count(in: collection, options: CallOptions(deadlineMs: 30))
      }
      #expect(error?.kind == .deadlineExceeded)
    }
    try await client.ping()
    await client.close()
    await server.stop()
  }

  @Test func cancellingTheTaskCancelsTheRequest() async throws {
    let server = try await TestServer()
    let client = server.client()
    try await client.connect()
    let task = Task { try await client.count(in: "endless") }
    while server.handler.handled.load(ordering: .relaxed) == 0 {
      try await Task.sleep(nanoseconds: 1_000_000)
    }
    task.cancel()
    let error = await #expect(throws: RoostError.self) { try await task.value }
    #expect(error?.kind == .cancelled)
    try await client.ping()
    while server.handler.cancelled.load(ordering: .relaxed) == 0 {
      try await Task.sleep(nanoseconds: 1_000_000)
    }
    let early = Task {
      withUnsafeCurrentTask { $0?.cancel() }
      return try await client.count(in: "quick")
    }
    await #expect(throws: RoostError.self) { try await early.value }
    await client.close()
    await server.stop()
  }

  @Test func overloadedCallsAreTriedAgain() async throws {
    let server = try await TestServer { $0.retryAfterMs = 5 }
    let client = server.client()
    server.handler.refusals.store(2, ordering: .relaxed)
    #expect(try await client.count(in: "c") == 3)
    server.handler.refusals.store(100, ordering: .relaxed)
    let error = await #expect(throws: RoostError.self) { try await client.count(in: "c") }
    #expect(error?.kind == .overloaded)
    await client.close()
    await server.stop()
  }

  @Test func reconnectsAndRepeatsIdempotentCallsOnly() async throws {
    let transport = PipeTransport()
    let runtime = TestRuntime.make(transport: transport)
    let address = SocketAddress(host: "test", port: 1)
    let listener = try await transport.listen(on: address)
    let handler = ScriptedHandler()
    // The first connections end as soon as a request after hello has come.
    let rude = Task(executorPreference: runtime.executors[0]) {
      for _ in 0..<2 {
        let connection = try await listener.accept()
        try await serveGreetingOnly(connection, endingAfterFrames: 2)
      }
    }
    var configuration = ClientConfiguration()
    configuration.connectTimeoutMs = 60_000
    let client = Client(address, configuration: configuration, runtime: runtime)
    let schema = CollectionSchema(dimension: 4)
    let error = await #expect(throws: RoostError.self) {
      try await client.createCollection("c", schema: schema)
    }
    #expect(error?.kind == .connectionClosed, "creating is not repeated")
    let serving = Task(executorPreference: runtime.executors[0]) {
      try await rude.value
      await Server(handler: handler, configuration: ServerConfiguration(), runtime: runtime).run(listener)
    }
    let versions = try await client.put(
      [PutRecord(id: .number(1), vector: Vector([1] as [Float]))], into: "c")
    #expect(versions.count == 1)
    #expect(handler.keys.withLock { $0.count } == 1)
    await client.close()
    await listener.close()
    try await serving.value
  }

  @Test func anUnreachableNodeIsAnError() async throws {
    let transport = PipeTransport()
    let client = Client(
      SocketAddress(host: "nowhere", port: 9), runtime: TestRuntime.make(transport: transport))
    let error = await #expect(throws: RoostError.self) { try await client.ping() }
    #expect(error?.kind == .unavailable)
    await client.close()
  }

  @Test func aNodeThatFallsSilentIsTakenForDead() async throws {
    let transport = PipeTransport()
    let address = SocketAddress(host: "test", port: 1)
    let listener = try await transport.listen(on: address)
    let runtime = TestRuntime.make(transport: transport)
    let silent = Task(executorPreference: runtime.executors[0]) {
      let connection = try await listener.accept()
      try await serveGreetingOnly(connection, endingAfterFrames: .max)
    }
    var configuration = ClientConfiguration()
    configuration.silenceTimeoutMs = 20
    configuration.deadlineMs = 500
    let client = Client(
      address, configuration: configuration, runtime: TestRuntime.make(transport: transport))
    try await client.connect()
    let waiting = Task { try await client.count(in: "c") }
    let error = await #expect(throws: RoostError.self) { try await client.ping(CallOptions(deadlineMs: 100)) }
    #expect(error?.kind == .deadlineExceeded)
    // Nothing answers the cancellation either, so the connection is given up and its end is seen there.
    _ = try await silent.value
    waiting.cancel()
    _ = await waiting.result
    await client.close()
  }

  @Test func aNodeThatDoesNotGreetIsAnError() async throws {
    let transport = PipeTransport()
    let address = SocketAddress(host: "test", port: 1)
    let listener = try await transport.listen(on: address)
    let accepting = Task { try await listener.accept() }
    var configuration = ClientConfiguration()
    configuration.connectTimeoutMs = 20
    let client = Client(
      address, configuration: configuration, runtime: TestRuntime.make(transport: transport))
    let error = await #expect(throws: RoostError.self) { try await client.ping() }
    #expect(error?.kind == .deadlineExceeded)
    _ = try await accepting.value
    await client.close()
  }

  @Test func idsAreCheckedBeforeTheyAreSent() async throws {
    let server = try await TestServer()
    let client = server.client()
    let error = await #expect(throws: RoostError.self) {
      try await client.get([.key(String(repeating: "k", count: 300))], from: "c")
    }
    #expect(error?.kind == .limitExceeded)
    await client.close()
    await server.stop()
  }

  // MARK: Replies in parts

  @Test func scansStreamUnderFlowControl() async throws {
    let server = try await TestServer()
    // A page of ten records with vectors is about 5.5 KiB: three pages exhaust the window.
    let client = server.client { $0.streamWindowBytes = 16 * 1024 }
    var ids: [UInt64] = []
    for try await page in client.scan("c") {
      if ids.isEmpty {
        // Nothing is consumed, so no more than the window comes.
        try await Task.sleep(nanoseconds: 20_000_000)
        #expect(server.handler.partsSent.load(ordering: .relaxed) <= 4)
      }
      ids += page.records.compactMap { if case .number(let number) = $0.id { number } else { nil } }
    }
    #expect(ids == Array(1...1000))
    await client.close()
    await server.stop()
  }

  @Test func scansEndAtTheirLimit() async throws {
    let server = try await TestServer()
    let client = server.client()
    var count = 0
    for try await page in client.scan("c", after: .number(100), limit: 35, includeVector: false) {
      count += page.records.count
    }
    #expect(count == 35)
    let page = try await client.scanPage("c", after: ScanCursor(id: .number(995)))
    #expect(page.records.count == 5)
    #expect(page.next == nil)
    await client.close()
    await server.stop()
  }

  @Test func leavingAScanStopsTheServer() async throws {
    let server = try await TestServer()
    let client = server.client { $0.streamWindowBytes = 8 * 1024 }
    for try await _ in client.scan("c") { break }
    // The server learns of it and counts nothing in flight any more: a drain ends at once.
    await server.stop()
    #expect(server.handler.partsSent.load(ordering: .relaxed) < 20)
    await client.close()
  }

  @Test func batchSearchesComeInParts() async throws {
    let server = try await TestServer()
    let client = server.client()
    let queries = (1...30).map { SearchQuery(target: .record(.number(1)), k: $0) }
    let answer = try await client.search(queries, in: "c")
    #expect(answer.hits.map(\.count) == Array(1...30))
    #expect(answer.coverage.isFull)
    #expect(try await client.search(queries[4], in: "c").count == 5)
    await client.close()
    await server.stop()
  }

  @Test func compressionIsAgreedOn() async throws {
    let server = try await TestServer()
    let client = server.client { $0.compression = true }
    let records = try await client.get((1...50).map { .number($0) }, from: "c")
    #expect(records.compactMap { $0 }.count == 50)
    await client.close()
    await server.stop()
  }
}
