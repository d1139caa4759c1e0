// From a checked header and the bytes behind it to the body, and from a body to a frame.

import Core

package enum FrameBody {
  /// Bodies below this size are never compressed: the gain cannot pay for the work.
  static let compressBytesMin = 1024

  /// Checks the checksum of a whole body as it came over the wire and undoes the compression; `body`
  /// sees the bytes in place when they are not compressed. The raw length is believed only as far as
  /// LZ4 can expand (255 to 1) and the limit allows.
  package static func withChecked<T>(
    _ header: FrameHeader, _ bytes: UnsafeRawBufferPointer, bodyBytesMax: Int,
    _ body: (UnsafeRawBufferPointer) throws(RoostError) -> T
  ) throws(RoostError) -> T {
    precondition(bytes.count == Int(header.bodyBytes))
    guard crc32c(bytes) == header.bodyChecksum else {
      throw RoostError(.corrupted, "the checksum of a frame body does not match", at: "frame body")
    }
    guard header.flags.contains(.compressed) else { return try body(bytes) }
    guard bytes.count >= 4 else {
      throw RoostError(.protocolViolation, "a compressed body without its raw length", at: "frame body")
    }
    let rawCount = Int(UInt32(littleEndian: bytes.loadUnaligned(as: UInt32.self)))
    guard rawCount <= bodyBytesMax else {
      throw RoostError(
        .limitExceeded, "frame body of \(rawCount) bytes when unpacked, the limit is \(bodyBytesMax)",
        at: "frame body", remedy: "send smaller batches")
    }
    let block = UnsafeRawBufferPointer(rebasing: bytes[4...])
    guard rawCount <= block.count * 255 else {
      throw RoostError(
        .protocolViolation, "a compressed body claims more than LZ4 can hold", at: "frame body")
    }
    let raw: [UInt8]
    do {
      raw = try LZ4.decompress(block, rawCount: rawCount)
    } catch {
      throw RoostError(.protocolViolation, "a compressed body is not an LZ4 block", at: "frame body")
    }
    return try raw.withUnsafeBufferPointer { (raw) throws(RoostError) in
      try body(UnsafeRawBufferPointer(raw))
    }
  }
}

extension ByteWriter {
  /// Appends one frame whose body `encode` writes. When the body exceeds `bodyBytesMax` the writer is left
  /// as it was and `.limitExceeded` is thrown. Returns the body's length on the wire.
  @discardableResult
  package mutating func frame(
    _ header: FrameHeader, bodyBytesMax: Int, compress: Bool = false,
    _ encode: (inout BodyWriter) -> Void
  ) throws(RoostError) -> Int {
    let start = count
    zeros(FrameHeader.byteCount)
    let bodyStart = count
    var body = BodyWriter(taking: &self)
    encode(&body)
    body.finish(into: &self)
    let bodyCount = count - bodyStart
    guard bodyCount <= bodyBytesMax else {
      truncate(to: start)
      throw RoostError(
        .limitExceeded, "message of \(bodyCount) bytes, the limit is \(bodyBytesMax)", at: "frame body",
        remedy: "use smaller batches or ask for less at a time")
    }
    var header = header
    if compress, bodyCount >= FrameBody.compressBytesMin,
      let block = bytes.withUnsafeBytes({ LZ4.compress(UnsafeRawBufferPointer(rebasing: $0[bodyStart...])) }),
      block.count + 4 <= bodyCount - bodyCount / 8
    {
      truncate(to: bodyStart)
      u32(UInt32(bodyCount))
      raw(block)
      header.flags.insert(.compressed)
    }
    seal(header, at: start)
    return count - bodyStart
  }

  /// Appends a frame with the given raw body: control frames, whose bodies are not messages.
  package mutating func controlFrame(_ header: FrameHeader, body: [UInt8] = []) {
    let start = count
    zeros(FrameHeader.byteCount)
    raw(body)
    seal(header, at: start)
  }

  private mutating func seal(_ header: FrameHeader, at start: Int) {
    var header = header
    withMutableBytes { all in
      let body = UnsafeRawBufferPointer(rebasing: all[(start + FrameHeader.byteCount)...])
      header.bodyBytes = UInt32(body.count)
      header.bodyChecksum = crc32c(body)
      header.encode(into: UnsafeMutableRawBufferPointer(rebasing: all[start..<start + FrameHeader.byteCount]))
    }
  }
}
