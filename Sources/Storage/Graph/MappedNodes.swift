// The nodes of a sealed graph, read in place from verified pages of a mapping.

import CKernels
import Core

/// A node section of a mapped file. Every page is verified at first touch and every neighbour id is
/// checked, so damaged bytes end in `.corrupted`, never in a wild read.
struct MappedNodes: NodeSource {
  let layout: NodeLayout
  let distance: DistanceFunction
  let rowCount: Int
  /// Its units are runs.
  private let view: MappedView

  /// - Parameter section: has the bytes that `rowCount` rows take, in units of the layout's runs; it is
  ///   referenced as long as this is used.
  init(_ section: MappedSection, layout: NodeLayout, rowCount: Int) {
    view = section.view
    self.layout = layout
    distance = DistanceFunction(layout.shape)
    self.rowCount = rowCount
  }

  var neighboursMax: Int { layout.degree }

  /// From the start of the section to a row's block.
  @inline(__always)
  private func offset(_ row: UInt32) -> Int {
    let run = layout.run(of: row)
    return run &* layout.runBytes &+ layout.offset(of: row, inRun: run)
  }

  @inline(__always)
  func block(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer {
    assert(Int(row) < rowCount)
    try view.require(unit: layout.run(of: row))
    return view.base + offset(row)
  }

  @inline(__always)
  func vector(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer { try block(row) }

  @inline(__always)
  func locate(
    _ rows: UnsafePointer<UInt32>, _ count: Int, into pointers: UnsafeMutablePointer<UnsafeRawPointer>
  ) throws(RoostError) {
    for index in 0..<count { pointers[index] = try block(rows[index]) }
  }

  @inline(__always)
  func neighbours(of row: UInt32, into list: UnsafeMutablePointer<UInt32>) throws(RoostError) -> Int {
    let block = try block(row)
    return try layout.readNeighbours(block, of: row, rowCount: rowCount, into: list) {
      view.place(offset(row))
    }
  }

  @inline(__always)
  func prefetchNeighbours(of row: UInt32) {
    roost_prefetch_block(view.base + (offset(row) &+ layout.listOffset), layout.degree &* 4)
  }

  /// Starts fetching the first bytes of a whole block.
  @inline(__always)
  func prefetchBlock(_ row: UInt32, atMost limit: Int) {
    roost_prefetch_block(view.base + offset(row), min(layout.blockBytes, limit))
  }

  func impossibleNeighbour(_ id: UInt32, of row: UInt32) -> RoostError {
    let place = view.place(offset(row))
    return NodeLayout.impossibleNeighbour(
      id, of: row, rowCount: rowCount, file: place.file, offset: place.offset)
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
        throw Self.impossibleNeighbour(
          id, of: row, rowCount: rowCount, file: place.file, offset: place.offset)
      }
      list[index] = id
    }
    return degree
  }

  static func impossibleNeighbour(
    _ id: UInt32, of row: UInt32, rowCount: Int, file: String, offset: UInt64
  ) -> RoostError {
    .corrupted("row \(row) has neighbour \(id), there are \(rowCount) rows", file: file, offset: offset)
  }
}
