// An open file on the ring.

import CURing
import Core
import Glibc

final class RingFile: File {
  let path: String
  let descriptor: Descriptor
  /// Serves callers whose thread has no ring.
  let ring: Ring
  private let threads: ThreadPool
  private let isDirect: Bool

  /// O_DIRECT asks for multiples of the device's block; Roost always uses this.
  static let directAlignment = 4096

  init(path: String, descriptor: Descriptor, ring: Ring, threads: ThreadPool, isDirect: Bool) {
    self.path = path
    self.descriptor = descriptor
    self.ring = ring
    self.threads = threads
    self.isDirect = isDirect
  }

  func size() async throws(RoostError) -> UInt64 {
    try begin()
    defer { descriptor.release() }
    // The inode of an open file is in memory: this call does not wait for the disk.
    var status = stat()
    guard fstat(descriptor.number, &status) == 0 else { throw failure(errno, "read the size of the file") }
    return UInt64(status.st_size)
  }

  func read(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) -> Int {
    try check(buffer, range, offset)
    try begin()
    defer { descriptor.release() }
    var done = 0
    while done < range.count {
      let result = await ring.perform(
        RingEntry.read(
          descriptor.number, buffer.base + range.lowerBound + done, range.count - done,
          at: offset + UInt64(done)),
        keeping: buffer)
      if result == -EINTR || result == -EAGAIN { continue }
      guard result >= 0 else { throw failure(-result, "read the file") }
      done += Int(result)
      if result == 0 || isEnd(done) { break }
    }
    return done
  }

  func write(_ buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) {
    try check(buffer, range, offset)
    try begin()
    defer { descriptor.release() }
    var done = 0
    while done < range.count {
      let result = await ring.perform(
        RingEntry.write(
          descriptor.number, buffer.base + range.lowerBound + done, range.count - done,
          at: offset + UInt64(done)),
        keeping: buffer)
      if result == -EINTR || result == -EAGAIN { continue }
      // A write that makes no progress would loop for ever; the kernel means "no space" by it.
      guard result != 0 else { throw failure(ENOSPC, "write the file") }
      guard result > 0 else { throw failure(-result, "write the file") }
      done += Int(result)
    }
  }

  func sync() async throws(RoostError) {
    try begin()
    defer { descriptor.release() }
    let result = await ring.perform(RingEntry.sync(descriptor.number, dataOnly: true))
    guard result == 0 else { throw failure(-result, "make the file durable") }
  }

  func truncate(to size: UInt64) async throws(RoostError) {
    try begin()
    defer { descriptor.release() }
    guard let size = Int(exactly: size) else { throw failure(EFBIG, "truncate the file") }
    // io_uring learnt this only in Linux 6.9, and it may wait for the disk.
    let number = descriptor.number
    let code = await threads.run { ftruncate(number, size) == 0 ? 0 : errno }
    guard code == 0 else { throw failure(code, "truncate the file") }
  }

  func map() async throws(RoostError) -> FileMapping {
    let count = Int(try await size())
    guard count > 0 else {
      return FileMapping(bytes: UnsafeRawBufferPointer(start: nil, count: 0)) { _ in }
    }
    try begin()
    defer { descriptor.release() }
    let address = mmap(nil, count, PROT_READ, MAP_SHARED, descriptor.number, 0)
    guard let address, address != MAP_FAILED else { throw failure(errno, "map the file") }
    return FileMapping(bytes: UnsafeRawBufferPointer(start: address, count: count)) { bytes in
      munmap(UnsafeMutableRawPointer(mutating: bytes.baseAddress), bytes.count)
    }
  }

  func makeReadQueue() -> any ReadQueue { RingReadQueue(file: self) }

  func close() async {
    guard descriptor.beginClose() else { return }
    // Through the ring, because closing a removed file frees its blocks, which takes its time.
    let result = await ring.perform(RingEntry.close(descriptor.number))
    if result == -ECANCELED { Glibc.close(descriptor.number) }
  }

  // MARK: - Checks shared with the read queue

  func failure(_ code: Int32, _ action: String) -> RoostError { .system(code, action, at: path) }

  var closedError: RoostError { RoostError(.io, "the file is closed", at: path) }

  /// A direct read that ends within a block has met the end of the file; going on would be misaligned.
  func isEnd(_ done: Int) -> Bool { isDirect && done & 511 != 0 }

  func check(_ buffer: IOBuffer, _ range: Range<Int>, _ offset: UInt64) throws(RoostError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "the range leaves the buffer")
    guard isDirect else { return }
    let bits =
      UInt(bitPattern: buffer.base + range.lowerBound) | UInt(range.count) | UInt(truncatingIfNeeded: offset)
    guard bits & UInt(RingFile.directAlignment - 1) == 0 else {
      throw RoostError(
        .invalidArgument, "direct access needs addresses, sizes and offsets that are multiples of 4096",
        at: path)
    }
  }

  private func begin() throws(RoostError) {
    guard descriptor.acquire() else { throw closedError }
  }
}
