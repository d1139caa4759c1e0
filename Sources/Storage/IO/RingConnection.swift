// A TCP connection on the ring.

import CURing
import Core
import Glibc

final class RingConnection: Connection {
  let peer: String
  private let descriptor: Descriptor
  private let ring: Ring
  // One receive and one send may be under way at a time, so one of each is enough.
  private let receiving = RingCancellation()
  private let sending = RingCancellation()

  init(descriptor: Descriptor, peer: String, ring: Ring) {
    self.descriptor = descriptor
    self.peer = peer
    self.ring = ring
    // Frames are written whole; waiting for more to fill a segment would only add latency.
    setOption(descriptor.number, Int32(IPPROTO_TCP), TCP_NODELAY, 1)
  }

  func receive(into buffer: IOBuffer, range: Range<Int>) async throws(RoostError) -> Int {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "the range leaves the buffer")
    precondition(!range.isEmpty, "there must be room for a byte")
    guard descriptor.acquire() else { throw closedError }
    defer { descriptor.release() }
    receiving.reset()
    while true {
      let entry = RingEntry.receive(descriptor.number, buffer.base + range.lowerBound, range.count)
      let result = await perform(entry, buffer, receiving)
      if result == -EINTR || result == -EAGAIN { continue }
      if descriptor.isClosed { throw closedError }
      guard result >= 0 else { throw failure(-result, receiving, "receiving") }
      return Int(result)
    }
  }

  func send(_ buffer: IOBuffer, range: Range<Int>) async throws(RoostError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "the range leaves the buffer")
    guard descriptor.acquire() else { throw closedError }
    defer { descriptor.release() }
    sending.reset()
    // Nearly always the socket has room; then the bytes are gone without a way through the ring.
    var done = sendAtOnce(buffer, range)
    while done < range.count {
      let entry = RingEntry.send(
        descriptor.number, buffer.base + range.lowerBound + done, range.count - done)
      let result = await perform(entry, buffer, sending)
      if result == -EINTR || result == -EAGAIN { continue }
      if descriptor.isClosed { throw closedError }
      guard result > 0 else { throw failure(-result, sending, "sending") }
      done += Int(result)
    }
  }

  /// Sends what the socket takes without waiting; errors are left to the next attempt.
  private func sendAtOnce(_ buffer: IOBuffer, _ range: Range<Int>) -> Int {
    guard !range.isEmpty, !Task.isCancelled else { return 0 }
    let flags = Int32(MSG_NOSIGNAL) | Int32(MSG_DONTWAIT)
    return max(0, Glibc.send(descriptor.number, buffer.base + range.lowerBound, range.count, flags))
  }

  func close() async {
    // Shutting down first: it ends operations in flight on whatever ring, and the last of them closes.
    guard !descriptor.isClosed else { return }
    Glibc.shutdown(descriptor.number, Int32(SHUT_RDWR))
    if descriptor.beginClose() { Glibc.close(descriptor.number) }
  }

  private func perform(_ entry: io_uring_sqe, _ buffer: IOBuffer, _ cancellation: RingCancellation) async
    -> Int32
  {
    await withTaskCancellationHandler {
      await ring.perform(entry, keeping: buffer, openEnded: true, cancellation: cancellation)
    } onCancel: {
      cancellation.cancel()
    }
  }

  private var closedError: RoostError { RoostError(.connectionClosed, "the connection is closed", at: peer) }

  private func failure(_ code: Int32, _ cancellation: RingCancellation, _ action: String) -> RoostError {
    if code == ECANCELED {
      let message = cancellation.wasRequested ? "\(action) was cancelled" : "the runtime is shutting down"
      return RoostError(.cancelled, message, at: peer)
    }
    return RoostError(.connectionClosed, "\(action) failed: \(systemMessage(code))", at: peer)
  }
}
