// LZ4 block compression (system library) with a bounds-checked face.

import CLZ4

public enum LZ4 {
  /// The LZ4 block of `bytes`, or nil when there is nothing to gain.
  public static func compress(_ bytes: [UInt8]) -> [UInt8]? {
    bytes.withUnsafeBytes { compress($0) }
  }

  public static func compress(_ bytes: UnsafeRawBufferPointer) -> [UInt8]? {
    guard bytes.count > 16, bytes.count < Int(LZ4_MAX_INPUT_SIZE) else { return nil }
    // A block that would not come out smaller makes LZ4 give up early and return 0.
    let capacity = bytes.count - 1
    var packed = [UInt8](repeating: 0, count: capacity)
    let count = packed.withUnsafeMutableBytes { target in
      LZ4_compress_default(
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
        target.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count), Int32(capacity))
    }
    guard count > 0 else { return nil }
    packed.removeLast(capacity - Int(count))
    return packed
  }

  /// Decompresses one LZ4 block that must yield exactly `rawCount` bytes. The caller bounds `rawCount`.
  public static func decompress(_ bytes: [UInt8], rawCount: Int) throws(RoostError) -> [UInt8] {
    try bytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
      try decompress(UnsafeRawBufferPointer(raw), rawCount: rawCount)
    }
  }

  public static func decompress(_ bytes: UnsafeRawBufferPointer, rawCount: Int) throws(RoostError) -> [UInt8]
  {
    guard rawCount >= 0, rawCount < Int(LZ4_MAX_INPUT_SIZE), bytes.count < Int(LZ4_MAX_INPUT_SIZE) else {
      throw RoostError(.corrupted, "an LZ4 block claims \(rawCount) bytes")
    }
    var result = [UInt8](repeating: 0, count: rawCount)
    let count = result.withUnsafeMutableBytes { target in
      LZ4_decompress_safe(
        bytes.baseAddress?.assumingMemoryBound(to: CChar.self),
        target.baseAddress?.assumingMemoryBound(to: CChar.self), Int32(bytes.count), Int32(rawCount))
    }
    guard Int(count) == rawCount else { throw RoostError(.corrupted, "an LZ4 block is damaged") }
    return result
  }
}
