// Lays a batch out in the guest's buffer: a table of offsets, the items, and room for the results.

import Core

/// The places of one batch inside a buffer of `byteCount` bytes (`spec/wasm-abi.md`, "Batches"):
/// `count + 1` little-endian u32 offsets from the start, the items back to back, then, 16-aligned, the
/// output.
struct BatchLayout {
  let itemsOffset: Int
  let outputOffset: Int
  let byteCount: Int

  /// `itemBytes` is what the items need at most.
  init(count: Int, itemBytes: Int, outputBytes: Int) {
    itemsOffset = (count + 1) * 4
    outputOffset = (itemsOffset + itemBytes + GuestABI.alignment - 1) & ~(GuestABI.alignment - 1)
    byteCount = outputOffset + outputBytes
  }

  func outputAddress(_ buffer: UInt32) -> UInt32 { buffer + UInt32(outputOffset) }
}

/// Fills the table and the items of a batch.
struct BatchWriter {
  private let bytes: UnsafeMutableRawBufferPointer
  private var item = 0
  private(set) var end: Int

  init(_ bytes: UnsafeMutableRawBufferPointer, layout: BatchLayout) {
    self.bytes = bytes
    end = layout.itemsOffset
    bytes.storeBytes(of: UInt32(end).littleEndian, as: UInt32.self)
  }

  /// The rest of the buffer; the item is what `append(count:)` then says.
  var room: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(rebasing: bytes[end...]) }

  @inline(__always)
  mutating func append(count: Int) {
    end += count
    item += 1
    bytes.storeBytes(of: UInt32(end).littleEndian, toByteOffset: item * 4, as: UInt32.self)
  }

  @inline(__always)
  mutating func append(_ source: UnsafeRawBufferPointer) {
    UnsafeMutableRawBufferPointer(rebasing: bytes[end..<end + source.count]).copyMemory(from: source)
    append(count: source.count)
  }
}
