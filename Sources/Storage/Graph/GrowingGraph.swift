// A Vamana graph in memory that grows while it is searched: the index of a memtable, and the
// workbench on which segments are built and merged. DiskANN (NeurIPS 2019), FreshDiskANN (arXiv:2105.09613).

import Core
import Synchronization

/// Rows are numbered by the caller: write `vectors.set(row, …)`, then `insert(row:)`. Any number of
/// threads may insert and search at once; searches take no locks.
final class GrowingGraph: Sendable {
  let shape: VectorShape
  /// Neighbours that a node keeps after pruning. Lists may grow by half before they are pruned again.
  let degree: Int
  /// Candidates kept while a node is linked in.
  let buildEffort: Int
  let capacity: Int
  let vectors: VectorArena
  let lists: NeighbourLists
  let links: LinkDistance
  let prune: RobustPrune
  let scratches = ScratchPool()
  /// 0: none yet, else the entry's row + 1.
  private let entryWord = Atomic<UInt64>(0)
  private let inserted = Atomic<Int>(0)

  /// - Parameter alpha: how much nearer a neighbour must be to occlude a candidate; more keeps more
  ///   long edges.
  init(
    shape: VectorShape, degree: Int, buildEffort: Int, alpha: Float = 1.2, capacity: Int
  ) throws(RoostError) {
    precondition(degree > 1 && buildEffort > 0 && alpha >= 1)
    precondition(capacity >= 0 && capacity < CandidateKey.rowLimit)
    self.shape = shape
    self.degree = degree
    self.buildEffort = buildEffort
    self.capacity = capacity
    vectors = try VectorArena(shape: shape, capacity: capacity)
    lists = try NeighbourLists(capacity: capacity, slots: degree + max(degree / 2, 2) - 1)
    links = try LinkDistance(vectors: vectors)
    prune = RobustPrune(distance: links, alpha: alpha)
  }

  /// The row where searches start; nil while the graph is empty.
  var entry: UInt32? {
    let word = entryWord.load(ordering: .acquiring)
    return word == 0 ? nil : UInt32(word - 1)
  }

  /// Rows in the graph.
  var count: Int { inserted.load(ordering: .acquiring) }

  /// Whether a row has been inserted (and not removed).
  func contains(_ row: UInt32) -> Bool { lists.contains(row) }

  /// Neighbours of a row, at most `neighboursMax`, into `list`; returns how many.
  func neighbours(of row: UInt32, into list: UnsafeMutablePointer<UInt32>) -> Int {
    lists.read(row, into: list)
  }

  /// Seeds the graph with a row and its known neighbours, whose vectors must be in the arena. Neighbours
  /// beyond `neighboursMax` are left out. Load every row that is a neighbour before the first insert.
  func load(_ neighbours: UnsafeBufferPointer<UInt32>, row: UInt32) {
    precondition(neighbours.allSatisfy { Int($0) < capacity })
    let isNew = !lists.contains(row)
    links.prepare(row)
    if let base = neighbours.baseAddress {
      lists.withLock(row) { $0.assign(base, min(neighbours.count, $0.slots)) }
    } else {
      var none: UInt32 = 0
      lists.withLock(row) { $0.assign(&none, 0) }
    }
    if isNew { inserted.wrappingAdd(1, ordering: .releasing) }
    _ = claimEntry(row)
  }

  /// Makes `row` the entry if there is none; returns the entry that there was.
  func claimEntry(_ row: UInt32) -> UInt32? {
    let (exchanged, original) = entryWord.compareExchange(
      expected: 0, desired: UInt64(row) + 1, ordering: .acquiringAndReleasing)
    return exchanged ? nil : UInt32(original - 1)
  }

  func setEntry(_ row: UInt32?) {
    entryWord.store(row.map { UInt64($0) + 1 } ?? 0, ordering: .releasing)
  }

  func addToCount(_ difference: Int) { inserted.wrappingAdd(difference, ordering: .releasing) }
}

extension GrowingGraph: NodeSource {
  var rowCount: Int { capacity }
  var neighboursMax: Int { lists.slots }
  var distance: DistanceFunction { links.function }

  @inline(__always)
  func vector(_ row: UInt32) -> UnsafeRawPointer { vectors.pointer(Int(row)) }

  @inline(__always)
  func locate(
    _ rows: UnsafePointer<UInt32>, _ count: Int, into pointers: UnsafeMutablePointer<UnsafeRawPointer>
  ) {
    for index in 0..<count { pointers[index] = vectors.pointer(Int(rows[index])) }
  }

  @inline(__always)
  func prefetchNeighbours(of row: UInt32) { lists.prefetch(row) }

  /// The `k` nearest accepted rows, ascending by distance, then row. See `bestFirstSearch`.
  func search<A: RowAcceptor>(
    query: UnsafeRawPointer, k: Int, effort: Int, acceptor: inout A, scratch: GraphScratch,
    results: inout [Candidate]
  ) throws(RoostError) {
    try bestFirstSearch(
      from: CollectionOfOne(entry).lazy.compactMap { $0 }, query: query, k: k, effort: effort,
      acceptor: &acceptor, scratch: scratch, results: &results)
  }
}
