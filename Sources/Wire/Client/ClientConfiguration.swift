// The settings of a client and of one call.

import Core

public struct ClientConfiguration: Sendable {
  /// Shown by the node in its statistics; at most `Limits.nameBytesMax` bytes.
  public var clientName = "roost-swift"
  public var connectTimeoutMs = 5_000
  /// The deadline of calls that state none, retries included.
  public var deadlineMs = 30_000
  /// How often a call is tried in all, as long as trying again cannot change its effect.
  public var attemptsMax = 4
  /// The pause before the second attempt; it doubles with each further one, and half of it is random.
  public var backoffMs = 20
  public var backoffMsMax = 2_000
  /// Lets both sides pack large messages with LZ4: worth it on slow links, not on loopback.
  public var compression = false
  /// How many bytes of a reply in parts may be on their way before they are consumed.
  public var streamWindowBytes = 4 * 1024 * 1024
  public var requestsInFlightMax = Limits.requestsInFlightPerConnectionMax
  /// A node that has not answered this long after a call was given up is taken for dead.
  public var silenceTimeoutMs = 10_000

  public init() {}
}

public struct CallOptions: Sendable {
  /// Nil: the client's default.
  public var deadlineMs: Int?
  public var trace: TraceContext?

  public init(deadlineMs: Int? = nil, trace: TraceContext? = nil) {
    self.deadlineMs = deadlineMs
    self.trace = trace
  }
}

/// Why a call failed, with what a retry needs to know.
struct CallFailure: Error {
  var error: RoostError
  /// The server's hint.
  var retryAfterMs: UInt32?
  /// False when the server cannot have acted on the request.
  var mayHaveRun = true

  static func notSent(_ error: RoostError) -> CallFailure { CallFailure(error: error, mayHaveRun: false) }
}
