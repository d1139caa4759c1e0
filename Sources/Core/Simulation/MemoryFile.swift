// An open file of a simulated disk.

import Synchronization

final class MemoryFile: File {
  let path: String
  let disk: MemoryDisk
  private let node: MemoryNode
  private let options: OpenOptions
  private let isClosed = Atomic<Bool>(false)

  init(disk: MemoryDisk, node: MemoryNode, path: String, options: OpenOptions) {
    self.disk = disk
    self.node = node
    self.path = path
    self.options = options
  }

  func size() async throws(RoostError) -> UInt64 {
    try await perform { (_) throws(RoostError) in UInt64(node.contents.count) }
  }

  func read(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) -> Int {
    try await perform { (state) throws(RoostError) in try read(into: buffer, range: range, at: offset, &state)
    }
  }

  /// One read, as one step.
  func read(
    into buffer: IOBuffer, range: Range<Int>, at offset: UInt64, _ state: inout MemoryDisk.State
  ) throws(RoostError) -> Int {
    try check(buffer, range, offset)
    guard options.contains(.read) else {
      throw memoryError(.io, "read a file that is open for writing", path)
    }
    let fault = try state.beginRead(path)
    guard offset < UInt64(node.contents.count) else { return 0 }
    let start = Int(offset)
    let count = min(range.count, node.contents.count - start)
    guard count > 0 else { return 0 }
    let target = UnsafeMutableRawBufferPointer(
      rebasing: buffer.mutableBytes[range.lowerBound..<range.lowerBound + count])
    node.contents.current.withUnsafeBytes {
      target.copyMemory(from: UnsafeRawBufferPointer(rebasing: $0[start..<start + count]))
    }
    if fault == .flipBit {
      let position = range.lowerBound + Int.random(in: 0..<count, using: &state.random)
      buffer.mutableBytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &state.random)
    }
    return count
  }

  func write(_ buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      try check(buffer, range, offset)
      guard options.contains(.write) else {
        throw memoryError(.io, "write a file that is open for reading", path)
      }
      guard !range.isEmpty else { return }
      let fault = try state.begin(.write, path)
      let end = offset.addingReportingOverflow(UInt64(range.count))
      guard !end.overflow, end.partialValue <= MemoryFile.sizeMax else {
        throw memoryError(.noSpace, "hold a file of that size", path)
      }
      let bytes = Array(buffer.bytes(range))
      let start = Int(offset)
      if let capacity = state.capacity {
        let growth = max(0, Int(end.partialValue) - node.contents.count)
        if growth > 0 && state.tree.usedBytes + growth > capacity {
          throw memoryError(.noSpace, "write the file", path)
        }
      }
      switch fault {
      case .noSpace:
        var isFull = false
        node.contents.write(bytes, at: start) { _ in
          isFull = isFull || state.random.next() & 1 == 0
          return !isFull
        }
        throw memoryError(.noSpace, "write the file", path)
      case .tornWrite:
        node.contents.write(bytes, at: start) { _ in state.random.next() & 1 == 0 }
        throw memoryError(.io, "write all of the file", path)
      default:
        node.contents.write(bytes, at: start)
        try state.end(fault, path)
      }
    }
  }

  func sync() async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      let fault = try state.begin(.sync, path)
      switch fault {
      case nil: node.contents.sync()
      case .failSync:
        node.contents.failSync(&state.random)
        throw memoryError(.io, "make the file durable", path)
      default: break
      }
      try state.end(fault, path)
    }
  }

  func truncate(to size: UInt64) async throws(RoostError) {
    try await perform { (state) throws(RoostError) in
      guard options.contains(.write) else {
        throw memoryError(.io, "truncate a file that is open for reading", path)
      }
      guard size <= MemoryFile.sizeMax else { throw memoryError(.noSpace, "hold a file of that size", path) }
      let fault = try state.begin(.other, path)
      node.contents.truncate(to: Int(size))
      try state.end(fault, path)
    }
  }

  func map() async throws(RoostError) -> FileMapping {
    try await perform { (state) throws(RoostError) in
      let fault = try state.beginRead(path)
      let copy = IOBuffer(node.contents.current, alignment: 4096)
      if fault == .flipBit && copy.count > 0 {
        let position = Int.random(in: 0..<copy.count, using: &state.random)
        copy.mutableBytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &state.random)
      }
      // The closure keeps the copy; letting the closure go lets the copy go.
      return FileMapping(bytes: copy.bytes) { _ in withExtendedLifetime(copy) {} }
    }
  }

  func makeReadQueue() -> any ReadQueue { MemoryReadQueue(file: self) }

  func close() async { isClosed.store(true, ordering: .sequentiallyConsistent) }

  /// Simulated files are small; more than this is a mistake in the offset.
  private static let sizeMax: UInt64 = 1 << 32

  func perform<T: Sendable>(
    _ body: (inout MemoryDisk.State) throws(RoostError) -> T
  ) async throws(RoostError) -> T {
    try await disk.perform { (state) throws(RoostError) in
      if isClosed.load(ordering: .sequentiallyConsistent) {
        throw RoostError(.io, "the file is closed", at: path)
      }
      return try body(&state)
    }
  }

  private func check(_ buffer: IOBuffer, _ range: Range<Int>, _ offset: UInt64) throws(RoostError) {
    precondition(range.lowerBound >= 0 && range.upperBound <= buffer.count, "the range leaves the buffer")
    guard options.contains(.direct) else { return }
    let bits =
      UInt(bitPattern: buffer.base + range.lowerBound) | UInt(range.count) | UInt(truncatingIfNeeded: offset)
    guard bits & 4095 == 0 else {
      throw RoostError(
        .invalidArgument, "direct access needs addresses, sizes and offsets that are multiples of 4096",
        at: path)
    }
  }
}

/// Completes in an order that the disk's seed decides.
final class MemoryReadQueue: ReadQueue {
  private struct Read {
    var buffer: IOBuffer
    var range: Range<Int>
    var offset: UInt64
    var tag: Int
  }

  private let file: MemoryFile
  private var reads: [Read] = []

  init(file: MemoryFile) { self.file = file }

  var inFlight: Int { reads.count }

  func submit(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64, tag: Int) {
    reads.append(Read(buffer: buffer, range: range, offset: offset, tag: tag))
  }

  func next() async throws(RoostError) -> Int {
    precondition(!reads.isEmpty, "next() needs a read in flight")
    let index = file.disk.state.withLock { Int.random(in: 0..<reads.count, using: &$0.random) }
    let read = reads[index]
    reads.swapAt(index, reads.count - 1)
    reads.removeLast()
    let file = file
    let count = try await file.perform { (state) throws(RoostError) in
      try file.read(into: read.buffer, range: read.range, at: read.offset, &state)
    }
    guard count == read.range.count else {
      throw RoostError(.io, "the file ends before the read is complete", at: file.path)
    }
    return read.tag
  }
}
