// Roost guest SDK: a run of bytes, usually UTF-8, in guest memory.

/// Bytes that somebody else owns. Those of a candidate or a text are valid during the call only, those of
/// the parameters for as long as the instance lives.
public struct Bytes {
  public let start: UnsafeRawPointer
  public let count: Int

  @inline(__always)
  public init(start: UnsafeRawPointer, count: Int) {
    self.start = start
    self.count = count
  }

  @inline(__always)
  public init(_ text: StaticString) { self.init(start: text.utf8Start, count: text.utf8CodeUnitCount) }

  @inline(__always)
  public subscript(index: Int) -> UInt8 { start.load(fromByteOffset: index, as: UInt8.self) }

  @inline(__always)
  public func equals(_ other: Bytes) -> Bool {
    guard count == other.count else { return false }
    for index in 0..<count where self[index] != other[index] { return false }
    return true
  }

  @inline(__always)
  public func equals(_ text: StaticString) -> Bool { equals(Bytes(text)) }

  /// Whether `other` occurs in these bytes, with ASCII letters compared without case.
  public func containsIgnoringCase(_ other: Bytes) -> Bool {
    guard other.count > 0 else { return true }
    guard other.count <= count else { return false }
    let first = lowercased(other[0])
    for start in 0...(count - other.count) where lowercased(self[start]) == first {
      var index = 1
      while index < other.count, lowercased(self[start + index]) == lowercased(other[index]) { index += 1 }
      if index == other.count { return true }
    }
    return false
  }
}

/// An ASCII capital as a small letter; any other byte as it is.
@inline(__always)
public func lowercased(_ byte: UInt8) -> UInt8 { byte &- 65 < 26 ? byte | 0x20 : byte }
