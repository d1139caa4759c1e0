// A listening TCP socket on the ring.

import CURing
import Core
import Glibc

final class RingListener: Listener {
  let address: SocketAddress
  private let descriptor: Descriptor
  private let ring: Ring

  init(descriptor: Descriptor, address: SocketAddress, ring: Ring) {
    self.descriptor = descriptor
    self.address = address
    self.ring = ring
  }

  deinit { shutDown() }

  func accept() async throws(RoostError) -> any Connection {
    let cancellation = RingCancellation()
    while true {
      guard descriptor.acquire() else { throw closedError }
      let entry = RingEntry.accept(descriptor.number)
      let result = await withTaskCancellationHandler {
        await ring.perform(entry, openEnded: true, cancellation: cancellation)
      } onCancel: {
        cancellation.cancel()
      }
      descriptor.release()
      switch -result {
      case ...0:
        let connected = Descriptor(result)
        let peer = Endpoint.named(by: { getpeername(result, $0, $1) })
        return RingConnection(descriptor: connected, peer: peer.map { "\($0)" } ?? "unknown", ring: ring)
      case ECANCELED:
        throw RoostError(.cancelled, "accepting was cancelled", at: "\(address)")
      case _ where descriptor.isClosed: throw closedError
      // The peer was gone before we came to it (accept(2) names these network errors); or a hiccup.
      case ECONNABORTED, EINTR, EAGAIN, EPROTO, ENETDOWN, EHOSTDOWN, EHOSTUNREACH, ENETUNREACH, ENONET:
        continue
      case let code: throw RoostError.system(code, "accept a connection", at: "\(address)")
      }
    }
  }

  func close() async { shutDown() }

  private func shutDown() {
    let number = descriptor.number
    // Wakes a pending accept, which then sees that we are closed.
    guard !descriptor.isClosed else { return }
    let isIdle = descriptor.beginClose()
    if isIdle { Glibc.close(number) } else { Glibc.shutdown(number, Int32(SHUT_RDWR)) }
  }

  private var closedError: RoostError { RoostError(.cancelled, "the listener is closed", at: "\(address)") }
}
