// The 32 bytes before every message (`spec/wire.md`, "Frame"). Encoding and checking them is all that
// this file does; nothing is allocated from a length that has not passed `FrameHeader.init`.

import Core

/// What a frame is about. Replies carry the opcode of their request.
package enum Opcode: UInt8, Sendable, CaseIterable {
  case hello = 0x01
  case ping = 0x02
  case cancel = 0x03
  case credit = 0x04
  case goAway = 0x05
  case createCollection = 0x10
  case dropCollection = 0x11
  case listCollections = 0x12
  case put = 0x20
  case delete = 0x21
  case get = 0x22
  case search = 0x23
  case scan = 0x24
  case count = 0x25
  case facet = 0x26
  case publishModule = 0x30
  case listModules = 0x31
  case inspectModule = 0x32
  case changeModule = 0x33
  case stats = 0x40
  case flush = 0x41
  case compact = 0x42
  case verify = 0x43
  case backup = 0x44
}

package struct FrameFlags: OptionSet, Sendable {
  package let rawValue: UInt16
  package init(rawValue: UInt16) { self.rawValue = rawValue }

  /// From the server, in answer to the request with the same id.
  package static let reply = FrameFlags(rawValue: 1)
  /// The body of this reply is an error message.
  package static let error = FrameFlags(rawValue: 2)
  /// More parts of this reply follow.
  package static let more = FrameFlags(rawValue: 4)
  /// The body is a u32 raw length and one LZ4 block.
  package static let compressed = FrameFlags(rawValue: 8)

  static let known: FrameFlags = [.reply, .error, .more, .compressed]
}

/// A frame header. Offsets: 0 magic u32, 4 version u8, 5 opcode u8, 6 flags u16, 8 request id u32,
/// 12 stream id u32, 16 body length u32, 20 deadline u32 (ms from receipt, 0 = none),
/// 24 CRC-32C of the body u32, 28 CRC-32C of bytes 0..<28 u32. Little-endian.
package struct FrameHeader: Sendable, Equatable {
  package static let byteCount = 32
  /// The bytes "Rost".
  package static let magic: UInt32 = 0x7473_6f52
  package static let version: UInt8 = 1

  /// The raw opcode: an unknown one is answered per request, so it is no error of the frame.
  package var opcode: UInt8
  package var flags: FrameFlags
  package var requestID: UInt32
  package var streamID: UInt32
  package var bodyBytes: UInt32
  package var deadlineMs: UInt32
  package var bodyChecksum: UInt32

  package init(
    opcode: UInt8, flags: FrameFlags = [], requestID: UInt32, streamID: UInt32 = 0, bodyBytes: UInt32 = 0,
    deadlineMs: UInt32 = 0, bodyChecksum: UInt32 = 0
  ) {
    self.opcode = opcode
    self.flags = flags
    self.requestID = requestID
    self.streamID = streamID
    self.bodyBytes = bodyBytes
    self.deadlineMs = deadlineMs
    self.bodyChecksum = bodyChecksum
  }

  package func encode(into bytes: UnsafeMutableRawBufferPointer) {
    precondition(bytes.count >= FrameHeader.byteCount)
    func store<T: FixedWidthInteger>(_ value: T, _ offset: Int) {
      bytes.storeBytes(of: value.littleEndian, toByteOffset: offset, as: T.self)
    }
    store(FrameHeader.magic, 0)
    store(FrameHeader.version, 4)
    store(opcode, 5)
    store(flags.rawValue, 6)
    store(requestID, 8)
    store(streamID, 12)
    store(bodyBytes, 16)
    store(deadlineMs, 20)
    store(bodyChecksum, 24)
    store(crc32c(UnsafeRawBufferPointer(rebasing: bytes[0..<28])), 28)
  }

  /// Checks and reads the first 32 of `bytes`. Throws `.protocolViolation` (magic, flags), `.corrupted`
  /// (header checksum), `.unsupportedVersion` or `.limitExceeded` (body length), in this order: the
  /// checksum comes before the fields that it protects, the magic first because a stranger's bytes
  /// have no checksum.
  package init(from bytes: UnsafeRawBufferPointer, bodyBytesMax: Int) throws(RoostError) {
    precondition(bytes.count >= FrameHeader.byteCount)
    func load<T: FixedWidthInteger>(_ offset: Int, as type: T.Type) -> T {
      T(littleEndian: bytes.loadUnaligned(fromByteOffset: offset, as: T.self))
    }
    let magic = load(0, as: UInt32.self)
    guard magic == FrameHeader.magic else {
      throw RoostError(
        .protocolViolation, "the bytes do not begin with a Roost frame", at: "frame header",
        remedy: "check that both sides speak the Roost protocol and not TLS or HTTP")
    }
    guard load(28, as: UInt32.self) == crc32c(UnsafeRawBufferPointer(rebasing: bytes[0..<28])) else {
      throw RoostError(.corrupted, "the checksum of a frame header does not match", at: "frame header")
    }
    let version = load(4, as: UInt8.self)
    guard version == FrameHeader.version else {
      throw RoostError(
        .unsupportedVersion, "frame of protocol version \(version), this side speaks \(FrameHeader.version)",
        at: "frame header", remedy: "use a client and a node of the same major version")
    }
    opcode = load(5, as: UInt8.self)
    flags = FrameFlags(rawValue: load(6, as: UInt16.self))
    guard flags.isSubset(of: .known) else {
      throw RoostError(.protocolViolation, "unknown frame flags \(flags.rawValue)", at: "frame header")
    }
    requestID = load(8, as: UInt32.self)
    streamID = load(12, as: UInt32.self)
    bodyBytes = load(16, as: UInt32.self)
    deadlineMs = load(20, as: UInt32.self)
    bodyChecksum = load(24, as: UInt32.self)
    guard bodyBytes <= UInt32(clamping: bodyBytesMax) else {
      throw RoostError(
        .limitExceeded, "frame body of \(bodyBytes) bytes, the limit is \(bodyBytesMax)", at: "frame header",
        remedy: "send smaller batches")
    }
  }
}
