// Turns a byte stream into frames. Both ends of a connection read through this type.

import Core

/// Buffers what arrives and hands out whole frames. Confined to the task that reads the connection.
package struct FrameReceiver {
  private let connection: any Connection
  private var bodyBytesMax: Int
  private var buffer: IOBuffer
  private var start = 0
  private var end = 0

  static let bufferBytes = 256 * 1024

  package init(_ connection: any Connection, bodyBytesMax: Int) {
    self.connection = connection
    self.bodyBytesMax = bodyBytesMax
    buffer = IOBuffer(count: FrameReceiver.bufferBytes)
  }

  /// Runs `body` on the next frame if all of it has arrived, else returns nil: then `fill` again.
  /// The bytes are valid during the call only. Throws as `FrameHeader.init` and `FrameBody` do; nothing
  /// that follows in the stream can be trusted then.
  package mutating func next<T>(
    _ body: (FrameHeader, UnsafeRawBufferPointer) throws(RoostError) -> T
  ) throws(RoostError) -> T? {
    guard end - start >= FrameHeader.byteCount else { return nil }
    let header = try FrameHeader(
      from: buffer.bytes(start..<start + FrameHeader.byteCount), bodyBytesMax: bodyBytesMax)
    let bodyStart = start + FrameHeader.byteCount
    let next = bodyStart + Int(header.bodyBytes)
    guard next <= end else { return nil }
    start = next
    return try FrameBody.withChecked(header, buffer.bytes(bodyStart..<next), bodyBytesMax: bodyBytesMax) {
      (bytes) throws(RoostError) in try body(header, bytes)
    }
  }

  /// Waits for more bytes; false when the peer has finished. Throws `.connectionClosed` when it
  /// finished in the middle of a frame.
  package mutating func fill() async throws(RoostError) -> Bool {
    makeRoom()
    let count = try await connection.receive(into: buffer, range: end..<buffer.count)
    guard count > 0 else {
      guard start == end else {
        throw RoostError(.connectionClosed, "the connection ended inside a frame", at: connection.peer)
      }
      return false
    }
    end += count
    return true
  }

  /// The buffer grows with what has arrived, never with what a header promises: a peer that announces
  /// 64 MiB and sends nothing costs nothing.
  private mutating func makeRoom() {
    if start == end {
      start = 0
      end = 0
      // The memory of one large frame is not kept.
      if buffer.count > FrameReceiver.bufferBytes { buffer = IOBuffer(count: FrameReceiver.bufferBytes) }
    } else if start >= buffer.count / 2 {
      // Only the rest of one frame moves, and at most once per half buffer.
      buffer.base.copyMemory(from: buffer.base + start, byteCount: end - start)
      end -= start
      start = 0
    }
    if end == buffer.count {
      let larger = IOBuffer(count: buffer.count * 2)
      larger.base.copyMemory(from: buffer.base + start, byteCount: end - start)
      end -= start
      start = 0
      buffer = larger
    }
  }
}
