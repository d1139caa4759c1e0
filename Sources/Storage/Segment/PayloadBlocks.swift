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
  private let file: PagedFile
  private let index: Section
  private let payloads: Section
  private let cacheBytes: Int
  private let cache: Mutex<Cache>

  private struct Cache {
    var blocks: [PayloadBlock?]
    /// Cached blocks, oldest first; the first half may hold entries that were taken out already.
    var order: [Int] = []
    var head = 0
    var bytes = 0
  }

  init(file: PagedFile, index: Section, payloads: Section, cacheBytes: Int) {
    self.file = file
    self.index = index
    self.payloads = payloads
    self.cacheBytes = cacheBytes
    cache = Mutex(Cache(blocks: Array(repeating: nil, count: index.byteCount / 16)))
  }

  var cachedBytes: Int { cache.withLock { $0.bytes } }

  func block(_ number: Int) throws(RoostError) -> PayloadBlock {
    let cached: PayloadBlock?? = cache.withLock {
      $0.blocks.indices.contains(number) ? $0.blocks[number] : nil as PayloadBlock?
    }
    if let cached = cached ?? nil { return cached }
    let block = try decode(number)
    cache.withLock { cache in
      guard cache.blocks[number] == nil else { return }
      cache.blocks[number] = block
      cache.order.append(number)
      cache.bytes += block.bytes.count
      while cache.bytes > cacheBytes, cache.head < cache.order.count - 1 {
        let oldest = cache.order[cache.head]
        cache.head += 1
        cache.bytes -= cache.blocks[oldest]?.bytes.count ?? 0
        cache.blocks[oldest] = nil
      }
      if cache.head > 1024, cache.head * 2 > cache.order.count {
        cache.order.removeFirst(cache.head)
        cache.head = 0
      }
    }
    return block
  }

  private func decode(_ number: Int) throws(RoostError) -> PayloadBlock {
    let entry = try file.bytes(index, number * 16..<(number + 1) * 16)
    var reader = ByteReader(entry)
    let offset = try reader.u64()
    let stored = Int(try reader.u32())
    let rawField = try reader.u32()
    let rawCount = Int(rawField & ~LogFormat.compressedBit)
    let place = UInt64(payloads.firstPage * PagedFile.pageBytes) + min(offset, 1 << 48)
    guard offset <= UInt64(payloads.byteCount),
      rawCount <= PayloadBlockBuilder.targetBytes + Limits.payloadBytesMax + 8
    else { throw .corrupted("payload block \(number) is misplaced", file: file.path, offset: place) }
    let bytes = try file.bytes(payloads, Int(offset)..<Int(offset) + stored)
    guard rawField & LogFormat.compressedBit != 0 else { return PayloadBlock(bytes) }
    do throws(RoostError) {
      let raw = try LZ4.decompress(bytes, rawCount: rawCount)
      return raw.withUnsafeBytes { PayloadBlock($0) }
    } catch { throw .corrupted(error.message, file: file.path, offset: place) }
  }
}
