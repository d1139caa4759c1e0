// What tells the distances to a row's neighbours without reading them: link blocks or codes, in place from
// verified pages of a mapping.

import CKernels
import Core

/// The links of a mapped segment.
struct MappedLinks: Sendable {
  let layout: LinkLayout
  let kernel: roost_link_kernel
  private let view: MappedView

  /// - Parameter section: has the bytes of the rows' blocks; it is referenced as long as this is used.
  init(_ section: MappedSection, layout: LinkLayout) {
    view = section.view
    self.layout = layout
    kernel = roost_link_kernel_at(KernelLevel.best.rawValue)
  }

  @inline(__always)
  func block(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer {
    try view.pointer(Int(row) &* layout.blockBytes, layout.blockBytes)
  }

  @inline(__always)
  func prefetch(_ row: UInt32, atMost limit: Int) {
    roost_prefetch_block(view.base + Int(row) &* layout.blockBytes, min(layout.blockBytes, limit))
  }
}

/// The 4-bit codes of a mapped segment.
struct MappedCodes: Sendable {
  let kernel: roost_code_kernel
  private let view: MappedView
  private let headerBytes: Int
  private let rowStride: Int

  /// - Parameter section: has the bytes of the book's header and rows; it is referenced as long as this is
  ///   used.
  init(_ section: MappedSection, book: CodeBook) {
    view = section.view
    kernel = book.kernel
    headerBytes = CodeBook.headerBytes(book.shape)
    rowStride = book.rowStride
  }

  /// Where the codes of `count` rows lie.
  @inline(__always)
  func locate(
    _ rows: UnsafePointer<UInt32>, _ count: Int, into pointers: UnsafeMutablePointer<UnsafeRawPointer>
  ) throws(RoostError) {
    for index in 0..<count {
      pointers[index] = try view.pointer(headerBytes &+ Int(rows[index]) &* rowStride, rowStride)
    }
  }

  /// Starts fetching the codes of a row; of long ones the CPU fetches the rest by itself.
  @inline(__always)
  func prefetch(_ row: UInt32) {
    roost_prefetch_block(view.base + (headerBytes &+ Int(row) &* rowStride), min(rowStride, 128))
  }
}

/// How the neighbours of a row are ranked in a mapped segment, and what that needs.
final class MappedRanking: Sendable {
  enum Way: Sendable {
    /// By links, the fastest.
    case links(MappedLinks)
    /// By codes, in segments without links.
    case codes
  }

  let way: Way
  let codes: MappedCodes
  let book: CodeBook
  /// What `way` and `codes` point into.
  private let sections: [MappedSection]

  /// Reads the codes' header and checks the sizes of both sections; nil when the vectors are small enough to
  /// be compared as they are.
  static func open(
    _ file: PagedFile, _ sections: GraphSections, _ layout: NodeLayout, rowCount: Int
  ) throws(RoostError) -> MappedRanking? {
    guard rowCount > 0, let linkLayout = LinkLayout(layout) else { return nil }
    let headerBytes = CodeBook.headerBytes(layout.shape)
    try check(file, sections.codes, "codes", atLeast: headerBytes)
    let (book, cells) = try CodeBook.read(
      shape: layout.shape, header: try file.bytes(sections.codes, 0..<headerBytes), file: file.path,
      offset: UInt64(sections.codes.firstPage * PagedFile.pageBytes))
    try check(file, sections.codes, "codes", bytes: book.sectionBytes(rows: rowCount, cells: cells))
    let coded = try MappedSection(file: file, section: sections.codes)
    let codes = MappedCodes(coded, book: book)
    if sections.links.byteCount == 0 { return MappedRanking(.codes, codes, book, [coded]) }
    try check(file, sections.links, "links", bytes: linkLayout.sectionBytes(rows: rowCount))
    let linked = try MappedSection(file: file, section: sections.links)
    return MappedRanking(.links(MappedLinks(linked, layout: linkLayout)), codes, book, [coded, linked])
  }

  private init(_ way: Way, _ codes: MappedCodes, _ book: CodeBook, _ sections: [MappedSection]) {
    self.way = way
    self.codes = codes
    self.book = book
    self.sections = sections
  }

  private static func check(
    _ file: PagedFile, _ section: Section, _ name: String, bytes: Int? = nil, atLeast least: Int = 0
  ) throws(RoostError) {
    guard section.firstPage >= 0, section.byteCount >= least, section.byteCount == bytes ?? section.byteCount,
      section.firstPage <= file.pageCount - section.pageCount
    else {
      throw .corrupted(
        "the section of \(name) has \(section.byteCount) bytes, \(bytes ?? least) expected", file: file.path,
        offset: UInt64(max(0, section.firstPage) * PagedFile.pageBytes))
    }
  }
}
