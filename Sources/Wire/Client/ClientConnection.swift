// One connection of a client: many calls in flight, one task that reads, one that sends, and a table
// from request ids to the calls that wait for them.

import Core
import Synchronization

final class ClientConnection: Sendable {
  private enum Waiting {
    /// The id is taken; the caller is about to wait.
    case reserved
    case reply(UnsafeContinuation<Result<Response, CallFailure>, Never>)
    case parts(PartQueue)
    /// Cancelled before its request went out.
    case cancelledEarly
    /// Nobody waits any more; the id is free again once the server has answered.
    case abandoned(sinceNanos: UInt64)
  }

  private struct Call {
    var waiting: Waiting
    var deadlineNanos: UInt64
  }

  private struct State {
    var nextID: UInt32 = 1
    var calls: [UInt32: Call] = [:]
    /// Calls that wait for room, in order.
    var queue: [UInt64: UnsafeContinuation<Void, Never>] = [:]
    var queueHead: UInt64 = 0
    var queueTail: UInt64 = 0
    var requestsInFlightMax: Int
    var bodyBytesMax = Limits.frameBodyBytesMax
    var compress = false
    var failure: RoostError?
    var failureRetryAfterMs: UInt32?
    var isDraining = false
    var isSweeping = false
    var tasks: [Task<Void, Never>] = []
  }

  let greeting: Mutex<ServerGreeting?> = Mutex(nil)
  private let connection: any Connection
  private let configuration: ClientConfiguration
  private let clock: any Clock
  private let executor: any TaskExecutor
  private let outbox: Outbox
  private let state: Mutex<State>

  private init(
    _ connection: any Connection, configuration: ClientConfiguration, clock: any Clock,
    executor: any TaskExecutor
  ) {
    self.connection = connection
    self.configuration = configuration
    self.clock = clock
    self.executor = executor
    outbox = Outbox(clock: clock, bytesMax: .max)
    state = Mutex(State(requestsInFlightMax: configuration.requestsInFlightMax))
  }

  /// Connects and says hello. Throws what the transport or the server says.
  static func open(
    _ address: SocketAddress, configuration: ClientConfiguration, transport: any Transport, clock: any Clock,
    executor: any TaskExecutor
  ) async throws(RoostError) -> ClientConnection {
    let stream = try await transport.connect(to: address, timeoutMs: configuration.connectTimeoutMs)
    let connection = ClientConnection(stream, configuration: configuration, clock: clock, executor: executor)
    connection.startTasks()
    let hello = HelloRequest(
      offered: configuration.compression ? .supported : [.streams],
      bodyBytesMax: UInt32(Limits.frameBodyBytesMax),
      streamWindowBytes: UInt32(clamping: configuration.streamWindowBytes),
      clientName: configuration.clientName)
    let deadline = clock.monotonicNanos() + UInt64(configuration.connectTimeoutMs) * 1_000_000
    do throws(CallFailure) {
      guard case .hello(let greeting) = try await connection.call(.hello(hello), Trailer(), deadline) else {
        throw .notSent(RoostError(.protocolViolation, "hello was not answered with hello", at: "\(address)"))
      }
      connection.adopt(greeting)
      return connection
    } catch {
      await connection.close(error.error)
      throw error.error
    }
  }

  private func adopt(_ greeting: ServerGreeting) {
    self.greeting.withLock { $0 = greeting }
    state.withLock { state in
      state.requestsInFlightMax = max(1, min(state.requestsInFlightMax, greeting.requestsInFlightMax))
      state.bodyBytesMax = min(state.bodyBytesMax, greeting.bodyBytesMax)
      state.compress = greeting.features.contains(.compression)
    }
  }

  /// Whether new calls may go this way.
  var isUsable: Bool { state.withLock { $0.failure == nil && !$0.isDraining } }

  // MARK: Calls

  /// Sends a request and waits for its reply, its deadline or the cancellation of the task.
  func call(
    _ request: Request, _ trailer: Trailer, _ deadlineNanos: UInt64
  ) async throws(CallFailure) -> Response {
    let id = try await reserve(deadlineNanos)
    let result = await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        self.send(request, trailer, id: id, deadlineNanos, .reply(continuation))
      }
    } onCancel: {
      self.abandon(id, RoostError(.cancelled, "the call was cancelled", at: "\(request.opcode)"))
    }
    return try result.get()
  }

  /// Sends a request whose reply comes in parts. The consumer takes them from the queue and calls
  /// `consumed` for each; `giveUp` when it wants no more.
  func openParts(
    _ request: Request, _ trailer: Trailer, _ deadlineNanos: UInt64
  ) async throws(CallFailure) -> (id: UInt32, queue: PartQueue) {
    let id = try await reserve(deadlineNanos)
    let queue = PartQueue()
    send(request, trailer, id: id, deadlineNanos, .parts(queue))
    return (id, queue)
  }

  /// Gives the server credit for a part that has been consumed.
  func consumed(_ part: PartQueue.Part, of id: UInt32) {
    guard !part.isLast else { return }
    var frame = ByteWriter()
    frame.u32(UInt32(clamping: part.creditBytes))
    control(FrameHeader(opcode: Opcode.credit.rawValue, requestID: id, streamID: id), frame.bytes)
  }

  /// Moves the deadline of a call in flight.
  func setDeadline(_ nanos: UInt64, of id: UInt32) {
    state.withLock { $0.calls[id]?.deadlineNanos = nanos }
  }

  func giveUp(_ id: UInt32) {
    abandon(id, RoostError(.cancelled, "the rest of the reply is not wanted", at: "stream"))
  }

  /// Takes a request id, waiting while the connection carries as many calls as it may.
  private func reserve(_ deadlineNanos: UInt64) async throws(CallFailure) -> UInt32 {
    while true {
      let id = try state.withLock { (state) throws(CallFailure) -> UInt32? in
        if let failure = state.failure {
          throw CallFailure(error: failure, retryAfterMs: state.failureRetryAfterMs, mayHaveRun: false)
        }
        guard state.calls.count < state.requestsInFlightMax else { return nil }
        while state.nextID == 0 || state.calls[state.nextID] != nil { state.nextID &+= 1 }
        let id = state.nextID
        state.nextID &+= 1
        state.calls[id] = Call(waiting: .reserved, deadlineNanos: deadlineNanos)
        return id
      }
      if let id { return id }
      await waitInQueue()
      if Task.isCancelled {
        throw .notSent(RoostError(.cancelled, "the call was cancelled", at: "send queue"))
      }
      if clock.monotonicNanos() >= deadlineNanos {
        throw .notSent(RoostError(.deadlineExceeded, "the call waited too long to be sent", at: "send queue"))
      }
    }
  }

  private func waitInQueue() async {
    let ticket = state.withLock { state in
      state.queueTail += 1
      return state.queueTail
    }
    await withTaskCancellationHandler {
      await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
        let mayGo = state.withLock { state in
          if state.failure != nil || state.calls.count < state.requestsInFlightMax || Task.isCancelled {
            return true
          }
          state.queue[ticket] = continuation
          return false
        }
        if mayGo { continuation.resume() }
      }
    } onCancel: {
      state.withLock { $0.queue.removeValue(forKey: ticket) }?.resume()
    }
  }

  private static func nextInQueue(_ state: inout State) -> UnsafeContinuation<Void, Never>? {
    while state.queueHead < state.queueTail, !state.queue.isEmpty {
      state.queueHead += 1
      if let waiter = state.queue.removeValue(forKey: state.queueHead) { return waiter }
    }
    return nil
  }

  private func send(
    _ request: Request, _ trailer: Trailer, id: UInt32, _ deadlineNanos: UInt64, _ waiting: Waiting
  ) {
    let now = clock.monotonicNanos()
    enum Step { case send(Int, Bool), sweepAndSend(Int, Bool), fail(CallFailure) }
    let step: Step = state.withLock { state in
      if let failure = state.failure {
        state.calls[id] = nil
        return .fail(CallFailure(error: failure, retryAfterMs: state.failureRetryAfterMs, mayHaveRun: false))
      }
      if case .cancelledEarly = state.calls[id]?.waiting {
        state.calls[id] = nil
        return .fail(.notSent(RoostError(.cancelled, "the call was cancelled", at: "\(request.opcode)")))
      }
      if now >= deadlineNanos {
        state.calls[id] = nil
        return .fail(
          .notSent(RoostError(.deadlineExceeded, "no time was left to send", at: "\(request.opcode)")))
      }
      state.calls[id]?.waiting = waiting
      if state.isSweeping { return .send(state.bodyBytesMax, state.compress) }
      state.isSweeping = true
      return .sweepAndSend(state.bodyBytesMax, state.compress)
    }
    switch step {
    case .fail(let failure): ClientConnection.end(waiting, failure)
    case .sweepAndSend(let bodyBytesMax, let compress):
      Task(executorPreference: executor) { await self.sweep() }
      append(request, trailer, id: id, now, deadlineNanos, waiting, bodyBytesMax, compress)
    case .send(let bodyBytesMax, let compress):
      append(request, trailer, id: id, now, deadlineNanos, waiting, bodyBytesMax, compress)
    }
  }

  private func append(
    _ request: Request, _ trailer: Trailer, id: UInt32, _ now: UInt64, _ deadlineNanos: UInt64,
    _ waiting: Waiting, _ bodyBytesMax: Int, _ compress: Bool
  ) {
    var streamID: UInt32 = 0
    if case .parts = waiting { streamID = id }
    let deadlineMs = UInt32(clamping: max(1, (deadlineNanos - now) / 1_000_000))
    let header = FrameHeader(
      opcode: request.opcode.rawValue, requestID: id, streamID: streamID, deadlineMs: deadlineMs)
    do throws(RoostError) {
      try outbox.append { (writer) throws(RoostError) in
        try writer.frame(header, bodyBytesMax: bodyBytesMax, compress: compress) { body in
          body.trailer = trailer
          request.encode(into: &body)
        }
      }
    } catch {
      finish(id, .failure(.notSent(error)))
    }
  }

  private func control(_ header: FrameHeader, _ body: [UInt8] = []) {
    do throws(RoostError) {
      try outbox.append { (writer) throws(RoostError) in writer.controlFrame(header, body: body) }
    } catch {
      preconditionFailure("a control frame has a fixed size: \(error)")
    }
  }

  // MARK: Ends of calls

  /// Hands the final result to whoever waits for `id`; unknown ids are late replies and mean nothing.
  private func finish(_ id: UInt32, _ result: Result<PartQueue.Part, CallFailure>) {
    let (call, waiter) = state.withLock { state in
      let call = state.calls.removeValue(forKey: id)
      return (call, call == nil ? nil : ClientConnection.nextInQueue(&state))
    }
    waiter?.resume()
    guard let call else { return }
    switch (call.waiting, result) {
    case (.reply(let continuation), .success(let part)):
      continuation.resume(returning: .success(part.response))
    case (.parts(let queue), .success(let part)): queue.add(part)
    case (let waiting, .failure(let failure)): ClientConnection.end(waiting, failure)
    default: break
    }
  }

  private static func end(_ waiting: Waiting, _ failure: CallFailure) {
    switch waiting {
    case .reply(let continuation): continuation.resume(returning: .failure(failure))
    case .parts(let queue): queue.fail(failure)
    case .reserved, .cancelledEarly, .abandoned: break
    }
  }

  /// Ends the wait for `id` now and tells the server that nobody waits.
  private func abandon(_ id: UInt32, _ error: RoostError) {
    let now = clock.monotonicNanos()
    let waiting = state.withLock { state -> Waiting? in
      guard let call = state.calls[id] else { return nil }
      switch call.waiting {
      case .reserved:
        state.calls[id]?.waiting = .cancelledEarly
        return nil
      case .cancelledEarly, .abandoned: return nil
      case .reply, .parts:
        state.calls[id]?.waiting = .abandoned(sinceNanos: now)
        return call.waiting
      }
    }
    guard let waiting else { return }
    control(FrameHeader(opcode: Opcode.cancel.rawValue, requestID: id))
    ClientConnection.end(waiting, CallFailure(error: error))
  }

  /// Enforces deadlines for as long as calls are in flight.
  private func sweep() async {
    while true {
      let now = clock.monotonicNanos()
      var next = now + 20_000_000
      var isSilent = false
      let found: ([UInt32], [UnsafeContinuation<Void, Never>])? = state.withLock { state in
        guard !state.calls.isEmpty, state.failure == nil else {
          state.isSweeping = false
          return nil
        }
        var late: [UInt32] = []
        for (id, call) in state.calls {
          if case .abandoned(let since) = call.waiting {
            if now > since + UInt64(configuration.silenceTimeoutMs) * 1_000_000 { isSilent = true }
          } else if call.deadlineNanos <= now {
            late.append(id)
          } else {
            next = min(next, call.deadlineNanos)
          }
        }
        // Calls that wait for room look at their own deadlines when they are woken.
        let queued = late.isEmpty && !isSilent ? [] : Array(state.queue.values)
        if !queued.isEmpty { state.queue = [:] }
        return (late, queued)
      }
      guard let (late, queued) = found else { return }
      for id in late {
        abandon(id, RoostError(.deadlineExceeded, "no reply came in time", at: connection.peer))
      }
      for waiter in queued { waiter.resume() }
      if isSilent {
        await close(RoostError(.connectionClosed, "the node does not answer", at: connection.peer))
      }
      do throws(RoostError) { try await clock.sleep(nanos: max(1_000_000, next - now)) } catch { return }
    }
  }

  // MARK: The tasks of the connection

  private func startTasks() {
    let sender = Task(executorPreference: executor) {
      do throws(RoostError) {
        try await self.outbox.run(self.connection)
      } catch {
        await self.close(error)
      }
    }
    let reader = Task(executorPreference: executor) {
      do throws(RoostError) {
        try await self.read()
        await self.close(
          RoostError(.connectionClosed, "the node closed the connection", at: self.connection.peer))
      } catch {
        await self.close(error)
      }
    }
    state.withLock { $0.tasks = [sender, reader] }
  }

  private enum Event {
    case final(UInt32, PartQueue.Part)
    case part(UInt32, PartQueue.Part)
    case failed(UInt32, CallFailure)
    case closing(RoostError, UInt32?)
    case draining
  }

  private func read() async throws(RoostError) {
    var receiver = FrameReceiver(connection, bodyBytesMax: Limits.frameBodyBytesMax)
    while try await receiver.fill() {
      while let event = try receiver.next(ClientConnection.decode) {
        switch event {
        case .final(let id, let part): finish(id, .success(part))
        case .failed(let id, let failure): finish(id, .failure(failure))
        case .part(let id, let part):
          let waiting = state.withLock { $0.calls[id]?.waiting }
          if case .parts(let queue) = waiting { queue.add(part) }
        case .draining: state.withLock { $0.isDraining = true }
        case .closing(let error, let retryAfterMs):
          state.withLock { $0.failureRetryAfterMs = retryAfterMs }
          throw error
        }
      }
    }
  }

  private static func decode(
    _ header: FrameHeader, _ body: UnsafeRawBufferPointer
  ) throws(RoostError) -> Event {
    guard header.flags.contains(.reply) else {
      throw RoostError(.protocolViolation, "the node sent a request", at: "frame header")
    }
    if header.flags.contains(.error) {
      let (error, retryAfterMs) = try Response.decodeError(body)
      if header.requestID == 0 { return .closing(error, retryAfterMs) }
      return .failed(header.requestID, CallFailure(error: error, retryAfterMs: retryAfterMs))
    }
    guard header.requestID != 0 else { return .draining }
    guard let opcode = Opcode(rawValue: header.opcode) else {
      throw RoostError(.protocolViolation, "a reply of unknown opcode \(header.opcode)", at: "frame header")
    }
    do throws(RoostError) {
      let response = try Response.decode(opcode, body)
      let isLast = !header.flags.contains(.more)
      let part = PartQueue.Part(
        response: response, creditBytes: isLast ? 0 : Int(header.bodyBytes), isLast: isLast)
      return isLast ? .final(header.requestID, part) : .part(header.requestID, part)
    } catch {
      return .failed(header.requestID, CallFailure(error: error))
    }
  }

  /// Ends the connection; every call in flight fails with `error`. Safe to call twice.
  func close(_ error: RoostError) async {
    let (calls, queued) = state.withLock { state in
      if state.failure == nil { state.failure = error }
      defer {
        state.calls = state.calls.filter { if case .reserved = $0.value.waiting { true } else { false } }
        state.queue = [:]
      }
      return (Array(state.calls.values), Array(state.queue.values))
    }
    for call in calls {
      ClientConnection.end(call.waiting, CallFailure(error: error))
    }
    for waiter in queued { waiter.resume() }
    outbox.close()
    await connection.close()
  }

  /// Waits until the connection's tasks have ended, after `close`.
  func waitUntilEnded() async {
    for task in state.withLock({ $0.tasks }) { await task.value }
  }
}
