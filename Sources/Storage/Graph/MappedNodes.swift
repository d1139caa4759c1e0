// The nodes of a sealed graph, read in place from verified pages of a mapping.

import CKernels
import Core

/// A node section of a mapped file. Every page is verified at first touch and every neighbour id is
/// checked, so damaged bytes end in `.corrupted`, never in a wild read.
struct MappedNodes: NodeSource, Sendable {
  let file: PagedFile
  let firstPage: Int
  let layout: NodeLayout
  let distance: DistanceFunction
  let rowCount: Int

  var neighboursMax: Int { layout.degree }

  @inline(__always)
  func block(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer {
    assert(Int(row) < rowCount)
    let run = layout.run(of: row)
    let page = firstPage &+ run &* layout.pagesPerRun
    let start = try file.mappedPage(page)
    if layout.pagesPerRun > 1 {
      for rest in 1..<layout.pagesPerRun { _ = try file.mappedPage(page + rest) }
    }
    return start + layout.offset(of: row, inRun: run)
  }

  @inline(__always)
  func vector(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer { try block(row) }

  @inline(__always)
  func neighbours(of row: UInt32, into list: UnsafeMutablePointer<UInt32>) throws(RoostError) -> Int {
    let block = try block(row)
    return try layout.readNeighbours(block, of: row, rowCount: rowCount, into: list) { path(row) }
  }

  @inline(__always)
  func prefetchNeighbours(of row: UInt32) {
    guard let block = try? block(row) else { return }
    for line in stride(from: 0, to: layout.degree * 4, by: 64) { roost_prefetch(block + layout.listOffset + line) }
  }

  private func path(_ row: UInt32) -> (file: String, offset: UInt64) {
    let run = layout.run(of: row)
    let page = firstPage + run * layout.pagesPerRun
    return (file.path, UInt64(page * PagedFile.pageBytes + layout.offset(of: row, inRun: run)))
  }
}

extension NodeLayout {
  /// Copies the neighbours of a block, each of which must be below `rowCount`; returns how many.
  @inline(__always)
  func readNeighbours(
    _ block: UnsafeRawPointer, of row: UInt32, rowCount: Int, into list: UnsafeMutablePointer<UInt32>,
    place: () -> (file: String, offset: UInt64)
  ) throws(RoostError) -> Int {
    let ids = block + listOffset
    for index in 0..<degree {
      let id = UInt32(littleEndian: ids.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self))
      if id >= UInt32(truncatingIfNeeded: rowCount) {
        if id == Self.none { return index }
        let place = place()
        throw .corrupted(
          "row \(row) has neighbour \(id), there are \(rowCount) rows", file: place.file, offset: place.offset)
      }
      list[index] = id
    }
    return degree
  }
}
