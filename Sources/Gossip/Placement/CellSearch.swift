// One query over cells, at its coordinator: which node to ask next, and when nobody can have anything nearer.

import Core

/// Asks the nodes of the most promising cells, a few at a time, until the k-th hit so far is nearer than
/// anything the rest can have. Its host asks, merges hits and tells the k-th distance.
public struct CellSearch: Sendable {
  private struct Candidate {
    var cell: Int
    /// Nothing in the cell is nearer than this; with a spread below 1, hardly anything.
    var bound: Float
    var centroidDistance: Float
  }

  /// How far cells are taken to reach: 1 is their whole radius, which is exact and in many dimensions asks
  /// nearly everybody; less goes towards where most of their vectors are, and 0 stops there.
  public let spread: Float
  /// Nodes asked at a time.
  public let width: Int
  private var candidates: [Candidate]
  private var table: CellTable
  private var next = 0
  private var asked: Set<MemberID> = []
  private var failed: Set<MemberID> = []
  private var pending: Set<MemberID> = []
  private var kthDistance = Float.infinity
  /// Cells that no node answered for.
  public private(set) var uncovered: Set<Int> = []

  /// - Parameter query: of the table's dimension, f32.
  public init(query: [Float], table: CellTable, width: Int = 3, spread: Float = 0) {
    precondition(width > 0 && (0...1).contains(spread))
    self.table = table
    self.width = width
    self.spread = spread
    candidates = table.cells.indices.filter { table.cells[$0].count > 0 }.map { index in
      let cell = table.cells[index]
      let distance = CellTable.squared(query, cell.centroid).squareRoot()
      let reach = cell.typicalRadius + spread * (cell.radius - cell.typicalRadius)
      return Candidate(cell: index, bound: max(0, distance - reach), centroidDistance: distance)
    }
    candidates.sort { a, b in
      if a.bound != b.bound { return a.bound < b.bound }
      return a.centroidDistance != b.centroidDistance
        ? a.centroidDistance < b.centroidDistance : a.cell < b.cell
    }
  }

  /// Nodes asked so far.
  public var askedCount: Int { asked.count }
  public var isDone: Bool { pending.isEmpty && nextBound > kthDistance }

  private var nextBound: Float { next < candidates.count ? candidates[next].bound : .infinity }

  /// Whom to ask now; each is asked once and searches all its cells. Empty while answers are awaited, or at
  /// the end.
  public mutating func step() -> [MemberID] {
    guard pending.isEmpty else { return [] }
    var batch: [MemberID] = []
    while batch.count < width, next < candidates.count, candidates[next].bound <= kthDistance {
      let cell = candidates[next].cell
      let nodes = table.cells[cell].nodes
      // One of those asked serves it as well.
      if nodes.contains(where: { asked.contains($0) && !failed.contains($0) }) {
        next += 1
        continue
      }
      guard let node = nodes.first(where: { !asked.contains($0) }) else {
        uncovered.insert(cell)
        next += 1
        continue
      }
      asked.insert(node)
      batch.append(node)
      next += 1
    }
    pending.formUnion(batch)
    return batch
  }

  /// A node has answered.
  /// - Parameter kthDistance: l2 distance of the k-th hit of all so far; infinite while there are fewer.
  public mutating func answered(_ node: MemberID, kthDistance: Float) {
    guard pending.remove(node) != nil else { return }
    self.kthDistance = min(self.kthDistance, kthDistance)
  }

  /// A node does not answer: other nodes are asked for its cells.
  public mutating func failed(_ node: MemberID) {
    guard pending.remove(node) != nil else { return }
    failed.insert(node)
    // From the start again; what was answered for is passed over.
    next = 0
  }
}
