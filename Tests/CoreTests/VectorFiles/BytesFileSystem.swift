// Read-only files out of byte arrays, for tests of file readers.

import Core

/// Serves fixed contents by path and fails every other operation.
struct BytesFileSystem: FileSystem {
  var contents: [String: [UInt8]]
  /// Files whose `read` sees only so many bytes, as when they shrink after they were opened.
  var readable: [String: Int] = [:]

  private func refuse(_ path: String) -> RoostError { RoostError(.io, "not part of this test", at: path) }

  func open(_ path: String, _ options: OpenOptions) async throws(RoostError) -> any File {
    guard options == .read, let bytes = contents[path] else {
      throw RoostError(.notFound, "no such file", at: path)
    }
    return BytesFile(path: path, bytes: bytes, readable: readable[path] ?? bytes.count)
  }
  func exists(_ path: String) async throws(RoostError) -> Bool { contents[path] != nil }
  func list(_ directory: String) async throws(RoostError) -> [String] { throw refuse(directory) }
  func makeDirectory(_ path: String) async throws(RoostError) { throw refuse(path) }
  func rename(_ source: String, to target: String) async throws(RoostError) { throw refuse(source) }
  func link(_ source: String, to target: String) async throws(RoostError) { throw refuse(source) }
  func remove(_ path: String) async throws(RoostError) { throw refuse(path) }
  func removeDirectory(_ path: String) async throws(RoostError) { throw refuse(path) }
  func syncDirectory(_ path: String) async throws(RoostError) { throw refuse(path) }
  func lock(_ path: String) async throws(RoostError) -> any FileLock { throw refuse(path) }
}

private final class BytesFile: File {
  let path: String
  let bytes: [UInt8]
  let readable: Int

  init(path: String, bytes: [UInt8], readable: Int) {
    self.path = path
    self.bytes = bytes
    self.readable = readable
  }

  func size() async throws(RoostError) -> UInt64 { UInt64(bytes.count) }

  func read(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) -> Int {
    let start = min(Int(offset), readable)
    let count = min(range.count, readable - start)
    UnsafeMutableRawBufferPointer(rebasing: buffer.mutableBytes[range]).copyBytes(
      from: bytes[start..<start + count])
    return count
  }

  private var refusal: RoostError { RoostError(.io, "not part of this test", at: path) }
  func write(_ buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) {
    throw refusal
  }
  func sync() async throws(RoostError) { throw refusal }
  func truncate(to size: UInt64) async throws(RoostError) { throw refusal }
  func map() async throws(RoostError) -> FileMapping { throw refusal }
  func makeReadQueue() -> any ReadQueue { preconditionFailure("not part of this test") }
  func close() async {}
}
