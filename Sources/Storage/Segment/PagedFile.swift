// A sealed file of 4096-byte pages with a CRC-32C for each, verified before a page is first used.
// Everything that a segment reads goes through this type, mapped or by reads through the ring.

import Core

/// A byte range that starts at a page boundary of a `PagedFile`.
struct Section: Sendable, Equatable {
  var firstPage: Int
  var byteCount: Int

  var pageCount: Int { (byteCount + PagedFile.pageBytes - 1) / PagedFile.pageBytes }
}

/// One sealed, immutable file. Mapped when it may live in memory; `file` serves page reads when not.
final class PagedFile: Sendable {
  static let pageBytes = 4096

  let path: String
  /// Pages that have a checksum: all but those of the checksum table and the footer.
  let pageCount: Int
  /// Opened with O_DIRECT when `nodesAreMapped` is false.
  let file: any File
  /// Whether the large sections (graph and vectors) may be used in place.
  let isMapped: Bool
  /// Holds pages that were read, when the file is not mapped.
  let cache: PageCache?
  private let cacheOwner: UInt32
  private let mapping: FileMapping
  private let checksums: [UInt32]
  /// One bit a page: its bytes in the mapping have been checked.
  private let verified: AtomicWords

  /// - Parameter checksums: CRC-32C of each page, already verified against the footer.
  init(
    path: String, file: any File, mapping: FileMapping, isMapped: Bool, checksums: [UInt32],
    cache: PageCache? = nil
  ) throws(RoostError) {
    self.cache = isMapped ? nil : cache
    cacheOwner = self.cache?.makeOwner() ?? 0
    self.path = path
    self.file = file
    self.mapping = mapping
    self.isMapped = isMapped
    self.checksums = checksums
    pageCount = checksums.count
    guard mapping.bytes.count >= pageCount * Self.pageBytes else {
      throw .corrupted("the file is shorter than its pages", file: path, offset: UInt64(mapping.bytes.count))
    }
    verified = try AtomicWords(count: (checksums.count + 63) / 64)
  }

  /// Bytes of memory that the checksums take.
  var tableBytes: Int { checksums.count * 4 }

  deinit { cache?.forget(owner: cacheOwner) }

  /// The name in the cache of the frame that begins with a page.
  @inline(__always)
  func cacheKey(page: Int) -> UInt64 { PageCacheState.key(owner: cacheOwner, page: page) }

  /// The bytes of a page in the mapping, verified at first touch.
  @inline(__always)
  func mappedPage(_ index: Int) throws(RoostError) -> UnsafeRawPointer {
    guard index >= 0, index < pageCount, let base = mapping.bytes.baseAddress else { throw outOfRange(index) }
    let address = base + index * Self.pageBytes
    if verified.load(index >> 6) & (1 << UInt64(index & 63)) == 0 {
      try verify(page: index, address)
      verified.formOr(1 << UInt64(index & 63), at: index >> 6)
    }
    return address
  }

  /// The start of the mapping, for callers that ask `mappedPage` about each page before they use it.
  var unverifiedBase: UnsafeRawPointer? { mapping.bytes.baseAddress }

  /// Checks the bytes of a page that was read by other means.
  func verify(page index: Int, _ bytes: UnsafeRawPointer) throws(RoostError) {
    guard index >= 0, index < pageCount else { throw outOfRange(index) }
    let sum = crc32c(UnsafeRawBufferPointer(start: bytes, count: Self.pageBytes))
    guard sum == checksums[index] else {
      throw .corrupted(
        "page \(index) has a wrong checksum", file: path, offset: UInt64(index * Self.pageBytes))
    }
  }

  /// A range of a section in the mapping, every page of it verified.
  @inline(__always)
  func bytes(_ section: Section, _ range: Range<Int>) throws(RoostError) -> UnsafeRawBufferPointer {
    guard range.lowerBound >= 0, range.upperBound <= section.byteCount else {
      throw .corrupted(
        "bytes \(range) lie outside a section of \(section.byteCount)", file: path,
        offset: UInt64(section.firstPage * Self.pageBytes))
    }
    guard !range.isEmpty else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    let first = section.firstPage + range.lowerBound / Self.pageBytes
    let last = section.firstPage + (range.upperBound - 1) / Self.pageBytes
    let start = try mappedPage(first)
    if last > first { for page in (first + 1)...last { _ = try mappedPage(page) } }
    return UnsafeRawBufferPointer(start: start + range.lowerBound % Self.pageBytes, count: range.count)
  }

  /// The `index`th little-endian integer of a section that holds an array of them.
  @inline(__always)
  func integer<T: FixedWidthInteger>(_ section: Section, _ index: Int, as type: T.Type = T.self)
    throws(RoostError) -> T
  {
    let size = MemoryLayout<T>.size
    return T(littleEndian: try bytes(section, index * size..<(index + 1) * size).loadUnaligned(as: T.self))
  }

  private func outOfRange(_ index: Int) -> RoostError {
    .corrupted("page \(index) does not exist, there are \(pageCount)", file: path, offset: 0)
  }
}
