// The client of a node: one multiplexed connection, made when it is first needed and again whenever it
// is lost, and the rules for trying again.

import Core
import Synchronization

/// A client of one node. Any number of tasks may call it at the same time; their requests share one
/// connection. All calls throw `RoostError`; cancelling the calling task cancels the request.
public final class Client: Sendable {
  public let address: SocketAddress
  let configuration: ClientConfiguration
  let clock: any Clock
  private let transport: any Transport
  private let random: any RandomSource
  private let executor: any TaskExecutor

  private enum Link {
    case none
    case opening(Task<Result<ClientConnection, RoostError>, Never>)
    case open(ClientConnection)
    case closed
  }

  private let link = Mutex(Link.none)

  public init(
    _ address: SocketAddress, configuration: ClientConfiguration = ClientConfiguration(),
    transport: any Transport, clock: any Clock, random: any RandomSource, executor: any TaskExecutor
  ) {
    self.address = address
    self.configuration = configuration
    self.transport = transport
    self.clock = clock
    self.random = random
    self.executor = executor
  }

  public convenience init(
    _ address: SocketAddress, configuration: ClientConfiguration = ClientConfiguration(), runtime: Runtime
  ) {
    self.init(
      address, configuration: configuration, transport: runtime.transport, clock: runtime.clock,
      random: runtime.random, executor: runtime.executors[0])
  }

  /// Connects now instead of at the first call; returns what the node said about itself.
  @discardableResult
  public func connect() async throws(RoostError) -> ServerGreeting {
    let connection = try await connection()
    guard let greeting = connection.greeting.withLock({ $0 }) else {
      throw RoostError(.internalFailure, "a connection was used before its greeting", at: "\(address)")
    }
    return greeting
  }

  /// Closes the connection; calls in flight and later ones throw `.connectionClosed`.
  public func close() async {
    let before = link.withLock { link in
      defer { link = .closed }
      return link
    }
    switch before {
    case .none, .closed: return
    case .open(let connection):
      await connection.close(Client.closedError)
      await connection.waitUntilEnded()
    case .opening(let task):
      if case .success(let connection) = await task.value {
        await connection.close(Client.closedError)
        await connection.waitUntilEnded()
      }
    }
  }

  private static let closedError = RoostError(.connectionClosed, "the client has been closed", at: "client")

  /// The connection in use, or a new one; callers that come while it is being made share it.
  func connection() async throws(RoostError) -> ClientConnection {
    enum Step {
      case use(ClientConnection)
      case wait(Task<Result<ClientConnection, RoostError>, Never>)
      case refuse
    }
    let step: Step = link.withLock { link in
      switch link {
      case .closed: return .refuse
      case .opening(let task): return .wait(task)
      case .open(let connection) where connection.isUsable: return .use(connection)
      case .open, .none:
        let task = Task(executorPreference: executor) { await self.openConnection() }
        link = .opening(task)
        return .wait(task)
      }
    }
    switch step {
    case .use(let connection): return connection
    case .wait(let task): return try await task.value.get()
    case .refuse: throw Client.closedError
    }
  }

  private func openConnection() async -> Result<ClientConnection, RoostError> {
    let result: Result<ClientConnection, RoostError>
    do throws(RoostError) {
      result = .success(
        try await ClientConnection.open(
          address, configuration: configuration, transport: transport, clock: clock, executor: executor))
    } catch {
      result = .failure(error)
    }
    link.withLock { link in
      // `close` may have come in between; then it waits for this task and closes what it made.
      guard case .opening = link else { return }
      if case .success(let connection) = result { link = .open(connection) } else { link = .none }
    }
    return result
  }

  // MARK: Trying and trying again

  func deadlineNanos(_ options: CallOptions) -> UInt64 {
    clock.monotonicNanos() + UInt64(max(0, options.deadlineMs ?? configuration.deadlineMs)) * 1_000_000
  }

  /// A key for a write, so that the node recognises a second attempt.
  func makeIdempotencyKey() -> IdempotencyKey {
    IdempotencyKey(high: random.next(), low: random.next())
  }

  func call(
    _ request: Request, _ options: CallOptions, key: IdempotencyKey? = nil
  ) async throws(RoostError) -> Response {
    let deadline = deadlineNanos(options)
    let trailer = Trailer(trace: options.trace, idempotencyKey: key)
    return try await retrying(isIdempotent: request.isIdempotent, deadlineNanos: deadline) {
      (connection) throws(CallFailure) in
      try await connection.call(request, trailer, deadline)
    }
  }

  /// Runs `attempt` until it succeeds, trying again what may be tried again while time is left.
  func retrying<T: Sendable>(
    isIdempotent: Bool, deadlineNanos: UInt64,
    _ attempt: (ClientConnection) async throws(CallFailure) -> T
  ) async throws(RoostError) -> T {
    var attempts = 1
    while true {
      do throws(CallFailure) {
        let connection: ClientConnection
        do throws(RoostError) { connection = try await self.connection() } catch {
          throw CallFailure.notSent(error)
        }
        return try await attempt(connection)
      } catch {
        guard attempts < configuration.attemptsMax,
          Client.isWorthRepeating(error, isIdempotent: isIdempotent),
          await pause(attempts, error, deadlineNanos)
        else { throw error.error }
        attempts += 1
      }
    }
  }

  private static func isWorthRepeating(_ failure: CallFailure, isIdempotent: Bool) -> Bool {
    switch failure.error.kind {
    // The node refused, so nothing has happened.
    case .overloaded, .unavailable: true
    case .connectionClosed, .io: failure.error != closedError && (isIdempotent || !failure.mayHaveRun)
    default: false
    }
  }

  /// Sleeps between attempts; false when the deadline leaves no time or the task is cancelled.
  private func pause(_ attempts: Int, _ failure: CallFailure, _ deadlineNanos: UInt64) async -> Bool {
    let full = min(configuration.backoffMsMax, configuration.backoffMs << min(attempts - 1, 20))
    let jittered = full / 2 + Int(random.next() % UInt64(full / 2 + 1))
    let nanos = UInt64(max(jittered, Int(failure.retryAfterMs ?? 0))) * 1_000_000
    guard clock.monotonicNanos() + nanos < deadlineNanos else { return false }
    do throws(RoostError) {
      try await clock.sleep(nanos: nanos)
      return true
    } catch {
      return false
    }
  }
}
