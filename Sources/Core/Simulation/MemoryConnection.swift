// One end of a simulated connection.

import Synchronization

final class MemoryConnection: Connection {
  let peer: String
  private let network: MemoryNetwork
  private let incoming: MemoryPipe
  private let outgoing: MemoryPipe

  init(network: MemoryNetwork, incoming: MemoryPipe, outgoing: MemoryPipe, peer: String) {
    self.network = network
    self.incoming = incoming
    self.outgoing = outgoing
    self.peer = peer
  }

  deinit { shutDown() }

  func receive(into buffer: IOBuffer, range: Range<Int>) async throws(RoostError) -> Int {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "the range leaves the buffer")
    precondition(!range.isEmpty, "there must be room for a byte")
    while true {
      if Task.isCancelled { throw cancelled("receiving") }
      let received = try network.state.withLock { (state) throws(RoostError) in
        try receiveNow(into: buffer, range: range, &state)
      }
      if let received { return received }
      await network.suspend(
        { state, continuation in
          guard !incoming.isBroken, !incoming.isReceiverGone else { return false }
          if state.isOpen(incoming.route), let due = incoming.nextDueNanos, due <= network.nowNanos {
            return false
          }
          incoming.waitAsReceiver(continuation)
          return true
        }, wake: { [incoming] in incoming.wakeReceiver() })
    }
  }

  private func receiveNow(
    into buffer: IOBuffer, range: Range<Int>, _ state: inout MemoryNetwork.State
  ) throws(RoostError) -> Int? {
    if incoming.isReceiverGone { throw closed }
    if incoming.isBroken { throw closed }
    guard state.isOpen(incoming.route) else { return nil }
    var limit = range.count
    if state.settings.splitsReceives, incoming.byteCount > 1 {
      limit = Int.random(in: 1...min(range.count, incoming.byteCount), using: &state.random)
    }
    let target = UnsafeMutableRawBufferPointer(start: buffer.base + range.lowerBound, count: limit)
    switch incoming.take(target, nowNanos: network.nowNanos) {
    case .bytes(let count):
      incoming.wakeSender()
      return count
    case .end: return 0
    case .broken: throw closed
    case .nothing: return nil
    }
  }

  func send(_ buffer: IOBuffer, range: Range<Int>) async throws(RoostError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "the range leaves the buffer")
    var done = 0
    repeat {
      if Task.isCancelled { throw cancelled("sending") }
      let rest = range.dropFirst(done)
      let sent = try network.state.withLock { (state) throws(RoostError) in
        try sendNow(buffer, rest, &state)
      }
      done += sent
      if done == range.count { return }
      await network.suspend(
        { state, continuation in
          guard !MemoryConnection.isClosedForSending(outgoing, state),
            outgoing.byteCount >= state.settings.bufferBytes
          else { return false }
          outgoing.waitAsSender(continuation)
          return true
        }, wake: { [outgoing] in outgoing.wakeSender() })
    } while true
  }

  private static func isClosedForSending(_ pipe: MemoryPipe, _ state: MemoryNetwork.State) -> Bool {
    // The news that the receiver has gone must be able to travel back.
    pipe.isBroken || pipe.isSenderGone || (pipe.isReceiverGone && state.isOpen(pipe.route.reversed))
  }

  /// Returns how much found room.
  private func sendNow(
    _ buffer: IOBuffer, _ range: Range<Int>, _ state: inout MemoryNetwork.State
  ) throws(RoostError) -> Int {
    if MemoryConnection.isClosedForSending(outgoing, state) { throw closed }
    if range.isEmpty { return 0 }
    if state.settings.breakProbability > 0,
      Double.random(in: 0..<1, using: &state.random) < state.settings.breakProbability
    {
      outgoing.fail()
      incoming.fail()
      throw closed
    }
    let count = min(range.count, state.settings.bufferBytes - outgoing.byteCount)
    guard count > 0 else { return 0 }
    let bytes = Array(buffer.bytes(range.lowerBound..<range.lowerBound + count))
    let due = outgoing.push(bytes[...], dueNanos: network.arrival(&state))
    network.wakeReceiver(of: outgoing, atNanos: due)
    return count
  }

  func close() async { shutDown() }

  private func shutDown() {
    network.state.withLock { state in
      guard !outgoing.isSenderGone || !incoming.isReceiverGone else { return }
      if !outgoing.isSenderGone && !outgoing.isBroken {
        let due = outgoing.push([], dueNanos: network.arrival(&state))
        network.wakeReceiver(of: outgoing, atNanos: due)
      }
      outgoing.abandonSending()
      incoming.abandonReceiving()
      for pipe in [incoming, outgoing] where pipe.isSenderGone && pipe.isReceiverGone {
        state.pipes[pipe.id] = nil
      }
    }
  }

  private var closed: RoostError { RoostError(.connectionClosed, "the connection is closed", at: peer) }

  private func cancelled(_ action: String) -> RoostError {
    RoostError(.cancelled, "\(action) was cancelled", at: peer)
  }
}
