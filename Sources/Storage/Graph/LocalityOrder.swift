// An order of rows in which neighbours share pages, so that one read serves several hops (Starling,
// SIGMOD 2024) and one cache line or page of the mapping serves several visits.

import Core

extension GrowingGraph {
  /// The rows of `rows`, ordered so that each run of blocks holds rows that are linked to each other.
  ///
  /// Runs are filled one by one: from a first row, always the row that most of the run's rows lead to,
  /// their nearest neighbours counting most. The first rows follow a walk in breadth, so that runs that
  /// are near each other in the file are near each other in space. Takes about a microsecond a row; no inserts
  /// may run meanwhile.
  func localityOrder(of rows: [UInt32]) -> [UInt32] {
    let layout = NodeLayout(shape: shape, degree: degree)
    var filler = RunFiller(graph: self, runSize: layout.blocksPerRun, rows: rows)
    return filler.fill(from: entry)
  }
}

/// Fills runs of rows.
private struct RunFiller {
  private let graph: GrowingGraph
  private let runSize: Int
  private let rows: [UInt32]
  /// Rows that are to be ordered and are not yet.
  private var isOpen: [Bool]
  private var order: [UInt32] = []
  /// Rows that the run so far leads to, and by how much; `scores` is zero for all others.
  private var reached: [UInt32] = []
  private var scores: [UInt32]
  private var list: [UInt32]

  init(graph: GrowingGraph, runSize: Int, rows: [UInt32]) {
    self.graph = graph
    self.runSize = runSize
    self.rows = rows
    isOpen = [Bool](repeating: false, count: graph.capacity)
    for row in rows { isOpen[Int(row)] = true }
    scores = [UInt32](repeating: 0, count: graph.capacity)
    list = [UInt32](repeating: 0, count: graph.neighboursMax)
    order.reserveCapacity(rows.count)
  }

  mutating func fill(from entry: UInt32?) -> [UInt32] {
    // The walk follows `order` itself: every row placed offers its neighbours as first rows.
    var walked = 0
    var next = 0
    if let entry, isOpen[Int(entry)] { fillRun(from: entry) }
    while order.count < rows.count {
      if walked < order.count {
        let count = graph.neighbours(of: order[walked], into: &list)
        walked += 1
        if let first = list[..<count].first(where: { isOpen[Int($0)] }) {
          walked -= 1
          fillRun(from: first)
        }
      } else {
        while !isOpen[Int(rows[next])] { next += 1 }
        fillRun(from: rows[next])
      }
    }
    return order
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
