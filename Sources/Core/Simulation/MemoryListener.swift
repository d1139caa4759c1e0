// A simulated listening socket.

/// Where connections arrive.
///
/// Safety of `@unchecked Sendable`: touched only under the lock of the network.
final class MemoryPort: @unchecked Sendable {
  /// A connection that nobody has accepted yet, seen from the listening side.
  struct Arrival: Sendable {
    var incoming: MemoryPipe
    var outgoing: MemoryPipe
    var peer: String
  }

  private static let backlogMax = 1_024

  private var backlog: [Arrival] = []
  private var waiters: [UnsafeContinuation<Void, Never>] = []
  private(set) var isClosed = false

  var hasArrivals: Bool { !backlog.isEmpty }

  /// False when too many wait already.
  func offer(_ arrival: Arrival) -> Bool {
    guard backlog.count < MemoryPort.backlogMax else { return false }
    backlog.append(arrival)
    wakeAll()
    return true
  }

  func take() -> Arrival? { backlog.isEmpty ? nil : backlog.removeFirst() }

  func wait(_ continuation: UnsafeContinuation<Void, Never>) { waiters.append(continuation) }

  func wakeAll() {
    for waiter in waiters { waiter.resume() }
    waiters.removeAll()
  }

  /// Returns what nobody will accept any more.
  func shutDown() -> [Arrival] {
    isClosed = true
    defer { backlog.removeAll() }
    wakeAll()
    return backlog
  }
}

final class MemoryListener: Listener {
  let address: SocketAddress
  private let network: MemoryNetwork
  private let port: MemoryPort
  private let key: SocketAddress

  init(network: MemoryNetwork, port: MemoryPort, key: SocketAddress, address: SocketAddress) {
    self.network = network
    self.port = port
    self.key = key
    self.address = address
  }

  deinit { shutDown() }

  func accept() async throws(RoostError) -> any Connection {
    while true {
      if Task.isCancelled { throw RoostError(.cancelled, "accepting was cancelled", at: "\(address)") }
      let arrival = try network.state.withLock { (_) throws(RoostError) in
        if port.isClosed { throw RoostError(.cancelled, "the listener is closed", at: "\(address)") }
        return port.take()
      }
      if let arrival {
        return MemoryConnection(
          network: network, incoming: arrival.incoming, outgoing: arrival.outgoing, peer: arrival.peer)
      }
      await network.suspend(
        { _, continuation in
          guard !port.isClosed, !port.hasArrivals else { return false }
          port.wait(continuation)
          return true
        }, wake: { [port] in port.wakeAll() })
    }
  }

  func close() async { shutDown() }

  private func shutDown() {
    network.state.withLock { state in
      if state.ports[key] === port { state.ports[key] = nil }
      for arrival in port.shutDown() {
        for pipe in [arrival.incoming, arrival.outgoing] {
          pipe.fail()
          state.pipes[pipe.id] = nil
        }
      }
    }
  }
}
