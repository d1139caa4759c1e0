// A handler whose behaviour the name of the collection chooses.

import Core
import Synchronization
import Wire

final class ScriptedHandler: RequestHandler {
  let clock = TestClock()
  let handled = Atomic<Int>(0)
  let cancelled = Atomic<Int>(0)
  let partsSent = Atomic<Int>(0)
  let keys = Mutex<[IdempotencyKey]>([])
  /// How many requests to refuse with `.overloaded` before serving.
  let refusals = Atomic<Int>(0)

  func handle(_ request: Request, _ context: RequestContext) async throws(RoostError) -> Response {
    handled.add(1, ordering: .relaxed)
    if refusals.load(ordering: .relaxed) > 0 {
      refusals.subtract(1, ordering: .relaxed)
      throw RoostError(.overloaded, "busy", at: "test")
    }
    switch request {
    case .ping: return .ping
    case .get(let get): return .get(GetResponse(records: get.ids.map { record($0, get.includeVector) }))
    case .put(let put):
      if let key = context.idempotencyKey { keys.withLock { $0.append(key) } }
      return .put(put.records.map { _ in Version(time: 1, node: 1) })
    case .scan(let scan): return try await self.scan(scan, context)
    case .search(let search):
      let hits = search.queries.map { query in
        (0..<query.form.hitsMax).map { SearchHit(id: .number(UInt64($0)), distance: 0) }
      }
      let coverage = Coverage(shardsAnswered: 1, shardsTotal: 1)
      guard let parts = context.parts else {
        return .search(SearchResponse(hits: hits, modules: [], coverage: coverage))
      }
      for (index, hits) in hits.dropLast().enumerated() {
        try await parts.send(
          .search(SearchResponse(firstQuery: UInt32(index), hits: [hits], modules: [], coverage: coverage)))
      }
      return .search(
        SearchResponse(
          firstQuery: UInt32(hits.count - 1), hits: [hits[hits.count - 1]], modules: [], coverage: coverage))
    case .count(let count):
      switch count.collection {
      case "slow", "endless":
        let milliseconds: UInt64 = count.collection == "slow" ? 200 : 600_000
        do throws(RoostError) { try await clock.sleep(nanos: milliseconds * 1_000_000) } catch {
          cancelled.add(1, ordering: .relaxed)
          throw error
        }
        return .count(1)
      case "stuck":
        // Ignores its cancellation.
        let start = clock.monotonicNanos()
        while clock.monotonicNanos() < start + 300_000_000 { await Task.yield() }
        return .count(2)
      case "missing": throw RoostError(.notFound, "no such collection", at: "missing", remedy: "create it")
      default: return .count(3)
      }
    default: throw RoostError(.invalidArgument, "not scripted", at: "test")
    }
  }

  private func record(_ id: RecordID, _ includeVector: Bool) -> Record? {
    if case .key = id { return nil }
    let vector = includeVector ? Vector([Float](repeating: 1, count: 128)) : nil
    return Record(id: id, vector: vector, payload: Payload(["n": .int(1)]), version: .zero)
  }

  /// Numbers from 1 to 1,000, in pages of 10.
  private func scan(_ scan: ScanRequest, _ context: RequestContext) async throws(RoostError) -> Response {
    var next: UInt64 = 1
    if case .number(let number)? = scan.after?.id { next = number + 1 }
    var left = scan.limit
    while true {
      let count = min(10, left, 1_000 - next + 1)
      let records = (0..<count).compactMap { record(.number(next + $0), scan.includeVector) }
      next += count
      left -= count
      let isOver = next > 1_000
      let page = ScanPage(records: records, next: isOver ? nil : ScanCursor(id: .number(next - 1)))
      guard let parts = context.parts, !isOver, left > 0 else { return .scan(page) }
      try await parts.send(.scan(page))
      partsSent.add(1, ordering: .relaxed)
    }
  }
}

/// A server on a network in memory.
struct TestServer {
  let transport: PipeTransport
  let runtime: Runtime
  let handler = ScriptedHandler()
  let server: Server
  let address = SocketAddress(host: "test", port: 7040)
  private let task: Task<Void, Never>

  init(capacity: Int = 64 * 1024, _ adjust: (inout ServerConfiguration) -> Void = { _ in }) async throws {
    transport = PipeTransport(capacity: capacity)
    runtime = TestRuntime.make(transport: transport)
    var configuration = ServerConfiguration()
    adjust(&configuration)
    let server = Server(handler: handler, configuration: configuration, runtime: runtime)
    self.server = server
    let listener = try await transport.listen(on: address)
    // Not on the pool that the tests themselves keep busy.
    task = Task(executorPreference: runtime.executors[0]) { await server.run(listener) }
  }

  func client(_ adjust: (inout ClientConfiguration) -> Void = { _ in }) -> Client {
    var configuration = ClientConfiguration()
    // Other tests may keep every core busy.
    configuration.connectTimeoutMs = 60_000
    configuration.deadlineMs = 60_000
    adjust(&configuration)
    return Client(address, configuration: configuration, runtime: runtime)
  }

  func rawConnection() async throws -> any Connection {
    try await transport.connect(to: address, timeoutMs: 1000)
  }

  func stop() async {
    await server.shutdown()
    await task.value
  }
}

/// A hand-driven client for what the real one would never do.
struct RawClient {
  let connection: any Connection
  var receiver: FrameReceiver

  init(_ connection: any Connection) {
    self.connection = connection
    receiver = FrameReceiver(connection, bodyBytesMax: Limits.frameBodyBytesMax)
  }

  func send(_ bytes: [UInt8]) async throws {
    try await connection.send(IOBuffer(bytes), range: 0..<bytes.count)
  }

  func send(
    _ request: Request, id: UInt32, stream: UInt32 = 0, deadlineMs: UInt32 = 0
  ) async throws {
    try await send(RawClient.frame(request, id: id, stream: stream, deadlineMs: deadlineMs))
  }

  static func frame(_ request: Request, id: UInt32, stream: UInt32 = 0, deadlineMs: UInt32 = 0) throws
    -> [UInt8]
  {
    var writer = ByteWriter()
    try writer.frame(
      FrameHeader(opcode: request.opcode.rawValue, requestID: id, streamID: stream, deadlineMs: deadlineMs),
      bodyBytesMax: Limits.frameBodyBytesMax
    ) { request.encode(into: &$0) }
    return writer.bytes
  }

  static func control(_ opcode: Opcode, id: UInt32, stream: UInt32 = 0, body: [UInt8] = []) -> [UInt8] {
    var writer = ByteWriter()
    writer.controlFrame(FrameHeader(opcode: opcode.rawValue, requestID: id, streamID: stream), body: body)
    return writer.bytes
  }

  mutating func hello(window: UInt32 = 1 << 20) async throws {
    try await send(
      .hello(
        HelloRequest(
          offered: [.streams], bodyBytesMax: 1 << 26, streamWindowBytes: window, clientName: "raw")), id: 1)
    _ = try await next()
  }

  enum Reply {
    case response(UInt32, Response, more: Bool)
    case error(UInt32, RoostError, retryAfterMs: UInt32?)
    case draining
  }

  /// The next frame; nil at the end of the stream.
  mutating func next() async throws -> Reply? {
    while true {
      let reply = try receiver.next { (header, body) throws(RoostError) -> Reply in
        if header.flags.contains(.error) {
          let (error, retryAfterMs) = try Response.decodeError(body)
          return .error(header.requestID, error, retryAfterMs: retryAfterMs)
        }
        if header.requestID == 0 { return .draining }
        guard let opcode = Opcode(rawValue: header.opcode) else {
          throw RoostError(.protocolViolation, "opcode")
        }
        return .response(
          header.requestID, try Response.decode(opcode, body), more: header.flags.contains(.more))
      }
      if let reply { return reply }
      guard try await receiver.fill() else { return nil }
    }
  }

  mutating func nextError() async throws -> (id: UInt32, error: RoostError)? {
    guard case .error(let id, let error, _) = try await next() else { return nil }
    return (id, error)
  }

  /// Whether the server ends the connection without another frame.
  mutating func isClosedByServer() async -> Bool {
    do { return try await next() == nil } catch { return true }
  }
}
