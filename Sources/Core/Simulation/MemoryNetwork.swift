// A network in memory: named hosts, byte streams with latency and bounded buffers, and cables to cut.

import Synchronization

/// The links between simulated hosts. Each host gets its `Transport` from `transport(host:)`. With a
/// `SeededExecutor` bytes take virtual time; without one they arrive at once, on any executor.
public final class MemoryNetwork: Sendable {
  public struct Settings: Sendable {
    /// One way; drawn anew for each piece, never overtaking.
    public var latencyNanos: ClosedRange<UInt64>
    /// How much a sender can be ahead of its receiver.
    public var bufferBytes: Int
    /// The chance that a send finds the connection broken, for both ends.
    public var breakProbability: Double
    /// Receives return any part of what has arrived, as TCP may.
    public var splitsReceives: Bool

    public init(
      latencyNanos: ClosedRange<UInt64> = 50_000...500_000, bufferBytes: Int = 256 * 1024,
      breakProbability: Double = 0, splitsReceives: Bool = true
    ) {
      precondition(bufferBytes > 0)
      self.latencyNanos = latencyNanos
      self.bufferBytes = bufferBytes
      self.breakProbability = breakProbability
      self.splitsReceives = splitsReceives
    }
  }

  /// A direction from one host to another.
  struct Route: Hashable {
    var from: String
    var to: String
    var reversed: Route { Route(from: to, to: from) }
  }

  struct State {
    var random: SplitMix64
    var settings: Settings
    var ports: [SocketAddress: MemoryPort] = [:]
    var pipes: [UInt64: MemoryPipe] = [:]
    var cuts: Set<Route> = []
    var downHosts: Set<String> = []
    var nextPort: UInt16 = 49_152
    var nextPipe: UInt64 = 0

    func isOpen(_ route: Route) -> Bool {
      !cuts.contains(route) && !downHosts.contains(route.from) && !downHosts.contains(route.to)
    }

    /// In a fixed order, since the order of waking is part of the run.
    var orderedPipes: [MemoryPipe] { pipes.sorted { $0.key < $1.key }.map(\.value) }
  }

  let state: Mutex<State>
  let executor: SeededExecutor?

  public init(seed: UInt64, executor: SeededExecutor? = nil, settings: Settings = Settings()) {
    state = Mutex(State(random: SplitMix64(seed: seed), settings: settings))
    self.executor = executor
  }

  /// The network as seen from one host. The host may be called by its name, `localhost`, `127.0.0.1` or `::1`
  /// from itself, and by its name from the others.
  public func transport(host: String) -> MemoryTransport { MemoryTransport(network: self, host: host) }

  // MARK: - Faults

  public func change(_ body: (inout Settings) -> Void) { state.withLock { body(&$0.settings) } }

  /// Nothing passes from one host to the other any more; what was sent waits, as TCP would send it again.
  /// Cut one direction only for a half-open link.
  public func cut(from: String, to: String) {
    _ = state.withLock { $0.cuts.insert(Route(from: from, to: to)) }
  }

  /// Cuts every link between the two groups, both ways.
  public func partition(_ left: [String], _ right: [String]) {
    for one in left {
      for other in right {
        cut(from: one, to: other)
        cut(from: other, to: one)
      }
    }
  }

  /// Mends all cuts; what was held up comes through.
  public func heal() {
    state.withLock { state in
      state.cuts.removeAll()
      wakeAll(&state)
    }
  }

  public func heal(from: String, to: String) {
    state.withLock { state in
      state.cuts.remove(Route(from: from, to: to))
      wakeAll(&state)
    }
  }

  /// Resets the connections between two hosts; bytes under way are lost.
  public func breakConnections(_ one: String, _ other: String) {
    state.withLock { state in
      for pipe in state.orderedPipes where pipe.joins(one, other) { pipe.fail() }
    }
  }

  /// The host vanishes without a word: its listeners and connections are gone on its side, and the others
  /// are not told.
  public func crash(_ host: String) {
    state.withLock { state in
      state.downHosts.insert(host)
      let own = state.ports.filter { $0.key.host == host }.sorted { $0.key.port < $1.key.port }
      for (address, port) in own {
        state.ports[address] = nil
        _ = port.shutDown()
      }
      for pipe in state.orderedPipes {
        if pipe.route.to == host { pipe.abandonReceiving() }
        if pipe.route.from == host { pipe.abandonSending() }
      }
    }
  }

  /// The host is reachable again, with no memory of its connections: who sends on one finds it closed.
  public func restart(_ host: String) {
    state.withLock { state in
      state.downHosts.remove(host)
      wakeAll(&state)
    }
  }

  private func wakeAll(_ state: inout State) {
    for pipe in state.orderedPipes {
      pipe.wakeReceiver()
      pipe.wakeSender()
    }
  }

  // MARK: - Time

  var nowNanos: UInt64 { executor?.nowNanos ?? 0 }

  /// When something that is sent now arrives.
  func arrival(_ state: inout State) -> UInt64 {
    guard let executor else { return 0 }
    return executor.nowNanos + UInt64.random(in: state.settings.latencyNanos, using: &state.random)
  }

  /// Lets `nanos` pass; at once when there is no virtual time.
  func pause(nanos: UInt64) async throws(RoostError) {
    guard let executor else { return }
    try await VirtualClock(executor).sleep(nanos: nanos)
  }

  /// Wakes the pipe's receiver when its next bytes are due.
  func wakeReceiver(of pipe: MemoryPipe, atNanos due: UInt64) {
    guard let executor, due > executor.nowNanos else { return pipe.wakeReceiver() }
    executor.schedule(afterNanos: due - executor.nowNanos) { [self] in
      state.withLock { _ in pipe.wakeReceiver() }
    }
  }

  /// Suspends the task until somebody wakes it or it is cancelled. `register` runs under the lock and stores
  /// the continuation, or returns false when there is no need to wait; `wake` resumes what it stored.
  func suspend(
    _ register: (inout State, UnsafeContinuation<Void, Never>) -> Bool, wake: @escaping @Sendable () -> Void
  ) async {
    await withTaskCancellationHandler {
      await withUnsafeContinuation { continuation in
        // Cancellation is looked at under the lock: one that comes later finds what was registered.
        let mustWait = state.withLock { !Task.isCancelled && register(&$0, continuation) }
        if !mustWait { continuation.resume() }
      }
    } onCancel: {
      state.withLock { _ in wake() }
    }
  }
}
