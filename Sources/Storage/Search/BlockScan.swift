// Comparing many queries with every row in one pass: a block of rows is brought into the cache once and
// compared with each query, and a filter decides about a row once for all of them.

import Core

/// One worker's part of a scan. Confined to one task.
final class BlockScan {
  /// What to search near, by comparing, and how many to keep.
  struct Target: Sendable {
    var vector: IOBuffer
    var k: Int
    /// Per source (none: nothing is excluded), ascending.
    var excluded: [[UInt32]]
  }

  /// Vectors that are visited in one go.
  struct Slice: Sendable {
    var source: Int
    /// Nodes of the field's graph, ascending; at most `rowsPerSlice`.
    var nodes: [UInt32]
  }

  private enum Verdict {
    static let unknown: UInt8 = 0
    static let passes: UInt8 = 1
    static let fails: UInt8 = 2
  }

  /// Bytes of vectors in a block: half of the first-level cache, so that a query fits beside it.
  private static let blockBytes = 16 << 10
  private static let blockRowsMax = 64
  /// Rows that are compared with all queries before others on the executor get their turn: a millisecond.
  private static let rowsPerSlice = 1024
  private static let queriesMax = 256
  /// Hits that all queries of one scan keep together.
  private static let keptMax = 1 << 20

  private let snapshot: Snapshot
  private let field: Int
  private let distance: DistanceFunction
  private let matches: [SourceMatch]
  private let targets: [Target]
  private let blockRows: Int
  private let scratch = GraphScratch()
  private let keys: UnsafeMutablePointer<CandidateKey>
  private var beams: [Beam] = []
  private var source: Int?
  private var found: [[Found]]
  /// What the filters said about the rows of this slice.
  private var verdicts = [UInt8](repeating: Verdict.unknown, count: BlockScan.rowsPerSlice)

  /// - Parameter matches: per source, the rows that may pass and what they must pass besides.
  init(
    _ snapshot: Snapshot, _ field: Int, _ shape: VectorShape, _ matches: [SourceMatch], _ targets: [Target]
  ) {
    self.snapshot = snapshot
    self.field = field
    self.matches = matches
    self.targets = targets
    distance = DistanceFunction(shape)
    // The kernels score four rows jointly.
    blockRows = max(4, min(Self.blockRowsMax, Self.blockBytes / shape.rowBytes) & ~3)
    keys = .allocate(capacity: targets.reduce(0) { $0 + $1.k })
    found = Array(repeating: [], count: targets.count)
    scratch.reserveBatch(Self.blockRowsMax)
  }

  deinit { keys.deallocate() }

  /// Whether a query can take part.
  static func takes(_ query: SearchQuery) -> Bool {
    guard query.exact, !query.explain, query.score == nil, case .nearest = query.form else { return false }
    if case .recommend(let examples) = query.target { return examples.strategy == .averageVector }
    return true
  }

  /// Divides queries, given by index, so that a scan's memory and the time between its pauses are bounded.
  static func portions(_ indices: [Int], of queries: [SearchQuery]) -> [[Int]] {
    var portions: [[Int]] = []
    var kept = 0
    for index in indices {
      let k = queries[index].form.hitsMax
      if kept + k > keptMax || portions.last.map({ $0.count == queriesMax }) ?? true {
        portions.append([])
        kept = 0
      }
      portions[portions.count - 1].append(index)
      kept += k
    }
    return portions
  }

  /// All vectors whose rows may pass, in pieces.
  static func slices(
    _ snapshot: Snapshot, _ field: Int, _ matches: [SourceMatch]
  ) throws(RoostError) -> [Slice] {
    var slices: [Slice] = []
    func cut(_ nodes: some RandomAccessCollection<UInt32>, _ source: Int) {
      var rest = nodes[...]
      while !rest.isEmpty {
        slices.append(Slice(source: source, nodes: Array(rest.prefix(Self.rowsPerSlice))))
        rest = rest.dropFirst(Self.rowsPerSlice)
      }
    }
    for (index, source) in snapshot.sources.enumerated() {
      let vectors = FieldNodes(source: source, field: field)
      if let rows = matches[index].rows {
        cut(try vectors.nodes(of: rows).rows, index)
      } else if let nodes = vectors.listed {
        cut(nodes, index)
      } else {
        cut(0..<UInt32(vectors.limit), index)
      }
    }
    return slices
  }

  /// Compares the vectors of a slice with every query.
  func visit(_ slice: Slice) throws(RoostError) {
    if source != slice.source { try begin(slice.source) }
    let place = snapshot.sources[slice.source]
    let rest = matches[slice.source].rest
    if rest.isEmpty {
      try visit(
        slice,
        judging: LiveRows(
          deadAt: place.deadAt, sequence: snapshot.sequence, rowLimit: UInt32(place.rowCount),
          acceptsAll: place.isAllLive))
    } else {
      try visit(slice, judging: FilteredRows(place, at: snapshot.sequence, filters: rest))
    }
  }

  /// - Parameter acceptor: of rows, whatever the nodes of the graph are.
  private func visit<A: RowAcceptor>(_ slice: Slice, judging acceptor: A) throws(RoostError) {
    if let mapping = vectors(of: slice.source).mapping {
      var mapped = MappedAcceptor(acceptor, rows: mapping)
      try visit(slice, &mapped)
    } else {
      var acceptor = acceptor
      try visit(slice, &acceptor)
    }
  }

  private func vectors(of source: Int) -> FieldNodes {
    FieldNodes(source: snapshot.sources[source], field: field)
  }

  private func visit<A: RowAcceptor>(_ slice: Slice, _ acceptor: inout A) throws(RoostError) {
    let all = acceptor.acceptsAll ? Verdict.passes : Verdict.unknown
    for index in slice.nodes.indices { verdicts[index] = all }
    let batch = scratch.batch
    let place = snapshot.sources[slice.source]
    for start in stride(from: 0, to: slice.nodes.count, by: blockRows) {
      let count = min(blockRows, slice.nodes.count - start)
      for index in 0..<count {
        batch.pointers[index] = try place.vector(ofNode: slice.nodes[start + index], field: field)
      }
      for target in targets.indices {
        distance.batch(
          UnsafeRawPointer(targets[target].vector.base), batch.pointers, count, into: batch.distances)
        try keep(start, count, of: slice, target, &acceptor, batch)
      }
    }
  }

  /// Offers the rows of a block, scored for one query, to its beam.
  private func keep<A: RowAcceptor>(
    _ start: Int, _ count: Int, of slice: Slice, _ target: Int, _ acceptor: inout A, _ batch: ScratchBatch
  ) throws(RoostError) {
    var bound = beams[target].bound
    for index in 0..<count where !(batch.distances[index] > bound) {
      let node = slice.nodes[start + index]
      let key = CandidateKey(distance: batch.distances[index], row: node)
      guard beams[target].admits(key) else { continue }
      if verdicts[start + index] == Verdict.unknown { try decide(start, count, of: slice, &acceptor, batch) }
      guard verdicts[start + index] == Verdict.passes, try !isExcluded(node, target, slice.source) else {
        continue
      }
      beams[target].insert(key)
      bound = beams[target].bound
    }
  }

  /// Asks the acceptor about a whole block: what one query comes near, the others will, too.
  private func decide<A: RowAcceptor>(
    _ start: Int, _ count: Int, of slice: Slice, _ acceptor: inout A, _ batch: ScratchBatch
  ) throws(RoostError) {
    for index in 0..<count { batch.rows[index] = slice.nodes[start + index] }
    try acceptor.accept(
      rows: UnsafeBufferPointer(start: batch.rows, count: count),
      verdicts: UnsafeMutableBufferPointer(start: batch.verdicts, count: count))
    for index in 0..<count {
      verdicts[start + index] = batch.verdicts[index] ? Verdict.passes : Verdict.fails
    }
  }

  private func isExcluded(_ node: UInt32, _ target: Int, _ source: Int) throws(RoostError) -> Bool {
    if targets[target].excluded.isEmpty { return false }
    return targets[target].excluded[source].containsAscending(try vectors(of: source).row(ofNode: node))
  }

  // MARK: sources

  private func begin(_ source: Int) throws(RoostError) {
    try collect()
    self.source = source
    beams.removeAll(keepingCapacity: true)
    var offset = 0
    for target in targets {
      beams.append(Beam(keys: keys + offset, capacity: target.k))
      offset += target.k
    }
  }

  private func collect() throws(RoostError) {
    guard let source else { return }
    let vectors = vectors(of: source)
    for (target, beam) in beams.enumerated() {
      for index in 0..<beam.count {
        let candidate = beam.keys[index].candidate
        let row = try vectors.row(ofNode: candidate.row)
        found[target].append(Found(distance: candidate.distance, source: source, row: row))
      }
    }
  }

  /// Per query what was found, at most `k` of each source.
  func finish() throws(RoostError) -> [[Found]] {
    try collect()
    source = nil
    return found
  }
}

extension [UInt32] {
  /// Whether an ascending list has `row`.
  func containsAscending(_ row: UInt32) -> Bool {
    var low = 0
    var high = count
    while low < high {
      let middle = (low + high) / 2
      if self[middle] < row { low = middle + 1 } else { high = middle }
    }
    return low < count && self[low] == row
  }
}

extension Snapshot {
  /// Whether every vector can be reached by a pointer.
  var isInMemory: Bool {
    sources.allSatisfy { if case .segment(let segment) = $0 { segment.file.isMapped } else { true } }
  }
}

extension RowSource {
  /// Where a vector lies, in a source that is in memory.
  @inline(__always)
  fileprivate func vector(ofNode node: UInt32, field: Int) throws(RoostError) -> UnsafeRawPointer {
    switch self {
    case .memtable(let memtable, _): memtable.graphs[field].vector(node)
    case .segment(let segment): try segment.fields[field].graph.mappedVector(node)
    }
  }
}
