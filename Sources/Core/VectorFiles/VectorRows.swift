// A batch of vectors in memory, as a file reader hands them out.

/// `count` vectors of one shape, side by side: `bytes` is `[count × dimension]` of `element`.
public struct VectorRows: Sendable {
  public let element: VectorElement
  public let dimension: Int
  public let count: Int
  /// The number of the first row within its file.
  public let firstRow: Int
  /// 64-byte aligned, exactly `count × rowBytes` bytes; nobody writes to it any more.
  public let buffer: IOBuffer

  init(element: VectorElement, dimension: Int, count: Int, firstRow: Int, buffer: IOBuffer) {
    precondition(buffer.count == count * element.byteCount(dimension: dimension))
    self.element = element
    self.dimension = dimension
    self.count = count
    self.firstRow = firstRow
    self.buffer = buffer
  }

  public var rowBytes: Int { element.byteCount(dimension: dimension) }
  public var bytes: UnsafeRawBufferPointer { buffer.bytes }

  /// The elements of one row in place, `[dimension]`; valid while the rows live.
  public func row(_ index: Int) -> UnsafeRawBufferPointer {
    precondition(index >= 0 && index < count)
    return buffer.bytes(index * rowBytes..<(index + 1) * rowBytes)
  }

  /// A copy of one row.
  public func vector(_ index: Int) -> Vector { Vector(element: element, bytes: Array(row(index))) }
}
