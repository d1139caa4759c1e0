// A section of a mapped file whose pages are verified at first touch, and a plain view of it for hot loops.

import Core
import Synchronization

/// Knows which units (runs of pages of one size) of a section have been verified.
final class MappedSection: Sendable {
  let file: PagedFile
  private let firstPage: Int
  private let pagesPerUnit: Int
  private let unitCount: Int
  /// One bit a unit: all its pages have been verified. The file's own bits are one call further away.
  private let memory: AnonymousMemory

  /// - Parameter section: lies inside the file and has whole units, but for the last one.
  init(file: PagedFile, section: Section, pagesPerUnit: Int = 1) throws(RoostError) {
    self.file = file
    firstPage = section.firstPage
    self.pagesPerUnit = pagesPerUnit
    unitCount = (section.pageCount + pagesPerUnit - 1) / pagesPerUnit
    memory = try AnonymousMemory(count: (unitCount + 64) / 64 * 8)
  }

  /// Valid while the section is referenced, which is the duty of whoever keeps the view.
  var view: MappedView {
    let words = memory.base.assumingMemoryBound(to: Atomic<UInt64>.self)
    let start = file.unverifiedBase ?? UnsafeRawPointer(words)
    return MappedView(
      base: start + firstPage * PagedFile.pageBytes, words: words, section: Unmanaged.passUnretained(self))
  }

  var path: String { file.path }

  /// Where a byte of the section lies in the file.
  func fileOffset(_ offset: Int) -> UInt64 { UInt64(firstPage * PagedFile.pageBytes + offset) }

  @inline(never)
  fileprivate func verify(unit: Int) throws(RoostError) {
    precondition(unit >= 0 && unit < unitCount)
    for page in unit * pagesPerUnit..<(unit + 1) * pagesPerUnit {
      _ = try file.mappedPage(firstPage + page)
    }
    let words = memory.base.assumingMemoryBound(to: Atomic<UInt64>.self)
    _ = words[unit >> 6].bitwiseOr(1 << UInt64(unit & 63), ordering: .relaxed)
  }
}

/// Plain pointers, so that copies of it cost nothing: counting references to what all searches share would
/// make their cores take turns.
///
/// Safety of `@unchecked Sendable`: the bytes are never written, the words are atomic.
struct MappedView: @unchecked Sendable {
  /// The first byte of the section.
  let base: UnsafeRawPointer
  /// All-zero bytes are valid `Atomic<UInt64>`s of value 0.
  fileprivate let words: UnsafeMutablePointer<Atomic<UInt64>>
  fileprivate let section: Unmanaged<MappedSection>

  /// Makes sure that a unit has been verified.
  @inline(__always)
  func require(unit: Int) throws(RoostError) {
    if words[unit >> 6].load(ordering: .relaxed) & (1 << UInt64(unit & 63)) == 0 {
      try section.takeUnretainedValue().verify(unit: unit)
    }
  }

  /// The bytes from `offset`, of which `count`, at least one, are about to be read. For units of one page.
  @inline(__always)
  func pointer(_ offset: Int, _ count: Int) throws(RoostError) -> UnsafeRawPointer {
    var page = offset / PagedFile.pageBytes
    let last = (offset &+ count &- 1) / PagedFile.pageBytes
    repeat {
      try require(unit: page)
      page &+= 1
    } while page <= last
    return base + offset
  }

  /// For reports of damage.
  func place(_ offset: Int) -> (file: String, offset: UInt64) {
    let section = section.takeUnretainedValue()
    return (section.path, section.fileOffset(offset))
  }
}
