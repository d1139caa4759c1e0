// The framing that WAL and manifest share. `spec/storage.md`, "Log files".
//
// file   := header frame*
// header := magic u64, format version u16, kind u8, 0 u8, file number u64, CRC-32C u32 of all before
// frame  := magic u32, CRC-32C u32 of all after it, sequence u64, synced-through u64, raw count u32,
//           stored count u32 (top bit: LZ4), stored bytes
//
// `synced-through` is the length of the file that was durable when the frame was written. It tells
// damage from a torn tail: a bad frame below the synced-through of any later good frame had been
// acknowledged, so it is corruption; a bad frame that nothing vouches for was still in flight.

import Core

enum LogFormat {
  static let magic: UInt64 = 0x3147_4f4c_5453_4f52  // "ROSTLOG1"
  static let formatVersion: UInt16 = 1
  static let headerBytes = 24
  static let frameMagic: UInt32 = 0x4d52_4652  // "RFRM"
  static let frameHeaderBytes = 32
  static let compressedBit: UInt32 = 1 << 31
  /// Bodies smaller than this are not worth compressing.
  static let compressionThresholdBytes = 256
  static let bodyBytesMax = 1 << 30

  enum Kind: UInt8, Sendable {
    case wal = 1
    case manifest = 2
  }

  static func encodeHeader(kind: Kind, number: UInt64) -> [UInt8] {
    var writer = ByteWriter(reserving: headerBytes)
    writer.u64(magic)
    writer.u16(formatVersion)
    writer.u8(kind.rawValue)
    writer.u8(0)
    writer.u64(number)
    writer.u32(crc32c(writer.bytes))
    return writer.bytes
  }

  static func checkHeader(
    _ bytes: UnsafeRawBufferPointer, kind: Kind, number: UInt64, path: String
  ) throws(RoostError) {
    func refuse(_ message: String, _ offset: UInt64 = 0) -> RoostError {
      .corrupted(message, file: path, offset: offset)
    }
    guard bytes.count >= headerBytes else { throw refuse("the log header is cut short") }
    var reader = ByteReader(UnsafeRawBufferPointer(rebasing: bytes[..<headerBytes]))
    let fields = UnsafeRawBufferPointer(rebasing: bytes[..<(headerBytes - 4)])
    guard try reader.u64() == magic else { throw refuse("this is not a log file") }
    let version = try reader.u16()
    let kindByte = try reader.u8()
    try reader.skip(1)
    let storedNumber = try reader.u64()
    guard crc32c(fields) == (try reader.u32()) else { throw refuse("the log header has a wrong checksum") }
    guard version == formatVersion else {
      throw RoostError(
        .unsupportedVersion, "log format \(version), this program reads \(formatVersion)", at: path,
        remedy: "use the program that wrote it, or a newer one")
    }
    guard kindByte == kind.rawValue, storedNumber == number else {
      throw refuse("the log header belongs to another file", 10)
    }
  }

  /// Appends one frame to `writer`.
  static func encodeFrame(
    _ body: [UInt8], sequence: UInt64, syncedThrough: UInt64, into writer: inout ByteWriter
  ) {
    precondition(body.count <= bodyBytesMax)
    let packed = body.count >= compressionThresholdBytes ? LZ4.compress(body) : nil
    let stored = packed ?? body
    let start = writer.count
    writer.u32(frameMagic)
    writer.u32(0)
    writer.u64(sequence)
    writer.u64(syncedThrough)
    writer.u32(UInt32(body.count))
    writer.u32(UInt32(stored.count) | (packed == nil ? 0 : compressedBit))
    writer.raw(stored)
    let sum = writer.bytes.withUnsafeBytes { crc32c(UnsafeRawBufferPointer(rebasing: $0[(start + 8)...])) }
    writer.patch(sum, at: start + 4)
  }

  struct Frame {
    var sequence: UInt64
    var syncedThrough: UInt64
    var body: [UInt8]
    var byteCount: Int
  }

  /// The frame at `offset`, or nil when the bytes there are not one whole good frame.
  static func frame(in bytes: UnsafeRawBufferPointer, at offset: Int) -> Frame? {
    guard let (extent, reader) = checkedExtent(in: bytes, at: offset) else { return nil }
    var cursor = reader
    do throws(RoostError) {
      let sequence = try cursor.u64()
      let syncedThrough = try cursor.u64()
      let rawCount = Int(try cursor.u32())
      let storedField = try cursor.u32()
      let stored = try cursor.bytes(Int(storedField & ~compressedBit))
      guard rawCount <= bodyBytesMax else { return nil }
      let body: [UInt8]
      if storedField & compressedBit != 0 {
        // LZ4 cannot expand by more than 255; a larger claim would only make us allocate in vain.
        guard rawCount / 255 <= stored.count else { return nil }
        body = try LZ4.decompress(stored, rawCount: rawCount)
      } else {
        guard rawCount == stored.count else { return nil }
        body = Array(stored)
      }
      return Frame(sequence: sequence, syncedThrough: syncedThrough, body: body, byteCount: extent)
    } catch { return nil }
  }

  /// The byte count of a frame whose checksum holds, and a reader at its sequence field.
  private static func checkedExtent(in bytes: UnsafeRawBufferPointer, at offset: Int) -> (Int, ByteReader)? {
    guard offset >= 0, bytes.count - offset >= frameHeaderBytes else { return nil }
    func word(_ at: Int) -> UInt32 {
      UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: offset + at, as: UInt32.self))
    }
    guard word(0) == frameMagic else { return nil }
    let extent = frameHeaderBytes + Int(word(28) & ~compressedBit)
    guard extent <= bytes.count - offset else { return nil }
    let covered = UnsafeRawBufferPointer(rebasing: bytes[(offset + 8)..<(offset + extent)])
    guard crc32c(covered) == word(4) else { return nil }
    return (extent, ByteReader(covered))
  }
}
