// Accepts connections and spreads them over the executors.

import Core
import Synchronization

/// A server of the wire protocol: give it listeners with `run`, stop it with `shutdown`.
package final class Server: Sendable {
  private struct State {
    var connections: [UInt64: (connection: ServerConnection, task: Task<Void, Never>)] = [:]
    var listeners: [any Listener] = []
    var nextConnection: UInt64 = 0
    var isStopping = false
  }

  package let metrics = ServerMetrics()
  private let state = Mutex(State())
  private let handler: any RequestHandler
  private let configuration: ServerConfiguration
  private let runtime: Runtime

  package init(handler: any RequestHandler, configuration: ServerConfiguration, runtime: Runtime) {
    self.handler = handler
    self.configuration = configuration
    self.runtime = runtime
  }

  package var connectionsOpen: Int { state.withLock { $0.connections.count } }

  /// Accepts from `listener` until it is closed or the server shuts down.
  package func run(_ listener: any Listener) async {
    let mayRun = state.withLock { state in
      if !state.isStopping { state.listeners.append(listener) }
      return !state.isStopping
    }
    guard mayRun else { return await listener.close() }
    let reaper = Task(executorPreference: runtime.executors[0]) { await self.reapIdle() }
    defer { reaper.cancel() }
    while true {
      do throws(RoostError) {
        serve(try await listener.accept())
      } catch {
        if error.kind == .cancelled || error.kind == .connectionClosed { return }
        // Out of file descriptors, most likely: give connections a moment to end.
        do throws(RoostError) { try await runtime.clock.sleep(nanos: 100_000_000) } catch { return }
      }
    }
  }

  private func serve(_ connection: any Connection) {
    metrics.connectionsAccepted.add(1, ordering: .relaxed)
    let number = state.withLock { state -> UInt64? in
      guard !state.isStopping, state.connections.count < configuration.connectionsMax else { return nil }
      state.nextConnection += 1
      return state.nextConnection
    }
    guard let number else {
      metrics.connectionsRefused.add(1, ordering: .relaxed)
      Task(executorPreference: runtime.executors[0]) { await self.refuse(connection) }
      return
    }
    let executor = runtime.executors[Int(number % UInt64(runtime.executors.count))]
    let served = ServerConnection(
      connection, handler: handler, configuration: configuration, clock: runtime.clock, executor: executor,
      metrics: metrics)
    // Entered under the lock that its end needs, so that it cannot end before it is entered.
    state.withLock { state in
      let task = Task(executorPreference: executor) {
        await served.run()
        _ = self.state.withLock { $0.connections.removeValue(forKey: number) }
      }
      state.connections[number] = (served, task)
    }
  }

  /// One error frame, then the end.
  private func refuse(_ connection: any Connection) async {
    let error = RoostError(
      .overloaded, "the node has \(configuration.connectionsMax) connections, the limit is reached",
      at: "connection", remedy: "try again later, or share a connection: requests are multiplexed")
    let header = FrameHeader(opcode: Opcode.goAway.rawValue, flags: [.reply, .error], requestID: 0)
    var writer = ByteWriter()
    do throws(RoostError) {
      try writer.frame(header, bodyBytesMax: Limits.frameBodyBytesMax) { body in
        error.encode(into: &body)
        body.trailer.retryAfterMs = UInt32(configuration.retryAfterMs)
      }
      try await connection.send(IOBuffer(writer.bytes), range: 0..<writer.count)
    } catch {
      // The peer is gone already; that is what was wanted.
    }
    await connection.close()
  }

  /// Closes connections that have been silent for long: their peers may have vanished without a word.
  private func reapIdle() async {
    let limitNanos = UInt64(configuration.idleTimeoutMs) * 1_000_000
    while true {
      do throws(RoostError) { try await runtime.clock.sleep(nanos: max(limitNanos / 4, 1_000_000)) } catch {
        return
      }
      let now = runtime.clock.monotonicNanos()
      let connections = state.withLock { $0.connections.values.map(\.connection) }
      for connection in connections where connection.isIdle(since: now - min(now, limitNanos)) {
        await connection.connection.close()
      }
    }
  }

  /// Stops accepting, lets requests in flight finish (bounded by the drain timeout), closes everything.
  package func shutdown() async {
    let (listeners, connections) = state.withLock { state in
      state.isStopping = true
      return (state.listeners, Array(state.connections.values))
    }
    for listener in listeners { await listener.close() }
    await withTaskGroup(of: Void.self) { group in
      for (connection, task) in connections {
        group.addTask {
          await connection.drain()
          await task.value
        }
      }
    }
  }
}
