// Payloads of a segment: blocks of about 16 KiB, LZ4 when it helps, and a cache of decoded blocks.
//
// block := per row a varint length and the encoded payload. The index has 16 bytes a block: offset in
// the payload section u64, stored bytes u32, raw bytes u32 (top bit: LZ4).

import Core
import Synchronization

/// The decoded bytes of one block.
final class PayloadBlock: Sendable {
  let bytes: IOBuffer
  init(_ raw: UnsafeRawBufferPointer) {
    bytes = IOBuffer(count: raw.count)
    bytes.mutableBytes.copyMemory(from: raw)
  }

  /// The payload whose length prefix stands at `offset`.
  func payload(at offset: Int) throws(RoostError) -> UnsafeRawBufferPointer {
    guard offset < bytes.count else {
      throw RoostError(.corrupted, "a payload starts at \(offset) of a block of \(bytes.count) bytes")
    }
    var reader = ByteReader(bytes.bytes(offset..<bytes.count))
    return try reader.bytes(try reader.count("payload length", atMost: Limits.payloadBytesMax))
  }
}

/// Collects payloads into blocks while a segment is written.
struct PayloadBlockBuilder {
  static let targetBytes = 16 * 1024

  private var raw = ByteWriter(reserving: targetBytes + 4096)
  private(set) var finished = ByteWriter()
  private(set) var index = ByteWriter()
  private var blockCount = 0
  private var written: UInt64 = 0

  /// Adds a payload and returns where it will be found.
  mutating func add(_ payload: UnsafeRawBufferPointer) -> (block: UInt32, offset: UInt32) {
    if raw.count >= Self.targetBytes { finishBlock() }
    let place = (UInt32(blockCount), UInt32(raw.count))
    raw.count(payload.count)
    raw.raw(payload)
    return place
  }

  mutating func finishBlock() {
    guard raw.count > 0 else { return }
    let packed = LZ4.compress(raw.bytes)
    let stored = packed ?? raw.bytes
    index.u64(written)
    index.u32(UInt32(stored.count))
    index.u32(UInt32(raw.count) | (packed == nil ? 0 : LogFormat.compressedBit))
    finished.raw(stored)
    written += UInt64(stored.count)
    blockCount += 1
    raw = ByteWriter(reserving: Self.targetBytes + 4096)
  }

  /// Takes the bytes of the blocks finished so far, to be written out.
  mutating func takeFinished() -> [UInt8] {
    let bytes = finished.bytes
    finished = ByteWriter()
    return bytes
  }
}

/// Reads blocks of a sealed segment through a bounded cache.
final class PayloadBlocks: Sendable {
  let file: PagedFile
  let index: Section
  let payloads: Section
  private let budget: ByteBudget
  private let cache: Mutex<Cache>

  private struct Cache {
    var blocks: [PayloadBlock?]
    /// Cached blocks, oldest first; the first half may hold entries that were taken out already.
    var order: [Int] = []
    var head = 0
    var bytes = 0
  }

  init(file: PagedFile, index: Section, payloads: Section, budget: ByteBudget) {
    self.file = file
    self.index = index
    self.payloads = payloads
    self.budget = budget
    cache = Mutex(Cache(blocks: Array(repeating: nil, count: index.byteCount / 16)))
  }

  deinit { budget.add(-cachedBytes) }

  /// The same blocks through another, empty cache.
  func copy(cacheBytes: Int) -> PayloadBlocks {
    PayloadBlocks(file: file, index: index, payloads: payloads, budget: ByteBudget(limit: cacheBytes))
  }

  var cachedBytes: Int { cache.withLock { $0.bytes } }

  func block(_ number: Int) throws(RoostError) -> PayloadBlock {
    if let cached = cached(number) { return cached }
    let place = try place(number, try file.bytes(index, number * 16..<(number + 1) * 16))
    let block = try decode(try file.bytes(payloads, place.stored), place)
    insert(block, number)
    return block
  }

  func cached(_ number: Int) -> PayloadBlock? {
    cache.withLock { $0.blocks.indices.contains(number) ? $0.blocks[number] : nil }
  }

  func insert(_ block: PayloadBlock, _ number: Int) {
    cache.withLock { cache in
      guard cache.blocks[number] == nil else { return }
      cache.blocks[number] = block
      cache.order.append(number)
      cache.bytes += block.bytes.count
      budget.add(block.bytes.count)
      while budget.isExceeded, cache.head < cache.order.count - 1 {
        let oldest = cache.order[cache.head]
        cache.head += 1
        let bytes = cache.blocks[oldest]?.bytes.count ?? 0
        cache.bytes -= bytes
        budget.add(-bytes)
        cache.blocks[oldest] = nil
      }
      if cache.head > 1024, cache.head * 2 > cache.order.count {
        cache.order.removeFirst(cache.head)
        cache.head = 0
      }
    }
  }

  /// Where a block lies in the payloads, and what it is once decoded.
  struct Place {
    var stored: Range<Int>
    var rawCount: Int
    var isCompressed: Bool
  }

  func place(_ number: Int, _ entry: UnsafeRawBufferPointer) throws(RoostError) -> Place {
    var reader = ByteReader(entry)
    let offset = try reader.u64()
    let stored = Int(try reader.u32())
    let rawField = try reader.u32()
    let rawCount = Int(rawField & ~LogFormat.compressedBit)
    guard offset <= UInt64(payloads.byteCount), stored <= payloads.byteCount - Int(offset),
      rawCount <= PayloadBlockBuilder.targetBytes + Limits.payloadBytesMax + 8
    else { throw misplaced("payload block \(number) is misplaced", min(offset, 1 << 48)) }
    return Place(
      stored: Int(offset)..<Int(offset) + stored, rawCount: rawCount,
      isCompressed: rawField & LogFormat.compressedBit != 0)
  }

  func decode(_ bytes: UnsafeRawBufferPointer, _ place: Place) throws(RoostError) -> PayloadBlock {
    guard place.isCompressed else { return PayloadBlock(bytes) }
    do throws(RoostError) {
      let raw = try LZ4.decompress(bytes, rawCount: place.rawCount)
      return raw.withUnsafeBytes { PayloadBlock($0) }
    } catch { throw misplaced(error.message, UInt64(place.stored.lowerBound)) }
  }

  private func misplaced(_ message: String, _ offset: UInt64) -> RoostError {
    .corrupted(message, file: file.path, offset: UInt64(payloads.firstPage * PagedFile.pageBytes) + offset)
  }
}
