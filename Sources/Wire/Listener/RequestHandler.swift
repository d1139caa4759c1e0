// The seam between the protocol and what serves it.

import Core

/// Serves requests. `handle` runs on the connection's executor and, until it first suspends, on the
/// reader's own time: what is long belongs on workers.
package protocol RequestHandler: Sendable {
  func handle(_ request: Request, _ context: RequestContext) async throws(RoostError) -> Response
}

/// What a handler may want to know about a request beside its message.
package struct RequestContext: Sendable {
  package let peer: String
  /// As the client gave it; unique among the requests in flight on the connection.
  package let requestID: UInt32
  /// On the monotonic clock. When it passes, the task is cancelled and the client is answered.
  package let deadlineNanos: UInt64
  package let trace: TraceContext?
  package let idempotencyKey: IdempotencyKey?
  /// Not nil when the client takes the reply in parts.
  package let parts: ReplyParts?

  package init(
    peer: String, requestID: UInt32 = 0, deadlineNanos: UInt64, trace: TraceContext? = nil,
    idempotencyKey: IdempotencyKey? = nil, parts: ReplyParts? = nil
  ) {
    self.peer = peer
    self.requestID = requestID
    self.deadlineNanos = deadlineNanos
    self.trace = trace
    self.idempotencyKey = idempotencyKey
    self.parts = parts
  }
}

/// Sends the parts of a reply that come before the last one, which the handler returns.
package struct ReplyParts: Sendable {
  let call: ServerCall
  let connection: ServerConnection

  /// Sends one part; waits while the client has given no credit. Throws `.cancelled` when the request is
  /// no longer wanted and `.connectionClosed` when nobody is there.
  package func send(_ part: Response) async throws(RoostError) {
    try await connection.send(part: part, of: call)
  }
}
