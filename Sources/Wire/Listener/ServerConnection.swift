// One client's connection as the server sees it. The reader task decodes requests and starts each one
// at once, in place: a request that never suspends is answered before the next one is decoded, and one
// that does goes on by itself, so replies come in whatever order they are ready.

import Core
import Synchronization

/// A request in flight.
package struct ServerCall: Sendable {
  /// Unique in the connection, while a client may use a request id again once it has been answered.
  let serial: UInt64
  let requestID: UInt32
  let streamID: UInt32
  let opcode: Opcode
  let deadlineNanos: UInt64
}

package final class ServerConnection: Sendable {
  struct State {
    var greeting: HelloRequest?
    var features: Features = []
    /// The longest body that the client takes.
    var peerBodyBytesMax = 4096
    var nextSerial: UInt64 = 1
    var inFlight = 0
    /// The call that the reader is starting: it either ends before the reader goes on, or joins `running`.
    var starting: UInt64?
    var running: [UInt64: Running] = [:]
    var streams: [UInt64: Stream] = [:]
    var lastFrameNanos: UInt64
    var isSweeping = false
    var isDraining = false
    var isClosed = false
    var drained: [UnsafeContinuation<Void, Never>] = []
  }

  struct Running {
    var call: ServerCall
    var task: Task<Void, Never>
    /// The client has had its reply (cancelled, too late); what the handler returns is dropped.
    var isAnswered = false
  }

  /// The flow control of a reply in parts.
  struct Stream {
    let id: UInt32
    var credit: Int
    var isCancelled = false
    var waiter: UnsafeContinuation<Void, Never>?
  }

  let connection: any Connection
  let outbox: Outbox
  let state: Mutex<State>
  let configuration: ServerConfiguration
  let clock: any Clock
  let metrics: ServerMetrics
  private let handler: any RequestHandler
  private let executor: any TaskExecutor

  init(
    _ connection: any Connection, handler: any RequestHandler, configuration: ServerConfiguration,
    clock: any Clock, executor: any TaskExecutor, metrics: ServerMetrics
  ) {
    self.connection = connection
    self.handler = handler
    self.configuration = configuration
    self.clock = clock
    self.executor = executor
    self.metrics = metrics
    outbox = Outbox(clock: clock, bytesMax: configuration.outgoingBytesMax)
    state = Mutex(State(lastFrameNanos: clock.monotonicNanos()))
  }

  // MARK: Life of a connection

  /// Serves the connection until either side ends it.
  func run() async {
    let sender = Task(executorPreference: executor) {
      do throws(RoostError) {
        try await self.outbox.run(self.connection)
      } catch {
        // The peer is gone or stuck: end the reader, too, whether it waits for bytes or for room.
        self.outbox.close()
        await self.connection.close()
      }
    }
    let handshake = timer(afterMs: configuration.handshakeTimeoutMs) {
      if self.state.withLock({ $0.greeting == nil }) { await self.connection.close() }
    }
    do throws(RoostError) {
      try await read(handshake)
    } catch {
      await sayGoodbye(error, sender)
    }
    handshake.cancel()
    abandonCalls()
    outbox.close()
    await connection.close()
    await sender.value
  }

  /// How long a connection may go on with requests that arrived together.
  private static let turnNanosMax: UInt64 = 200_000

  private func read(_ handshake: Task<Void, Never>) async throws(RoostError) {
    var receiver = FrameReceiver(connection, bodyBytesMax: configuration.bodyBytesMax)
    while try await receiver.fill() {
      let now = clock.monotonicNanos()
      state.withLock { $0.lastFrameNanos = now }
      var turnNanos = now
      while let incoming = try receiver.next(Incoming.decode) {
        try accept(incoming, receivedNanos: now)
        if outbox.isFull {
          startSweeping()
          await outbox.waitForRoom()
        }
        // What arrives together is answered in place; other connections on the executor get their turn, too.
        let nanos = clock.monotonicNanos()
        if nanos - turnNanos > ServerConnection.turnNanosMax {
          await Task.yield()
          turnNanos = nanos
        }
      }
      if !handshake.isCancelled, state.withLock({ $0.greeting != nil }) { handshake.cancel() }
    }
  }

  /// Tells the client why the connection ends, when it may still be listening, and gives it a moment to
  /// read that: closing a socket with unread bytes would destroy what is on its way.
  private func sayGoodbye(_ error: RoostError, _ sender: Task<Void, Never>) async {
    guard error.kind != .connectionClosed && error.kind != .io && error.kind != .cancelled else { return }
    metrics.framesRefused.add(1, ordering: .relaxed)
    sendError(error, requestID: 0, opcode: Opcode.goAway.rawValue)
    outbox.finish()
    let patience = timer(afterMs: 500) { await self.connection.close() }
    await sender.value
    let buffer = IOBuffer(count: 16 * 1024)
    do throws(RoostError) {
      while try await connection.receive(into: buffer, range: 0..<buffer.count) > 0 {}
    } catch {
      // Whatever ended it, it has ended.
    }
    patience.cancel()
  }

  func launch(_ body: @escaping @Sendable () async -> Void) {
    Task(executorPreference: executor) { await body() }
  }

  /// Nothing has arrived after `nanos` and nothing is in flight.
  func isIdle(since nanos: UInt64) -> Bool {
    state.withLock { $0.inFlight == 0 && $0.lastFrameNanos < nanos }
  }

  private func timer(afterMs ms: Int, _ action: @escaping @Sendable () async -> Void) -> Task<Void, Never> {
    Task(executorPreference: executor) { [clock] in
      do throws(RoostError) {
        try await clock.sleep(nanos: UInt64(ms) * 1_000_000)
      } catch {
        return
      }
      if !Task.isCancelled { await action() }
    }
  }

  private func abandonCalls() {
    let (tasks, waiters) = state.withLock { state in
      state.isClosed = true
      defer { state.drained = [] }
      var waiters = state.drained
      for serial in Array(state.streams.keys) {
        if let waiter = state.streams[serial]?.waiter {
          state.streams[serial]?.waiter = nil
          waiters.append(waiter)
        }
      }
      return (state.running.values.map(\.task), waiters)
    }
    for task in tasks { task.cancel() }
    for waiter in waiters { waiter.resume() }
  }

  /// Refuses new requests, lets those in flight finish, then closes.
  func drain() async {
    let timeout = timer(afterMs: configuration.drainTimeoutMs) { await self.connection.close() }
    var notice = ByteWriter()
    notice.controlFrame(FrameHeader(opcode: Opcode.goAway.rawValue, flags: .reply, requestID: 0))
    send(notice)
    await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
      let mayGo = state.withLock { state in
        state.isDraining = true
        if state.inFlight == 0 || state.isClosed { return true }
        state.drained.append(continuation)
        return false
      }
      if mayGo { continuation.resume() }
    }
    outbox.finish()
    while outbox.backlog.bytes > 0, !state.withLock({ $0.isClosed }) {
      do throws(RoostError) { try await clock.sleep(nanos: 1_000_000) } catch { break }
    }
    timeout.cancel()
    await connection.close()
  }

  // MARK: Requests

  private func accept(_ incoming: Incoming, receivedNanos: UInt64) throws(RoostError) {
    switch incoming {
    case .request(let header, .hello(let hello), _): try greet(hello, header)
    case .request(let header, let request, let trailer):
      guard state.withLock({ $0.greeting != nil }) else { throw ServerConnection.helloFirst }
      start(request, trailer, header, receivedNanos: receivedNanos)
    case .refused(let header, let error):
      guard state.withLock({ $0.greeting != nil }) else { throw error }
      sendError(error, requestID: header.requestID, opcode: header.opcode)
    case .cancel(let requestID): cancel(requestID)
    case .credit(let streamID, let bytes): grant(bytes, to: streamID)
    }
  }

  private static let helloFirst = RoostError(
    .protocolViolation, "the first message of a connection must be hello", at: "connection")

  private func greet(_ hello: HelloRequest, _ header: FrameHeader) throws(RoostError) {
    guard (hello.versionMin...max(hello.versionMin, hello.versionMax)).contains(FrameHeader.version) else {
      throw RoostError(
        .unsupportedVersion,
        "the client speaks protocol versions \(hello.versionMin) to \(hello.versionMax), this node "
          + "speaks \(FrameHeader.version)", at: "hello", remedy: "upgrade the older side")
    }
    guard hello.required.isSubset(of: .supported) else {
      throw RoostError(
        .unsupportedVersion,
        "the client requires features \(hello.required.rawValue) of the protocol, this node "
          + "has \(Features.supported.rawValue)", at: "hello", remedy: "upgrade the node")
    }
    let features = hello.offered.intersection(.supported)
    let isFirst = state.withLock { state in
      guard state.greeting == nil else { return false }
      state.greeting = hello
      state.features = features
      state.peerBodyBytesMax = max(4096, min(Int(hello.bodyBytesMax), Limits.frameBodyBytesMax))
      return true
    }
    guard isFirst else {
      throw RoostError(.protocolViolation, "hello was said twice", at: "connection")
    }
    let greeting = ServerGreeting(
      features: features, nodeID: configuration.nodeID, serverVersion: configuration.serverVersion,
      requestsInFlightMax: configuration.requestsInFlightMax, bodyBytesMax: configuration.bodyBytesMax)
    sendReply(.hello(greeting), requestID: header.requestID)
  }

  private func start(
    _ request: Request, _ trailer: Trailer, _ header: FrameHeader, receivedNanos: UInt64
  ) {
    metrics.requests.add(1, ordering: .relaxed)
    let deadlineMs = header.deadlineMs > 0 ? Int(header.deadlineMs) : configuration.defaultDeadlineMs
    let deadline = receivedNanos + UInt64(deadlineMs) * 1_000_000
    // Requests wait behind those that arrived with them; one that waited too long is not worth starting.
    if header.deadlineMs > 0, clock.monotonicNanos() >= deadline {
      sendError(ServerConnection.deadlineExceeded, requestID: header.requestID, opcode: header.opcode)
      return
    }
    let admission: Result<(UInt64, Bool), RoostError> = state.withLock { state in
      if state.isDraining {
        return .failure(
          RoostError(
            .unavailable, "the node is stopping", at: "connection", remedy: "connect to another node"))
      }
      if state.inFlight >= configuration.requestsInFlightMax {
        return .failure(
          RoostError(
            .overloaded, "\(state.inFlight) requests are in flight on this connection, the limit is reached",
            at: "connection", remedy: "wait for replies before sending more"))
      }
      let serial = state.nextSerial
      state.nextSerial += 1
      state.inFlight += 1
      state.starting = serial
      let inParts = header.streamID != 0 && state.features.contains(.streams)
      if inParts {
        let window = Int(state.greeting?.streamWindowBytes ?? 0)
        state.streams[serial] = Stream(id: header.streamID, credit: window)
      }
      return .success((serial, inParts))
    }
    switch admission {
    case .failure(let error): sendError(error, requestID: header.requestID, opcode: header.opcode)
    case .success(let (serial, inParts)):
      let call = ServerCall(
        serial: serial, requestID: header.requestID, streamID: header.streamID, opcode: request.opcode,
        deadlineNanos: deadline)
      let context = RequestContext(
        peer: connection.peer, requestID: header.requestID, deadlineNanos: deadline, trace: trailer.trace,
        idempotencyKey: trailer.idempotencyKey,
        parts: inParts ? ReplyParts(call: call, connection: self) : nil)
      let task = Task.immediate(executorPreference: executor) {
        await self.serve(request, call, context)
      }
      let suspended = state.withLock { state in
        guard state.starting == serial else { return false }
        state.starting = nil
        state.running[serial] = Running(call: call, task: task)
        return true
      }
      if suspended { startSweeping() }
    }
  }

  private func serve(_ request: Request, _ call: ServerCall, _ context: RequestContext) async {
    let result: Result<Response, RoostError>
    do throws(RoostError) {
      result = .success(try await handler.handle(request, context))
    } catch {
      result = .failure(error)
    }
    let isAnswered = state.withLock { state in
      state.streams[call.serial] = nil
      if state.starting == call.serial {
        state.starting = nil
        return false
      }
      return state.running.removeValue(forKey: call.serial)?.isAnswered ?? false
    }
    if !isAnswered {
      switch result {
      case .success(let response): sendReply(response, requestID: call.requestID, streamID: call.streamID)
      case .failure(let error):
        sendError(error, requestID: call.requestID, opcode: call.opcode.rawValue, streamID: call.streamID)
      }
    }
    // Only now: a drain that sees nothing in flight closes once what was appended has gone out.
    let drained = state.withLock { state in
      state.inFlight -= 1
      guard state.inFlight == 0, !state.drained.isEmpty else { return [UnsafeContinuation<Void, Never>]() }
      defer { state.drained = [] }
      return state.drained
    }
    for continuation in drained { continuation.resume() }
  }
}
