// A simulated host's access to its network: listening and connecting.

import Synchronization

public struct MemoryTransport: Transport {
  let network: MemoryNetwork
  public let host: String

  public func listen(on address: SocketAddress) async throws(RoostError) -> any Listener {
    try network.state.withLock { (state) throws(RoostError) in
      guard !state.downHosts.contains(host) else {
        throw RoostError(.unavailable, "the host is down", at: "\(address)")
      }
      var port = address.port
      if port == 0 {
        port = state.nextPort
        state.nextPort = state.nextPort == .max ? 49_152 : state.nextPort + 1
      }
      let key = SocketAddress(host: host, port: port)
      guard state.ports[key] == nil else {
        throw RoostError(
          .unavailable, "port \(port) is in use", at: "\(address)", remedy: "choose another port")
      }
      let socket = MemoryPort()
      state.ports[key] = socket
      return MemoryListener(
        network: network, port: socket, key: key, address: SocketAddress(host: address.host, port: port))
    }
  }

  public func connect(to address: SocketAddress, timeoutMs: Int) async throws(RoostError) -> any Connection {
    let target = MemoryTransport.isSelf(address.host) ? host : address.host
    let route = MemoryNetwork.Route(from: host, to: target)
    let (isOpen, nanos) = network.state.withLock { state in
      (
        state.isOpen(route) && state.isOpen(route.reversed),
        UInt64.random(in: state.settings.latencyNanos, using: &state.random) * 2
      )
    }
    let timeoutNanos = UInt64(max(timeoutMs, 1)) * 1_000_000
    guard isOpen, nanos <= timeoutNanos else {
      try await network.pause(nanos: timeoutNanos)
      throw RoostError(
        .deadlineExceeded, "no connection within \(timeoutMs) ms", at: "\(address)",
        remedy: "check that a node listens there and that no firewall is in between")
    }
    try await network.pause(nanos: nanos)
    return try network.state.withLock { (state) throws(RoostError) in
      let key = SocketAddress(host: target, port: address.port)
      guard let port = state.ports[key], state.isOpen(route) else {
        throw RoostError(
          .unavailable, "cannot connect: nobody listens", at: "\(address)",
          remedy: "check that a node listens there and that no firewall is in between")
      }
      let there = MemoryPipe(id: state.nextPipe, route: route)
      let back = MemoryPipe(id: state.nextPipe + 1, route: route.reversed)
      let peer = SocketAddress(host: host, port: state.nextPort)
      guard port.offer(MemoryPort.Arrival(incoming: there, outgoing: back, peer: "\(peer)")) else {
        throw RoostError(.unavailable, "cannot connect: the listener is overrun", at: "\(address)")
      }
      state.nextPipe += 2
      state.nextPort = state.nextPort == .max ? 49_152 : state.nextPort + 1
      state.pipes[there.id] = there
      state.pipes[back.id] = back
      return MemoryConnection(network: network, incoming: back, outgoing: there, peer: "\(address)")
    }
  }

  private static func isSelf(_ host: String) -> Bool {
    ["localhost", "127.0.0.1", "::1", "0.0.0.0", "::"].contains(host)
  }
}
