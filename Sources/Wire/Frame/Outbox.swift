// What one side of a connection still has to send. Many tasks append frames; one task sends them, as
// many at a time as have gathered, so small replies share a system call.

import Core
import Synchronization

/// The send queue of a connection.
package final class Outbox: Sendable {
  private struct State {
    var pending = ByteWriter()
    /// Memory of the batch sent before, to be filled next.
    var spare = ByteWriter()
    /// Bytes taken out of `pending` and not yet accepted by the transport.
    var sendingBytes = 0
    /// When the transport last took bytes, or began to wait for it to take some.
    var progressNanos: UInt64 = 0
    var sender: UnsafeContinuation<Void, Never>?
    var room: [UnsafeContinuation<Void, Never>] = []
    var isFinishing = false
    var isClosed = false
  }

  private let state = Mutex(State())
  private let clock: any Clock
  /// Above this, `waitForRoom` waits.
  private let bytesMax: Int

  private static let chunkBytes = 256 * 1024

  package init(clock: any Clock, bytesMax: Int) {
    self.clock = clock
    self.bytesMax = bytesMax
  }

  /// Lets `body` append whole frames. False when the connection is closed: then nothing happened.
  @discardableResult
  package func append(_ body: (inout ByteWriter) throws(RoostError) -> Void) throws(RoostError) -> Bool {
    // Mutex.withLock carries typed errors, but not together with a second result.
    var sender: UnsafeContinuation<Void, Never>?
    let isOpen = try state.withLock { (state) throws(RoostError) -> Bool in
      guard !state.isClosed else { return false }
      try body(&state.pending)
      if state.pending.count > 0 { swap(&sender, &state.sender) }
      return true
    }
    sender?.resume()
    return isOpen
  }

  /// Bytes that the peer has not taken yet, and since when it has taken none (nil: nothing waits).
  package var backlog: (bytes: Int, stalledSinceNanos: UInt64?) {
    state.withLock { state in
      (state.pending.count + state.sendingBytes, state.sendingBytes > 0 ? state.progressNanos : nil)
    }
  }

  package var isFull: Bool { state.withLock { $0.pending.count + $0.sendingBytes > bytesMax } }

  /// Waits until less than half of `bytesMax` is waiting, or the connection is closed.
  package func waitForRoom() async {
    guard isFull else { return }
    await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
      let mayGo = state.withLock { state in
        if state.isClosed || state.pending.count + state.sendingBytes <= bytesMax / 2 { return true }
        state.room.append(continuation)
        return false
      }
      if mayGo { continuation.resume() }
    }
  }

  /// Sends what is appended until `finish` (which lets everything go out first) or `close`.
  package func run(_ connection: any Connection) async throws(RoostError) {
    let buffer = IOBuffer(count: Outbox.chunkBytes)
    while let batch = await nextBatch() {
      var offset = 0
      while offset < batch.count {
        let count = min(buffer.count, batch.count - offset)
        batch.bytes.withUnsafeBytes {
          buffer.mutableBytes.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[offset..<offset + count]))
        }
        try await connection.send(buffer, range: 0..<count)
        offset += count
        noteSent(count)
      }
      recycle(batch)
    }
  }

  /// The next bytes to send; waits for some. Nil at the end.
  private func nextBatch() async -> ByteWriter? {
    while true {
      let (batch, isOver): (ByteWriter?, Bool) = state.withLock { state in
        if state.isClosed { return (nil, true) }
        guard state.pending.count > 0 else { return (nil, state.isFinishing) }
        var batch = ByteWriter()
        swap(&batch, &state.pending)
        swap(&state.pending, &state.spare)
        state.sendingBytes = batch.count
        state.progressNanos = clock.monotonicNanos()
        return (batch, false)
      }
      if let batch { return batch }
      if isOver { return nil }
      await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
        let mayGo = state.withLock { state in
          if state.isClosed || state.isFinishing || state.pending.count > 0 { return true }
          precondition(state.sender == nil, "an outbox has one sender")
          state.sender = continuation
          return false
        }
        if mayGo { continuation.resume() }
      }
    }
  }

  private func noteSent(_ count: Int) {
    let waiting = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
      guard !state.isClosed else { return [] }
      state.sendingBytes -= count
      state.progressNanos = clock.monotonicNanos()
      guard state.pending.count + state.sendingBytes <= bytesMax / 2 else { return [] }
      defer { state.room = [] }
      return state.room
    }
    for continuation in waiting { continuation.resume() }
  }

  /// Keeps the memory of a batch unless it was unusually large.
  private func recycle(_ batch: consuming ByteWriter) {
    guard batch.count <= Outbox.chunkBytes * 4 else { return }
    batch.removeAll()
    state.withLock { $0.spare = batch }
  }

  /// No more frames will be appended; `run` returns once everything is sent.
  package func finish() {
    let sender = state.withLock { state in
      state.isFinishing = true
      defer { state.sender = nil }
      return state.sender
    }
    sender?.resume()
  }

  /// Drops what is not sent and releases everyone who waits.
  package func close() {
    let (sender, room) = state.withLock { state in
      state.isClosed = true
      state.pending = ByteWriter()
      state.sendingBytes = 0
      defer {
        state.sender = nil
        state.room = []
      }
      return (state.sender, state.room)
    }
    sender?.resume()
    for continuation in room { continuation.resume() }
  }
}
