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
  /// Present in a graph that is searched while it grows.
  let tree: AdoptionTree?
  let scratches = ScratchPool()
  /// 0: none yet, else the entry's row + 1.
  private let entryWord = Atomic<UInt64>(0)
  private let inserted = Atomic<Int>(0)

  /// - Parameters:
  ///   - alpha: how much nearer a neighbour must be to occlude a candidate; more keeps more long edges.
  ///   - keepsReachable: from its insertion on every row is within reach of the entry, whatever is pruned.
  ///     Otherwise only `finish` sees to that.
  ///   - memory: for this shape, degree and capacity; by default memory of the process.
  init(
    shape: VectorShape, degree: Int, buildEffort: Int, alpha: Float = 1.2, capacity: Int,
    keepsReachable: Bool = false, memory: GraphMemory? = nil
  ) throws(RoostError) {
    precondition(degree > 1 && buildEffort > 0 && alpha >= 1)
    precondition(capacity >= 0 && capacity < CandidateKey.rowLimit)
    let owned: GraphMemory
    if let memory {
      owned = memory
    } else {
      owned = try GraphMemory(shape: shape, degree: degree, capacity: capacity)
    }
    self.shape = shape
    self.degree = degree
    self.buildEffort = buildEffort
    self.capacity = capacity
    vectors = VectorArena(shape: shape, capacity: capacity, memory: owned.vectors)
    lists = NeighbourLists(capacity: capacity, slots: GraphMemory.slots(degree), memory: owned.lists)
    links = LinkDistance(vectors: vectors, memory: owned.squaredLengths)
    prune = RobustPrune(distance: links, alpha: alpha)
    tree = keepsReachable ? try AdoptionTree(capacity: capacity) : nil
  }

  /// The first `rows` rows with lists of their own, to be repaired and finished while the original is searched.
  /// Nobody may insert into the original any more.
  /// - Parameter memory: `GraphMemory.listBytes` zeros.
  init(copying other: GrowingGraph, rows: Int, memory: AnonymousMemory) {
    precondition(rows >= other.count)
    shape = other.shape
    degree = other.degree
    buildEffort = other.buildEffort
    capacity = rows
    vectors = other.vectors
    lists = NeighbourLists(copying: other.lists, rows: rows, memory: memory)
    links = other.links
    prune = other.prune
    tree = nil
    setEntry(other.entry)
    addToCount(other.count)
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

/// The memory of a growing graph.
struct GraphMemory: Sendable {
  let lists: AnonymousMemory
  let vectors: AnonymousMemory
  let squaredLengths: AnonymousMemory

  /// Memory of the process, committed as it is touched.
  init(shape: VectorShape, degree: Int, capacity: Int) throws(RoostError) {
    lists = try AnonymousMemory(count: Self.listBytes(degree: degree, capacity: capacity))
    vectors = try AnonymousMemory(count: VectorArena.byteCount(shape: shape, capacity: capacity))
    squaredLengths = try AnonymousMemory(count: LinkDistance.byteCount(shape: shape, capacity: capacity))
  }

  /// Memory that is counted; lists come first, as they are read most.
  init(shape: VectorShape, degree: Int, capacity: Int, from work: WorkMemory) async throws(RoostError) {
    lists = try await work.block(Self.listBytes(degree: degree, capacity: capacity))
    squaredLengths = try await work.block(LinkDistance.byteCount(shape: shape, capacity: capacity))
    vectors = try await work.block(VectorArena.byteCount(shape: shape, capacity: capacity))
  }

  /// Neighbours that one list can hold.
  static func slots(_ degree: Int) -> Int { degree + max(degree / 2, 2) - 1 }
  static func listBytes(degree: Int, capacity: Int) -> Int {
    NeighbourLists.byteCount(capacity: capacity, slots: slots(degree))
  }
}
