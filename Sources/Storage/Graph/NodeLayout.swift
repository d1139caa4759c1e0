// Where node blocks lie in the pages of a segment; `spec/graph.md` is the same in words.

import Core

/// A node block: the vector, zeros to a multiple of 4, then `degree` neighbour ids (u32), unused ones `none`.
///
/// Several blocks share a page and none straddles one; a block larger than a page has pages of its own.
/// Blocks start at multiples of the largest power of two, up to 64, that costs no block per page.
struct NodeLayout: Sendable, Equatable {
  /// Fills the neighbour slots that are not used.
  static let none = UInt32.max

  let shape: VectorShape
  let degree: Int
  /// From the start of a block to its neighbours.
  let listOffset: Int
  let blockBytes: Int
  /// Pages that one read fetches: 1, or the pages of a large block.
  let pagesPerRun: Int
  let blocksPerRun: Int
  /// From one block to the next within a run.
  let stride: Int
  /// `row / blocksPerRun` is `row * magic >> shift` for rows below 2³¹ (Granlund and Montgomery, PLDI 1994).
  private let magic: UInt64
  private let shift: UInt64

  init(shape: VectorShape, degree: Int) {
    precondition((1...1024).contains(degree))
    self.shape = shape
    self.degree = degree
    listOffset = (shape.rowBytes + 3) & ~3
    let block = listOffset + degree * 4
    blockBytes = block
    let page = PagedFile.pageBytes
    if block <= page {
      let perPage = page / block
      blocksPerRun = perPage
      pagesPerRun = 1
      let alignment = [64, 32, 16, 8, 4].first { (block + $0 - 1) / $0 * $0 * perPage <= page } ?? 4
      stride = (block + alignment - 1) / alignment * alignment
    } else {
      blocksPerRun = 1
      pagesPerRun = (block + page - 1) / page
      stride = pagesPerRun * page
    }
    let bits = UInt64(UInt64.bitWidth - (UInt64(blocksPerRun) - 1).leadingZeroBitCount)
    shift = 32 + bits
    magic = (1 << shift) / UInt64(blocksPerRun) + 1
  }

  var runBytes: Int { pagesPerRun * PagedFile.pageBytes }

  func runCount(rows: Int) -> Int { (rows + blocksPerRun - 1) / blocksPerRun }

  func sectionBytes(rows: Int) -> Int { runCount(rows: rows) * runBytes }

  /// The run that a row's block lies in.
  @inline(__always)
  func run(of row: UInt32) -> Int { Int(truncatingIfNeeded: (UInt64(row) &* magic) >> shift) }

  /// The first row of a run.
  @inline(__always)
  func firstRow(ofRun run: Int) -> Int { run &* blocksPerRun }

  /// From the start of the run to the row's block.
  @inline(__always)
  func offset(of row: UInt32, inRun run: Int) -> Int { (Int(row) &- run &* blocksPerRun) &* stride }
}
