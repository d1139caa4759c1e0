// A network in memory: listeners by port, connections as pairs of byte queues of bounded size, so that
// a peer that does not read holds up its sender as TCP would.

import Core
import Synchronization

final class BytePipe: Sendable {
  private struct State {
    var bytes: [UInt8] = []
    var isClosed = false
    var reader: CheckedContinuation<Void, Never>?
    var writer: CheckedContinuation<Void, Never>?
  }

  private let state = Mutex(State())
  private let capacity: Int

  init(capacity: Int) { self.capacity = capacity }

  /// 0 at the end.
  func read(into target: UnsafeMutableRawBufferPointer) -> Int? {
    let (count, writer): (Int?, CheckedContinuation<Void, Never>?) = state.withLock { state in
      guard !state.bytes.isEmpty else { return (state.isClosed ? 0 : nil, nil) }
      let count = min(target.count, state.bytes.count)
      target.copyBytes(from: state.bytes[..<count])
      state.bytes.removeFirst(count)
      defer { state.writer = nil }
      return (count, state.writer)
    }
    writer?.resume()
    return count
  }

  /// How many were taken; nil when closed.
  func write(_ source: UnsafeRawBufferPointer) -> Int? {
    let (count, reader): (Int?, CheckedContinuation<Void, Never>?) = state.withLock { state in
      guard !state.isClosed else { return (nil, nil) }
      let count = min(source.count, capacity - state.bytes.count)
      state.bytes.append(contentsOf: source[..<count])
      defer { if count > 0 { state.reader = nil } }
      return (count, count > 0 ? state.reader : nil)
    }
    reader?.resume()
    return count
  }

  func waitToRead() async {
    await withCheckedContinuation { continuation in
      let mayGo = state.withLock { state in
        if state.isClosed || !state.bytes.isEmpty { return true }
        state.reader = continuation
        return false
      }
      if mayGo { continuation.resume() }
    }
  }

  func waitToWrite() async {
    await withCheckedContinuation { continuation in
      let mayGo = state.withLock { state in
        if state.isClosed || state.bytes.count < capacity { return true }
        state.writer = continuation
        return false
      }
      if mayGo { continuation.resume() }
    }
  }

  func close() {
    let waiters = state.withLock { state in
      state.isClosed = true
      defer {
        state.reader = nil
        state.writer = nil
      }
      return [state.reader, state.writer]
    }
    for waiter in waiters { waiter?.resume() }
  }
}

final class PipeConnection: Connection {
  let peer: String
  private let incoming: BytePipe
  private let outgoing: BytePipe
  private let isClosed = Atomic<Bool>(false)

  init(peer: String, incoming: BytePipe, outgoing: BytePipe) {
    self.peer = peer
    self.incoming = incoming
    self.outgoing = outgoing
  }

  static func pair(capacity: Int = 64 * 1024) -> (PipeConnection, PipeConnection) {
    let one = BytePipe(capacity: capacity)
    let two = BytePipe(capacity: capacity)
    return (
      PipeConnection(peer: "pipe a", incoming: one, outgoing: two),
      PipeConnection(peer: "pipe b", incoming: two, outgoing: one)
    )
  }

  private var closedError: RoostError { RoostError(.connectionClosed, "the pipe is closed", at: peer) }

  func receive(into buffer: IOBuffer, range: Range<Int>) async throws(RoostError) -> Int {
    while true {
      if isClosed.load(ordering: .relaxed) { throw closedError }
      let target = UnsafeMutableRawBufferPointer(rebasing: buffer.mutableBytes[range])
      if let count = incoming.read(into: target) { return count }
      await incoming.waitToRead()
    }
  }

  func send(_ buffer: IOBuffer, range: Range<Int>) async throws(RoostError) {
    var offset = range.lowerBound
    while offset < range.upperBound {
      guard !isClosed.load(ordering: .relaxed),
        let count = outgoing.write(buffer.bytes(offset..<range.upperBound))
      else { throw closedError }
      offset += count
      if count == 0 { await outgoing.waitToWrite() }
    }
  }

  func close() async {
    isClosed.store(true, ordering: .relaxed)
    incoming.close()
    outgoing.close()
  }
}

final class PipeListener: Listener {
  let address: SocketAddress
  private struct State {
    var waiting: [PipeConnection] = []
    var acceptor: CheckedContinuation<Void, Never>?
    var isClosed = false
  }
  private let state = Mutex(State())

  init(address: SocketAddress) { self.address = address }

  func add(_ connection: PipeConnection) -> Bool {
    let (added, acceptor): (Bool, CheckedContinuation<Void, Never>?) = state.withLock { state in
      guard !state.isClosed else { return (false, nil) }
      state.waiting.append(connection)
      defer { state.acceptor = nil }
      return (true, state.acceptor)
    }
    acceptor?.resume()
    return added
  }

  func accept() async throws(RoostError) -> any Connection {
    while true {
      let (connection, isOver): (PipeConnection?, Bool) = state.withLock { state in
        if state.isClosed { return (nil, true) }
        return (state.waiting.isEmpty ? nil : state.waiting.removeFirst(), false)
      }
      if let connection { return connection }
      if isOver { throw RoostError(.cancelled, "the listener is closed") }
      await withCheckedContinuation { continuation in
        let mayGo = state.withLock { state in
          if state.isClosed || !state.waiting.isEmpty { return true }
          state.acceptor = continuation
          return false
        }
        if mayGo { continuation.resume() }
      }
    }
  }

  func close() async {
    let acceptor = state.withLock { state in
      state.isClosed = true
      defer { state.acceptor = nil }
      return state.acceptor
    }
    acceptor?.resume()
  }
}

final class PipeTransport: Transport {
  private let listeners = Mutex<[UInt16: PipeListener]>([:])
  let capacity: Int

  init(capacity: Int = 64 * 1024) { self.capacity = capacity }

  func listen(on address: SocketAddress) async throws(RoostError) -> any Listener {
    let listener = PipeListener(address: address)
    listeners.withLock { $0[address.port] = listener }
    return listener
  }

  func connect(to address: SocketAddress, timeoutMs: Int) async throws(RoostError) -> any Connection {
    let (client, server) = PipeConnection.pair(capacity: capacity)
    guard let listener = listeners.withLock({ $0[address.port] }), listener.add(server) else {
      throw RoostError(.unavailable, "connection refused", at: "\(address)")
    }
    return client
  }
}
