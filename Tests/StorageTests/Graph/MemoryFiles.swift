// A file system in memory for tests of sealed files, and a read queue that answers out of order.

import Core
import Synchronization

@testable import Storage

final class MemoryFile: File {
  let path: String
  private let bytes = Mutex<[UInt8]>([])
  /// Reads that fail: those at or beyond this offset.
  let failsFrom = Atomic<UInt64>(.max)

  init(path: String) { self.path = path }

  var contents: [UInt8] {
    get { bytes.withLock { $0 } }
    set { bytes.withLock { $0 = newValue } }
  }

  func size() async throws(RoostError) -> UInt64 { UInt64(contents.count) }

  func read(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) -> Int {
    try readNow(into: buffer, range: range, at: offset)
  }

  func readNow(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64) throws(RoostError) -> Int {
    if offset >= failsFrom.load(ordering: .relaxed) { throw RoostError(.io, "bad sector", at: path) }
    return bytes.withLock { bytes in
      let count = max(0, min(range.count, bytes.count - Int(offset)))
      bytes.withUnsafeBytes { raw in
        guard count > 0, let base = raw.baseAddress else { return }
        (buffer.base + range.lowerBound).copyMemory(from: base + Int(offset), byteCount: count)
      }
      return count
    }
  }

  func write(_ buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) {
    let source = Array(buffer.bytes(range))
    bytes.withLock { bytes in
      let end = Int(offset) + source.count
      if bytes.count < end { bytes += [UInt8](repeating: 0, count: end - bytes.count) }
      bytes.replaceSubrange(Int(offset)..<end, with: source)
    }
  }

  func sync() async throws(RoostError) {}
  func truncate(to size: UInt64) async throws(RoostError) {
    bytes.withLock { $0.removeLast($0.count - Int(size)) }
  }

  func map() async throws(RoostError) -> FileMapping {
    let copy = IOBuffer(contents, alignment: 4096)
    return FileMapping(bytes: copy.bytes) { _ in withExtendedLifetime(copy) {} }
  }

  func makeReadQueue() -> any ReadQueue { ShufflingReadQueue(self) }
  func close() async {}
}

/// Completes reads in random order.
final class ShufflingReadQueue: ReadQueue {
  private let file: MemoryFile
  private var pending: [(IOBuffer, Range<Int>, UInt64, Int)] = []
  private var random = SplitMix64(seed: 99)

  init(_ file: MemoryFile) { self.file = file }

  var inFlight: Int { pending.count }

  func submit(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64, tag: Int) {
    pending.append((buffer, range, offset, tag))
  }

  func next() async throws(RoostError) -> Int {
    let read = pending.remove(at: Int.random(in: 0..<pending.count, using: &random))
    let count = try file.readNow(into: read.0, range: read.1, at: read.2)
    guard count == read.1.count else { throw RoostError(.io, "short read", at: file.path) }
    return read.3
  }
}

/// One folder of memory files.
final class MemoryFiles: FileSystem {
  private let files = Mutex<[String: MemoryFile]>([:])

  func file(_ path: String) -> MemoryFile {
    files.withLock { files in
      if let file = files[path] { return file }
      let file = MemoryFile(path: path)
      files[path] = file
      return file
    }
  }

  func open(_ path: String, _ options: OpenOptions) async throws(RoostError) -> any File { file(path) }
  func exists(_ path: String) async throws(RoostError) -> Bool { files.withLock { $0[path] != nil } }
  func list(_ directory: String) async throws(RoostError) -> [String] { files.withLock { $0.keys.sorted() } }
  func makeDirectory(_ path: String) async throws(RoostError) {}
  func rename(_ source: String, to target: String) async throws(RoostError) {
    files.withLock { $0[target] = $0.removeValue(forKey: source) }
  }
  func link(_ source: String, to target: String) async throws(RoostError) {
    files.withLock { $0[target] = $0[source] }
  }
  func remove(_ path: String) async throws(RoostError) { _ = files.withLock { $0.removeValue(forKey: path) } }
  func removeDirectory(_ path: String) async throws(RoostError) {}
  func syncDirectory(_ path: String) async throws(RoostError) {}
  func lock(_ path: String) async throws(RoostError) -> any FileLock {
    throw RoostError(.locked, "no locks here")
  }
}
