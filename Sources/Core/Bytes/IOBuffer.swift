// Aligned, reference-counted memory for I/O. A ring operation keeps its buffer alive through the
// reference it holds, so no pointer to it can outlive it.

import Glibc

/// A fixed-size, zero-filled, aligned block of memory, the unit in which files and sockets move bytes.
///
/// Safety of `@unchecked Sendable`: the address and size never change. The bytes themselves follow
/// the ownership rule of all I/O here: between the start of an operation and its completion they
/// belong to the operation; otherwise to the one task that holds the buffer, or to many readers
/// once nobody writes any more.
public final class IOBuffer: @unchecked Sendable {
  public let base: UnsafeMutableRawPointer
  public let count: Int

  /// - Parameter alignment: a power of two; 4096 suits O_DIRECT.
  public init(count: Int, alignment: Int = 64) {
    precondition(count >= 0 && alignment > 0 && alignment & (alignment - 1) == 0)
    self.count = count
    if count >= IOBuffer.mappedBytesMin && alignment <= 4096,
      let pages = mmap(nil, count, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0),
      pages != MAP_FAILED
    {
      base = pages
      isMapped = true
    } else {
      base = UnsafeMutableRawPointer.allocate(byteCount: max(count, 1), alignment: alignment)
      memset(base, 0, count)
      isMapped = false
    }
  }

  /// From here on the kernel's own zero pages are cheaper than clearing memory that may never be used.
  private static let mappedBytesMin = 256 * 1024
  private let isMapped: Bool

  /// Address space of which only what is touched becomes memory, aligned to pages. Throws `.limitExceeded`
  /// when the kernel refuses it.
  public init(reserving count: Int) throws(RoostError) {
    precondition(count >= 0)
    self.count = count
    let address = mmap(
      nil, max(count, 1), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
    guard let address, address != MAP_FAILED else {
      throw RoostError(.limitExceeded, "the system refused \(count) bytes of memory", at: "memory")
    }
    base = address
    isMapped = true
  }

  public convenience init(_ bytes: [UInt8], alignment: Int = 64) {
    self.init(count: bytes.count, alignment: alignment)
    bytes.withUnsafeBytes { self.mutableBytes.copyMemory(from: $0) }
  }

  deinit {
    if isMapped { munmap(base, max(count, 1)) } else { base.deallocate() }
  }

  public var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(start: base, count: count) }
  public var mutableBytes: UnsafeMutableRawBufferPointer {
    UnsafeMutableRawBufferPointer(start: base, count: count)
  }

  /// A checked sub-range of the bytes.
  public func bytes(_ range: Range<Int>) -> UnsafeRawBufferPointer {
    precondition(range.lowerBound >= 0 && range.upperBound <= count)
    return UnsafeRawBufferPointer(start: base + range.lowerBound, count: range.count)
  }
}
