// An order of rows in which neighbours share pages, so that one read serves several hops (Starling,
// SIGMOD 2024) and one cache line or page of the mapping serves several visits.

import Core

extension GrowingGraph {
  /// The rows of `rows`, ordered cell by cell, and so that each run of blocks holds rows that are linked to
  /// each other.
  ///
  /// Within a cell runs are filled one by one: from a first row, always the row that most of the run's rows
  /// lead to, their nearest neighbours counting most. Takes about three microseconds a row; no inserts may
  /// run meanwhile.
  func localityOrder(of rows: [UInt32]) -> RowOrder {
    let layout = NodeLayout(shape: shape, degree: degree)
    var filler = RunFiller(graph: self, runSize: layout.blocksPerRun, count: rows.count)
    return filler.fill(cells: CellPartition.split(rows, of: self))
  }
}

/// Fills runs of rows.
private struct RunFiller {
  private let graph: GrowingGraph
  private let runSize: Int
  /// Rows of the cell at work that have no place yet.
  private var isOpen: [Bool]
  private var order: [UInt32] = []
  /// Rows that the run so far leads to, and by how much; `scores` is zero for all others.
  private var reached: [UInt32] = []
  private var scores: [UInt32]
  private var list: [UInt32]

  init(graph: GrowingGraph, runSize: Int, count: Int) {
    self.graph = graph
    self.runSize = runSize
    isOpen = [Bool](repeating: false, count: graph.capacity)
    scores = [UInt32](repeating: 0, count: graph.capacity)
    list = [UInt32](repeating: 0, count: graph.neighboursMax)
    order.reserveCapacity(count)
  }

  mutating func fill(cells: [[UInt32]]) -> RowOrder {
    var starts: [UInt32] = []
    starts.reserveCapacity(cells.count)
    for cell in cells {
      starts.append(UInt32(order.count))
      fill(cell)
    }
    return RowOrder(rows: order, cells: starts)
  }

  private mutating func fill(_ cell: [UInt32]) {
    for row in cell { isOpen[Int(row)] = true }
    // The walk follows `order` itself: every row placed offers its neighbours as first rows.
    var walked = order.count
    let end = order.count + cell.count
    var next = 0
    while order.count < end {
      if walked < order.count {
        let count = graph.neighbours(of: order[walked], into: &list)
        walked += 1
        if let first = list[..<count].first(where: { isOpen[Int($0)] }) {
          walked -= 1
          fillRun(from: first)
        }
      } else {
        while !isOpen[Int(cell[next])] { next += 1 }
        fillRun(from: cell[next])
      }
    }
  }

  /// Places `first` and the rows that go best with it, up to the end of the run in progress.
  private mutating func fillRun(from first: UInt32) {
    place(first)
    while order.count % runSize != 0 {
      var best = 0
      var bestScore: UInt32 = 0
      for index in reached.indices
      where scores[Int(reached[index])] > bestScore && isOpen[Int(reached[index])] {
        best = index
        bestScore = scores[Int(reached[index])]
      }
      guard bestScore > 0 else { break }
      place(reached[best])
    }
    for row in reached { scores[Int(row)] = 0 }
    reached.removeAll(keepingCapacity: true)
  }

  private mutating func place(_ row: UInt32) {
    isOpen[Int(row)] = false
    order.append(row)
    let count = graph.neighbours(of: row, into: &list)
    for rank in 0..<count {
      let neighbour = list[rank]
      guard isOpen[Int(neighbour)] else { continue }
      if scores[Int(neighbour)] == 0 { reached.append(neighbour) }
      scores[Int(neighbour)] += UInt32(graph.neighboursMax - rank)
    }
  }
}
