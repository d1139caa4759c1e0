// The bounds-checked face of a guest's linear memory. Addresses and lengths come from guests.

import CWasmtime

/// A view of a guest's memory; invalid as soon as the guest runs again, since it may grow the memory.
struct GuestMemory {
  private let base: UnsafeMutablePointer<UInt8>?
  let byteCount: Int

  init(_ context: OpaquePointer, _ memory: inout wasmtime_memory_t) {
    base = wasmtime_memory_data(context, &memory)
    byteCount = wasmtime_memory_data_size(context, &memory)
  }

  /// `count` bytes at a guest address; nil when they do not all lie inside the memory.
  @inline(__always)
  func bytes(at address: UInt32, count: Int) -> UnsafeMutableRawBufferPointer? {
    guard let base, count >= 0, count <= byteCount, Int(address) <= byteCount - count else { return nil }
    return UnsafeMutableRawBufferPointer(start: base + Int(address), count: count)
  }
}
