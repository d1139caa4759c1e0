// TCP through io_uring.

import CURing
import Core
import Glibc
import Synchronization

public struct RingTransport: Transport {
  private let rings: [Ring]
  private let threads: ThreadPool

  init(rings: [Ring], threads: ThreadPool) {
    precondition(!rings.isEmpty)
    self.rings = rings
    self.threads = threads
  }

  private var ring: Ring { rings[0] }

  public func listen(on address: SocketAddress) async throws(RoostError) -> any Listener {
    let place = "\(address)"
    var failure: RoostError?
    for endpoint in try await resolve(address, forListening: true) {
      let number = socket(endpoint.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      guard number >= 0 else { throw RoostError.system(errno, "create a socket", at: place) }
      let descriptor = Descriptor(number)
      // A restarted node must get its port back although old connections linger in TIME_WAIT.
      setOption(number, SOL_SOCKET, SO_REUSEADDR, 1)
      if endpoint.family == AF_INET6 { setOption(number, Int32(IPPROTO_IPV6), IPV6_V6ONLY, 0) }
      let bound = endpoint.withAddress { bind(number, $0, $1) }
      if bound == 0 && Glibc.listen(number, 1024) == 0 {
        return RingListener(
          descriptor: descriptor, address: SocketAddress(host: address.host, port: boundPort(number)),
          ring: ring)
      }
      failure = listenError(errno, address)
    }
    throw failure ?? RoostError(.notFound, "no address to listen on", at: place)
  }

  public func connect(to address: SocketAddress, timeoutMs: Int) async throws(RoostError) -> any Connection {
    let place = "\(address)"
    let clock = SystemClock(ring: ring)
    let deadline = clock.monotonicNanos() + UInt64(max(timeoutMs, 1)) * 1_000_000
    var failure: RoostError?
    for endpoint in try await resolve(address, forListening: false) {
      let now = clock.monotonicNanos()
      guard now < deadline else { break }
      let number = socket(endpoint.family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue), 0)
      guard number >= 0 else { throw RoostError.system(errno, "create a socket", at: place) }
      let descriptor = Descriptor(number)
      let cancellation = RingCancellation()
      let result = await connect(number, endpoint, nanos: deadline - now, cancellation)
      if result == 0 { return RingConnection(descriptor: descriptor, peer: place, ring: ring) }
      if result == -ECANCELED {
        if cancellation.wasRequested {
          throw RoostError(.cancelled, "the connecting was cancelled", at: place)
        }
        failure = nil
        break
      }
      failure = RoostError(
        .unavailable, "cannot connect: \(systemMessage(-result))", at: place,
        remedy: "check that a node listens there and that no firewall is in between")
    }
    throw failure
      ?? RoostError(
        .deadlineExceeded, "no connection within \(timeoutMs) ms", at: place,
        remedy: "check that a node listens there and that no firewall is in between")
  }

  private func connect(
    _ number: Int32, _ endpoint: Endpoint, nanos: UInt64, _ cancellation: RingCancellation
  ) async -> Int32 {
    let duration = UnsafeMutablePointer<__kernel_timespec>.allocate(capacity: 1)
    defer { duration.deallocate() }
    duration.initialize(to: kernelDuration(nanos: nanos))
    var entry = RingEntry.connect(number, endpoint.address, endpoint.count)
    entry.flags |= UInt8(1 << IOSQE_IO_LINK_BIT)
    let (prepared, linked) = (entry, RingEntry.linkedTimeout(duration))
    return await withTaskCancellationHandler {
      await ring.perform(
        prepared, keeping: endpoint, openEnded: true, linked: linked, cancellation: cancellation)
    } onCancel: {
      cancellation.cancel()
    }
  }

  private func resolve(_ address: SocketAddress, forListening: Bool) async throws(RoostError) -> [Endpoint] {
    if let literal = Endpoint(literal: address) { return [literal] }
    // Names may take seconds and block.
    let result = await threads.run { Endpoint.lookUp(address, forListening: forListening) }
    return try result.get()
  }

  private func listenError(_ code: Int32, _ address: SocketAddress) -> RoostError {
    switch code {
    case EADDRINUSE:
      RoostError(
        .unavailable, "port \(address.port) is in use", at: "\(address)",
        remedy:
          "stop the program that uses it (`ss -ltnp 'sport = :\(address.port)'` shows it) or choose another port"
      )
    case EADDRNOTAVAIL:
      RoostError(
        .unavailable, "this machine does not have the address \(address.host)", at: "\(address)",
        remedy: "listen on one of its own (`ip address` shows them), or on 0.0.0.0 for all")
    case EACCES:
      RoostError(
        .permissionDenied, "port \(address.port) needs privileges", at: "\(address)",
        remedy: "choose a port above 1023")
    default: RoostError.system(code, "listen", at: "\(address)")
    }
  }
}

func setOption(_ socket: Int32, _ level: Int32, _ name: Int32, _ value: Int32) {
  // Options tune; a kernel that refuses one still has a working socket.
  var value = value
  setsockopt(socket, level, name, &value, socklen_t(MemoryLayout<Int32>.size))
}

private func boundPort(_ socket: Int32) -> UInt16 {
  Endpoint.named(by: { getsockname(socket, $0, $1) })?.port ?? 0
}
