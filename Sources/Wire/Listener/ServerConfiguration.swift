// The settings of a server's connections.

import Core

package struct ServerConfiguration: Sendable {
  package var nodeID: UInt32 = 1
  package var serverVersion = "0"
  package var connectionsMax = Limits.connectionsMax
  package var requestsInFlightMax = Limits.requestsInFlightPerConnectionMax
  package var bodyBytesMax = Limits.frameBodyBytesMax
  /// A connection with more unsent bytes than this is not read from until its peer catches up.
  package var outgoingBytesMax = 8 * 1024 * 1024
  /// A connection whose peer takes no bytes for this long is closed.
  package var slowReaderTimeoutMs = 30_000
  /// How long a fresh connection may take to say hello.
  package var handshakeTimeoutMs = 5_000
  /// A connection without a frame for this long is closed; its client reconnects when it needs to.
  package var idleTimeoutMs = 15 * 60_000
  /// Requests that state no deadline get this one.
  package var defaultDeadlineMs = 60_000
  /// When a refused client should come back.
  package var retryAfterMs = 50
  /// How long requests in flight may take to finish when the server stops.
  package var drainTimeoutMs = 10_000

  package init() {}
}
