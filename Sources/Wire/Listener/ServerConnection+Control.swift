// The parts of a server connection beside serving: cancellation, deadlines, credit, and sending.

import Core

extension ServerConnection {
  static let deadlineExceeded = RoostError(
    .deadlineExceeded, "the request did not finish in time", at: "deadline",
    remedy: "allow more time; a write may still have happened, and repeating it is safe")
  static let cancelled = RoostError(.cancelled, "the client cancelled the request", at: "request")

  // MARK: Answering before the handler does

  func cancel(_ requestID: UInt32) {
    let found = state.withLock { state -> Running? in
      guard
        let (serial, running) = state.running.first(where: {
          $0.value.call.requestID == requestID && !$0.value.isAnswered
        })
      else { return nil }
      state.running[serial]?.isAnswered = true
      return running
    }
    if let found { end(found, ServerConnection.cancelled) }
  }

  private func end(_ running: Running, _ error: RoostError) {
    sendError(
      error, requestID: running.call.requestID, opcode: running.call.opcode.rawValue,
      streamID: running.call.streamID)
    running.task.cancel()
  }

  /// Watches deadlines and a stalled peer for as long as there is something to watch.
  func startSweeping() {
    let mustStart = state.withLock { state in
      guard !state.isSweeping, !state.isClosed else { return false }
      state.isSweeping = true
      return true
    }
    if mustStart { launch { await self.sweep() } }
  }

  private func sweep() async {
    while true {
      let now = clock.monotonicNanos()
      let backlog = outbox.backlog
      if let stalledSince = backlog.stalledSinceNanos,
        now > stalledSince + UInt64(configuration.slowReaderTimeoutMs) * 1_000_000
      {
        metrics.slowReadersClosed.add(1, ordering: .relaxed)
        outbox.close()
        await connection.close()
      }
      var next = now + 100_000_000
      let late: [Running]? = state.withLock { state in
        if state.isClosed || (state.running.isEmpty && backlog.bytes == 0) {
          state.isSweeping = false
          return nil
        }
        var late: [Running] = []
        for (serial, running) in state.running where !running.isAnswered {
          if running.call.deadlineNanos <= now {
            state.running[serial]?.isAnswered = true
            late.append(running)
          } else {
            next = min(next, running.call.deadlineNanos)
          }
        }
        return late
      }
      guard let late else { return }
      for running in late { end(running, ServerConnection.deadlineExceeded) }
      do throws(RoostError) {
        try await clock.sleep(nanos: max(1_000_000, next - now))
      } catch {
        state.withLock { $0.isSweeping = false }
        return
      }
    }
  }

  // MARK: Replies in parts

  func grant(_ bytes: Int, to streamID: UInt32) {
    let waiter = state.withLock { state -> UnsafeContinuation<Void, Never>? in
      guard let serial = state.streams.first(where: { $0.value.id == streamID })?.key,
        var stream = state.streams[serial]
      else { return nil }
      stream.credit = min(stream.credit + bytes, Int(UInt32.max))
      defer { state.streams[serial] = stream }
      guard stream.credit > 0 else { return nil }
      defer { stream.waiter = nil }
      return stream.waiter
    }
    waiter?.resume()
  }

  private enum Turn { case go, wait, closed, cancelled }

  /// Whether a part of `serial` may go out now.
  private static func turn(_ state: inout State, _ serial: UInt64) -> Turn {
    if state.isClosed { return .closed }
    guard let stream = state.streams[serial], !stream.isCancelled,
      !(state.running[serial]?.isAnswered ?? false)
    else { return .cancelled }
    return stream.credit > 0 ? .go : .wait
  }

  func send(part: Response, of call: ServerCall) async throws(RoostError) {
    let serial = call.serial
    waiting: while true {
      await outbox.waitForRoom()
      switch state.withLock({ ServerConnection.turn(&$0, serial) }) {
      case .go: break waiting
      case .closed: throw RoostError(.connectionClosed, "the client is gone", at: connection.peer)
      case .cancelled: throw ServerConnection.cancelled
      case .wait:
        await withTaskCancellationHandler {
          await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
            let mayGo = state.withLock { state in
              guard ServerConnection.turn(&state, serial) == .wait else { return true }
              state.streams[serial]?.waiter = continuation
              return false
            }
            if mayGo { continuation.resume() }
          }
        } onCancel: {
          let waiter = state.withLock { state -> UnsafeContinuation<Void, Never>? in
            state.streams[serial]?.isCancelled = true
            defer { state.streams[serial]?.waiter = nil }
            return state.streams[serial]?.waiter
          }
          waiter?.resume()
        }
      }
    }
    let (bodyBytesMax, compress) = state.withLock {
      ($0.peerBodyBytesMax, $0.features.contains(.compression))
    }
    let header = FrameHeader(
      opcode: call.opcode.rawValue, flags: [.reply, .more], requestID: call.requestID, streamID: call.streamID
    )
    var sent = 0
    try outbox.append { (writer) throws(RoostError) in
      sent = try writer.frame(header, bodyBytesMax: bodyBytesMax, compress: compress) {
        part.encode(into: &$0)
      }
    }
    state.withLock { $0.streams[serial]?.credit -= sent }
  }

  // MARK: Sending

  func sendReply(_ response: Response, requestID: UInt32, streamID: UInt32 = 0) {
    let (bodyBytesMax, compress) = state.withLock {
      ($0.peerBodyBytesMax, $0.features.contains(.compression))
    }
    let header = FrameHeader(
      opcode: response.opcode.rawValue, flags: .reply, requestID: requestID, streamID: streamID)
    do throws(RoostError) {
      try outbox.append { (writer) throws(RoostError) in
        try writer.frame(header, bodyBytesMax: bodyBytesMax, compress: compress) {
          response.encode(into: &$0)
        }
      }
    } catch {
      // The reply is longer than the client takes; the error is not.
      sendError(error, requestID: requestID, opcode: header.opcode, streamID: streamID)
    }
  }

  func sendError(_ error: RoostError, requestID: UInt32, opcode: UInt8, streamID: UInt32 = 0) {
    metrics.errors.add(1, ordering: .relaxed)
    let header = FrameHeader(
      opcode: opcode, flags: [.reply, .error], requestID: requestID, streamID: streamID)
    do throws(RoostError) {
      try outbox.append { (writer) throws(RoostError) in
        try writer.frame(header, bodyBytesMax: Limits.frameBodyBytesMax) { body in
          error.encode(into: &body)
          if error.kind == .overloaded { body.trailer.retryAfterMs = UInt32(self.configuration.retryAfterMs) }
        }
      }
    } catch {
      preconditionFailure("an error message is bounded by three texts: \(error)")
    }
  }

  /// Queues finished frames; nothing when the connection is closed.
  func send(_ frames: ByteWriter) {
    do throws(RoostError) {
      try outbox.append { (writer) throws(RoostError) in writer.raw(frames.bytes) }
    } catch {
      preconditionFailure("appending bytes cannot fail: \(error)")
    }
  }
}
