// The vectors of a growing graph: one lazily committed block of memory.

import Core

/// `[capacity × rowBytes]`, each row padded with zeros to a multiple of 64 bytes.
///
/// A row is written once, before its number is handed to any other thread; after that it is only
/// read, so rows need no locks.
final class VectorArena: Sendable {
  let shape: VectorShape
  let capacity: Int
  /// Bytes from one row to the next.
  let stride: Int
  private let memory: AnonymousMemory

  /// - Parameter memory: `byteCount` zeros.
  init(shape: VectorShape, capacity: Int, memory: AnonymousMemory) {
    precondition(memory.count >= Self.byteCount(shape: shape, capacity: capacity))
    self.shape = shape
    self.capacity = capacity
    stride = Self.stride(shape)
    self.memory = memory
    memory.preferHugePages()
  }

  private static func stride(_ shape: VectorShape) -> Int { (shape.rowBytes + 63) & ~63 }
  static func byteCount(shape: VectorShape, capacity: Int) -> Int { capacity * stride(shape) }

  @inline(__always)
  func pointer(_ row: Int) -> UnsafeRawPointer {
    precondition(row >= 0 && row < capacity)
    return UnsafeRawPointer(memory.base + row * stride)
  }

  /// Copies one vector of exactly `shape.rowBytes` bytes into a row.
  func set(_ row: Int, from bytes: UnsafeRawBufferPointer) {
    precondition(row >= 0 && row < capacity && bytes.count == shape.rowBytes)
    UnsafeMutableRawBufferPointer(start: memory.base + row * stride, count: stride).copyMemory(from: bytes)
  }
}
