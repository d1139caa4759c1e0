import Core
import Testing

@testable import Wire

@Suite struct ServerTests {
  @Test func garbageGetsAnErrorAndTheEnd() async throws {
    let server = try await TestServer()
    var raw = RawClient(try await server.rawConnection())
    try await raw.send(Array("GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8))
    let reply = try await raw.nextError()
    #expect(reply?.id == 0)
    #expect(reply?.error.kind == .protocolViolation)
    #expect(await raw.isClosedByServer())
    await server.stop()
  }

  @Test func aDamagedFrameEndsItsConnectionOnly() async throws {
    let server = try await TestServer()
    let client = server.client()
    try await client.ping()
    var raw = RawClient(try await server.rawConnection())
    try await raw.hello()
    var bytes = try RawClient.frame(.count(CountRequest(collection: "c", filter: nil)), id: 2)
    bytes[bytes.count - 1] ^= 1
    try await raw.send(bytes)
    #expect(try await raw.nextError()?.error.kind == .corrupted)
    #expect(await raw.isClosedByServer())
    try await client.ping()
    #expect(server.server.metrics.connectionsAccepted.load(ordering: .relaxed) == 2)
    await client.close()
    await server.stop()
  }

  @Test func helloComesFirstAndOnce() async throws {
    let server = try await TestServer()
    var early = RawClient(try await server.rawConnection())
    try await early.send(.ping, id: 1)
    #expect(try await early.nextError()?.error.kind == .protocolViolation)
    var twice = RawClient(try await server.rawConnection())
    try await twice.hello()
    try await twice.hello()
    #expect(await twice.isClosedByServer())
    await server.stop()
  }

  @Test func helloNegotiates() async throws {
    let server = try await TestServer()
    var hello = HelloRequest(offered: [], bodyBytesMax: 1 << 20, streamWindowBytes: 0, clientName: "old")
    hello.versionMin = 2
    hello.versionMax = 9
    var newer = RawClient(try await server.rawConnection())
    try await newer.send(.hello(hello), id: 1)
    #expect(try await newer.nextError()?.error.kind == .unsupportedVersion)

    hello.versionMin = 1
    hello.required = Features(rawValue: 1 << 40)
    var demanding = RawClient(try await server.rawConnection())
    try await demanding.send(.hello(hello), id: 1)
    #expect(try await demanding.nextError()?.error.kind == .unsupportedVersion)

    // Versions in the wrong order must not trap.
    hello.versionMin = 9
    hello.versionMax = 1
    var confused = RawClient(try await server.rawConnection())
    try await confused.send(.hello(hello), id: 1)
    #expect(try await confused.nextError()?.error.kind == .unsupportedVersion)
    await server.stop()
  }

  @Test func aConnectionThatNeverSaysHelloIsClosed() async throws {
    let server = try await TestServer { $0.handshakeTimeoutMs = 30 }
    var silent = RawClient(try await server.rawConnection())
    #expect(await silent.isClosedByServer())
    var partial = RawClient(try await server.rawConnection())
    try await partial.send([0x52, 0x6f])
    #expect(await partial.isClosedByServer())
    while server.server.connectionsOpen > 0 { try await Task.sleep(nanoseconds: 1_000_000) }
    await server.stop()
  }

  @Test func unknownOpcodesAndBadMessagesFailAlone() async throws {
    let server = try await TestServer()
    var raw = RawClient(try await server.rawConnection())
    try await raw.hello()
    var writer = ByteWriter()
    writer.controlFrame(FrameHeader(opcode: 0xee, requestID: 5))
    writer.controlFrame(FrameHeader(opcode: Opcode.get.rawValue, requestID: 6), body: [1, 2, 3])
    try await raw.send(writer.bytes)
    try await raw.send(.ping, id: 7)
    let unknown = try await raw.nextError()
    #expect(unknown?.id == 5)
    #expect(unknown?.error.kind == .unsupportedVersion)
    let bad = try await raw.nextError()
    #expect(bad?.id == 6)
    #expect(bad?.error.kind == .protocolViolation)
    guard case .response(7, .ping, false) = try await raw.next() else {
      Issue.record("the connection should go on")
      return
    }
    await server.stop()
  }

  @Test func moreRequestsThanAllowedAreRefusedWithAHint() async throws {
    let server = try await TestServer {
      $0.requestsInFlightMax = 2
      $0.retryAfterMs = 33
    }
    var raw = RawClient(try await server.rawConnection())
    try await raw.hello()
    for id: UInt32 in 2...4 {
      try await raw.send(.count(CountRequest(collection: "slow", filter: nil)), id: id)
    }
    guard case .error(4, let error, let retryAfterMs) = try await raw.next() else {
      Issue.record("the third should be refused")
      return
    }
    #expect(error.kind == .overloaded)
    #expect(retryAfterMs == 33)
    await server.stop()
  }

  @Test func deadlinesAreEnforcedByTheServer() async throws {
    let server = try await TestServer()
    var raw = RawClient(try await server.rawConnection())
    try await raw.hello()
    try await raw.send(.count(CountRequest(collection: "stuck", filter: nil)), id: 2, deadlineMs: 20)
    let reply = try await raw.nextError()
    #expect(reply?.id == 2)
    #expect(reply?.error.kind == .deadlineExceeded)
    // The handler's own answer, when it comes, is dropped.
    try await raw.send(.count(CountRequest(collection: "slow", filter: nil)), id: 3)
    guard case .response(3, .count(1), _) = try await raw.next() else {
      Issue.record("one reply per request")
      return
    }
    await server.stop()
  }

  @Test func cancelIsAnsweredOnce() async throws {
    let server = try await TestServer()
    var raw = RawClient(try await server.rawConnection())
    try await raw.hello()
    try await raw.send(.count(CountRequest(collection: "slow", filter: nil)), id: 2)
    try await raw.send(RawClient.control(.cancel, id: 2))
    try await raw.send(RawClient.control(.cancel, id: 2))
    try await raw.send(RawClient.control(.cancel, id: 99))
    #expect(try await raw.nextError()?.error.kind == .cancelled)
    try await raw.send(.ping, id: 3)
    guard case .response(3, .ping, _) = try await raw.next() else {
      Issue.record("one reply per request")
      return
    }
    await server.stop()
  }

  @Test func withoutCreditNoPartsCome() async throws {
    let server = try await TestServer()
    var raw = RawClient(try await server.rawConnection())
    try await raw.hello(window: 1)
    let scan = ScanRequest(collection: "c", after: nil, limit: 1_000, filter: nil, includeVector: true)
    try await raw.send(.scan(scan), id: 2, stream: 9)
    guard case .response(2, .scan, more: true) = try await raw.next() else {
      Issue.record("the first part fits the window by rule")
      return
    }
    try await raw.send(.ping, id: 3)
    guard case .response(3, .ping, _) = try await raw.next() else {
      Issue.record("no second part without credit")
      return
    }
    try await raw.send(RawClient.control(.credit, id: 2, stream: 9, body: [0, 0, 16, 0]))
    var parts = 1
    while case .response(2, .scan, let more) = try await raw.next() {
      parts += 1
      if !more { break }
    }
    #expect(parts == 100)
    await server.stop()
  }

  @Test func creditOfAWrongSizeEndsTheConnection() async throws {
    let server = try await TestServer()
    var raw = RawClient(try await server.rawConnection())
    try await raw.hello()
    try await raw.send(RawClient.control(.credit, id: 2, stream: 9, body: [1]))
    #expect(try await raw.nextError()?.error.kind == .protocolViolation)
    await server.stop()
  }

  @Test func aReaderThatStopsReadingIsClosed() async throws {
    let server = try await TestServer(capacity: 16 * 1024) {
      $0.outgoingBytesMax = 64 * 1024
      $0.slowReaderTimeoutMs = 50
    }
    let connection = try await server.rawConnection()
    var raw = RawClient(connection)
    try await raw.hello()
    let ids = (0..<100).map { RecordID.number(UInt64($0)) }
    let request = Request.get(GetRequest(collection: "c", ids: ids, includeVector: true))
    // Sends and never reads: the server stops reading, then gives up on the connection.
    await #expect(throws: RoostError.self) {
      for id: UInt32 in 2...1_000 { try await raw.send(request, id: id) }
    }
    #expect(server.server.metrics.slowReadersClosed.load(ordering: .relaxed) == 1)
    // 64 KiB of outgoing bytes and one reply of 57 KiB beyond: far from a thousand.
    #expect(server.handler.handled.load(ordering: .relaxed) < 20)
    await server.stop()
  }

  @Test func connectionsBeyondTheLimitAreTold() async throws {
    let server = try await TestServer { $0.connectionsMax = 1 }
    let client = server.client()
    try await client.ping()
    var raw = RawClient(try await server.rawConnection())
    let reply = try await raw.nextError()
    #expect(reply?.error.kind == .overloaded)
    #expect(await raw.isClosedByServer())
    await client.close()
    await server.stop()
  }

  @Test func idleConnectionsAreClosedAndClientsComeBack() async throws {
    let server = try await TestServer { $0.idleTimeoutMs = 400 }
    let client = server.client()
    try await client.ping()
    while server.server.connectionsOpen > 0 { try await Task.sleep(nanoseconds: 5_000_000) }
    try await client.ping()
    await client.close()
    await server.stop()
  }

  @Test func shutdownLetsRequestsFinish() async throws {
    let server = try await TestServer()
    let client = server.client { $0.attemptsMax = 1 }
    try await client.connect()
    let slow = Task { try await client.count(in: "slow") }
    while server.handler.handled.load(ordering: .relaxed) == 0 {
      try await Task.sleep(nanoseconds: 1_000_000)
    }
    await server.stop()
    #expect(try await slow.value == 1)
    await #expect(throws: RoostError.self) { try await client.ping() }
    await client.close()
  }

  @Test func shutdownDoesNotWaitForever() async throws {
    let server = try await TestServer { $0.drainTimeoutMs = 20 }
    let client = server.client { $0.attemptsMax = 1 }
    try await client.connect()
    let slow = Task { try await client.count(in: "endless") }
    while server.handler.handled.load(ordering: .relaxed) == 0 {
      try await Task.sleep(nanoseconds: 1_000_000)
    }
    await server.stop()
    await #expect(throws: RoostError.self) { try await slow.value }
    await client.close()
  }
}
