// Reads a log file back. Decides between a torn tail, which a crash leaves and which is cut, and
// damage, which is reported.

import Core

enum LogReader {
  struct Outcome {
    /// End of the last good frame.
    var length: UInt64
    /// Bytes after it that belong to frames that were never acknowledged.
    var tornBytes: UInt64
  }

  /// Whether a crash interrupted the creation of this log: it ends in or right after a header that is not
  /// whole. The header is durable before the first frame is written, so no write was ever acknowledged in it.
  static func isUnfinishedCreation(
    _ path: String, kind: LogFormat.Kind, number: UInt64, files: any FileSystem
  ) async throws(RoostError) -> Bool {
    let file = try await files.open(path, [.read])
    let buffer = IOBuffer(count: LogFormat.headerBytes)
    do throws(RoostError) {
      guard try await file.size() <= UInt64(buffer.count) else {
        await file.close()
        return false
      }
      let count = try await file.read(into: buffer, range: 0..<buffer.count, at: 0)
      await file.close()
      do throws(RoostError) {
        try LogFormat.checkHeader(buffer.bytes(0..<count), kind: kind, number: number, path: path)
        return false
      } catch { return error.kind == .corrupted }
    } catch {
      await file.close()
      throw error
    }
  }

  /// Calls `body` for each good frame in order.
  /// - Parameter exactLength: the length the file must have (after a clean close), or nil.
  /// - Throws: `.corrupted` naming file and offset when anything but the unacknowledged tail is bad.
  static func read(
    _ path: String, kind: LogFormat.Kind, number: UInt64, exactLength: UInt64?, files: any FileSystem,
    _ body: (LogFormat.Frame) throws(RoostError) -> Void
  ) async throws(RoostError) -> Outcome {
    let mapping = try await map(path, files: files)
    return try scan(
      mapping.bytes, path: path, kind: kind, number: number, exactLength: exactLength, body)
  }

  fileprivate static func map(_ path: String, files: any FileSystem) async throws(RoostError) -> FileMapping {
    let file = try await files.open(path, [.read])
    let mapping: FileMapping
    do throws(RoostError) { mapping = try await file.map() } catch {
      await file.close()
      throw error
    }
    await file.close()
    return mapping
  }

  /// The same over bytes in memory.
  static func scan(
    _ bytes: UnsafeRawBufferPointer, path: String, kind: LogFormat.Kind, number: UInt64, exactLength: UInt64?,
    _ body: (LogFormat.Frame) throws(RoostError) -> Void
  ) throws(RoostError) -> Outcome {
    try LogFormat.checkHeader(bytes, kind: kind, number: number, path: path)
    var offset = LogFormat.headerBytes
    var lastSequence: UInt64 = 0
    while offset < bytes.count {
      guard let frame = LogFormat.frame(in: bytes, at: offset) else { break }
      guard frame.sequence > lastSequence else {
        throw .corrupted(
          "frame \(frame.sequence) follows frame \(lastSequence)", file: path, offset: UInt64(offset))
      }
      do throws(RoostError) { try body(frame) } catch {
        throw .corrupted("a frame cannot be decoded: \(error.message)", file: path, offset: UInt64(offset))
      }
      lastSequence = frame.sequence
      offset += frame.byteCount
    }
    if let exactLength, exactLength != UInt64(offset) || bytes.count != offset {
      throw .corrupted(
        "the log was closed at \(exactLength) bytes, its good frames end here", file: path,
        offset: UInt64(offset))
    }
    if offset < bytes.count { try checkTail(bytes, from: offset, path: path) }
    return Outcome(length: UInt64(offset), tornBytes: UInt64(bytes.count - offset))
  }

  /// Looks for a later frame that vouches for the bytes at `start`.
  private static func checkTail(_ bytes: UnsafeRawBufferPointer, from start: Int, path: String)
    throws(RoostError)
  {
    var offset = start + 1
    let first = UInt8(truncatingIfNeeded: LogFormat.frameMagic)
    while offset + LogFormat.frameHeaderBytes <= bytes.count {
      if bytes[offset] == first, let frame = LogFormat.frame(in: bytes, at: offset) {
        guard frame.syncedThrough <= UInt64(start) else {
          throw .corrupted("a frame that had been acknowledged is damaged", file: path, offset: UInt64(start))
        }
        offset += frame.byteCount
      } else {
        offset += 1
      }
    }
  }
}

/// Goes through the frames of a log that `LogReader.read` has found good, one at a time, so that a log of any
/// length takes the memory of one frame.
struct LogCursor: Sendable {
  private let mapping: FileMapping
  private let path: String
  private let end: Int
  private var offset = LogFormat.headerBytes

  static func open(
    _ path: String, outcome: LogReader.Outcome, files: any FileSystem
  ) async throws(RoostError) -> LogCursor {
    let mapping = try await LogReader.map(path, files: files)
    guard mapping.bytes.count >= Int(outcome.length) else {
      throw .corrupted("the log has become shorter", file: path, offset: UInt64(mapping.bytes.count))
    }
    return LogCursor(mapping: mapping, path: path, end: Int(outcome.length))
  }

  private init(mapping: FileMapping, path: String, end: Int) {
    self.mapping = mapping
    self.path = path
    self.end = end
  }

  /// The next frame; nil at the end.
  mutating func next() throws(RoostError) -> LogFormat.Frame? {
    guard offset < end else { return nil }
    guard let frame = LogFormat.frame(in: mapping.bytes, at: offset) else {
      throw .corrupted("a frame that was good is not any more", file: path, offset: UInt64(offset))
    }
    offset += frame.byteCount
    return frame
  }
}
