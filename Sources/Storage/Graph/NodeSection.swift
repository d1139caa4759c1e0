// Writes the nodes of a finished graph as blocks in pages, in any order of rows.

import Core

/// Encodes the node section of a segment from a graph on which `finish` was called.
struct NodeSectionEncoder: Sendable {
  let layout: NodeLayout
  let graph: GrowingGraph
  /// `order[newRow]` is the graph's row.
  private let order: [UInt32]
  /// Written behind the blocks where there is room.
  private let entries: RowEntries?
  /// The new row of each of the graph's rows, or `NodeLayout.none`.
  private let newRows: [UInt32]

  /// - Parameters:
  ///   - order: the graph's rows to write, in their new order; neighbours that are not among them are left
  ///     out.
  ///   - entries: those of the rows in their new order.
  init(graph: GrowingGraph, order: [UInt32], entries: RowEntries? = nil) {
    self.graph = graph
    self.entries = entries
    self.order = order
    layout = NodeLayout(shape: graph.shape, degree: graph.degree)
    var newRows = [UInt32](repeating: NodeLayout.none, count: graph.capacity)
    for (newRow, row) in order.enumerated() { newRows[Int(row)] = UInt32(newRow) }
    self.newRows = newRows
  }

  var rowCount: Int { order.count }
  var runCount: Int { layout.runCount(rows: rowCount) }

  /// Rows to start searches from, in the new order.
  var entryPoints: [UInt32] {
    guard rowCount > 0 else { return [] }
    if let entry = graph.entry, newRows[Int(entry)] != NodeLayout.none { return [newRows[Int(entry)]] }
    return [0]
  }

  /// The vector of a row in the new order.
  func vector(_ newRow: Int) -> UnsafeRawPointer { graph.vector(order[newRow]) }

  /// The neighbours that a row has in the section, both in the new order; `list` has room for the graph's
  /// `neighboursMax`. Returns how many, at most the degree.
  func neighbours(ofRow newRow: Int, into list: UnsafeMutablePointer<UInt32>) -> Int {
    let count = graph.neighbours(of: order[newRow], into: list)
    var kept = 0
    for index in 0..<count where kept < layout.degree {
      let neighbour = newRows[Int(list[index])]
      guard neighbour != NodeLayout.none else { continue }
      list[kept] = neighbour
      kept += 1
    }
    return kept
  }

  /// Fills `page` (`layout.runBytes` bytes) with one run of blocks.
  func encode(run: Int, into page: UnsafeMutableRawBufferPointer) {
    precondition(page.count == layout.runBytes && run >= 0 && run < runCount)
    page.initializeMemory(as: UInt8.self, repeating: 0)
    guard let base = page.baseAddress else { return }
    if let entries {
      let first = layout.firstRow(ofRun: run)
      layout.writeTail(entries, rows: first..<min(first + layout.blocksPerRun, rowCount), into: base)
    }
    withUnsafeTemporaryAllocation(of: UInt32.self, capacity: graph.neighboursMax) { list in
      guard let neighbours = list.baseAddress else { return }
      let first = layout.firstRow(ofRun: run)
      for newRow in first..<min(first + layout.blocksPerRun, rowCount) {
        let row = order[newRow]
        let block = base + (newRow - first) * layout.stride
        block.copyMemory(from: graph.vector(row), byteCount: layout.shape.rowBytes)
        let count = self.neighbours(ofRow: newRow, into: neighbours)
        for index in 0..<count {
          (block + layout.listOffset + index * 4).storeBytes(
            of: neighbours[index].littleEndian, as: UInt32.self)
        }
        for index in count..<layout.degree {
          (block + layout.listOffset + index * 4).storeBytes(of: NodeLayout.none, as: UInt32.self)
        }
      }
    }
  }

  private static let batchBytes = 1 << 20

  /// Writes all runs as one section; the workers encode them.
  func write(to writer: PagedFileWriter, workers: any Workers) async throws(RoostError) -> Section {
    writer.beginSection()
    let batch = max(1, Self.batchBytes / layout.runBytes)
    for first in stride(from: 0, to: runCount, by: batch) {
      let runs = first..<min(first + batch, runCount)
      let buffer = IOBuffer(count: runs.count * layout.runBytes)
      await workers.run {
        for run in runs {
          let start = (run - first) * layout.runBytes
          let page = buffer.mutableBytes[start..<start + layout.runBytes]
          encode(run: run, into: UnsafeMutableRawBufferPointer(rebasing: page))
        }
      }
      try await writer.append(buffer.bytes)
    }
    return try await writer.endSection()
  }
}
