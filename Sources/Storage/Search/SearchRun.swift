// One query at work on one snapshot. Whatever the form of the search, what it asks for is the nearest so
// many, perhaps again and again with more: that, and how it goes about it, is here.

import Core

/// A row that a search has found.
struct Found {
  /// Distance to the target, or its score; smaller is better.
  var distance: Float
  /// Index in the snapshot's sources.
  var source: Int
  var row: UInt32

  var place: RowPlace { RowPlace(source: source, row: row) }

  /// By distance; the newer source, then the lower row on a tie.
  static func precedes(_ a: Found, _ b: Found) -> Bool {
    (a.distance, a.source, a.row) < (b.distance, b.source, b.row)
  }
}

/// Which row of which source.
struct RowPlace: Hashable {
  var source: Int
  var row: UInt32
}

/// What to compare rows with.
enum ResolvedTarget {
  case vector(IOBuffer)
  case bestScore(positive: [IOBuffer], negative: [IOBuffer])
}

struct SearchRun {
  /// Rows that are tried to estimate how many pass the filters.
  private static let sampleRows = 512
  /// With at most this many rows expected to pass, comparing them all is cheaper than finding them by a walk.
  private static let exactRowsMax = 1024.0
  /// New rows that a walk meets at each node that it expands.
  private static let neighboursTriedPerNode = 8.0

  let schema: CollectionSchema
  let snapshot: Snapshot
  let conditions: [any CandidateFilter]
  let target: ResolvedTarget
  /// Per source (none: nothing is excluded), ascending.
  let excludedRows: [[UInt32]]
  let effort: Int?
  let exact: Bool
  let rowTotal: Int
  /// How the first step went about it.
  private(set) var plan: SearchPlan?
  private(set) var pagesRead = 0
  /// Share of rows that pass `conditions`, once it has been estimated.
  private var selectivity: Double?

  init(
    schema: CollectionSchema, snapshot: Snapshot, query: SearchQuery, conditions: [any CandidateFilter],
    target: ResolvedTarget, excludedRows: [[UInt32]]
  ) {
    self.schema = schema
    self.snapshot = snapshot
    self.conditions = conditions
    self.target = target
    self.excludedRows = excludedRows
    effort = query.effort
    exact = query.exact
    rowTotal = snapshot.sources.reduce(0) { $0 + $1.rowCount }
  }

  /// The `count` best rows, best first; fewer only when there are no more.
  /// - Parameter extra: conditions beside those of the query.
  mutating func best(
    _ count: Int, also extra: [any CandidateFilter] = []
  ) async throws(RoostError) -> [Found] {
    switch target {
    case .vector(let vector): try await nearest(count, to: vector, also: extra)
    case .bestScore(let positive, let negative):
      try await bestScores(count, positive: positive, negative: negative, also: extra)
    }
  }

  /// The `count` nearest rows to a vector, nearest first.
  /// - Parameter complete: compare with every row, whatever the query says.
  mutating func nearest(
    _ count: Int, to vector: IOBuffer, also extra: [any CandidateFilter], complete: Bool = false
  ) async throws(RoostError) -> [Found] {
    let filters = conditions + extra
    let plan = try choosePlan(count, filters, isBase: extra.isEmpty, exact: exact || complete)
    self.plan = self.plan ?? plan
    var found: [Found] = []
    var isFirst = true
    for (index, source) in snapshot.sources.enumerated() where source.rowCount > 0 {
      // Between sources others on the executor may run; a search of one source is answered without a hop.
      if !isFirst { await Task.yield() }
      isFirst = false
      let (candidates, pages) = try await searchSource(source, index, vector, count, plan, filters)
      for candidate in candidates {
        found.append(Found(distance: candidate.distance, source: index, row: candidate.row))
      }
      pagesRead += pages
    }
    found.sort(by: Found.precedes)
    if found.count > count { found.removeLast(found.count - count) }
    return found
  }

  // MARK: plan

  private mutating func choosePlan(
    _ count: Int, _ filters: [any CandidateFilter], isBase: Bool, exact: Bool
  ) throws(RoostError) -> SearchPlan {
    let effort = max(self.effort ?? max(64, count * 2), count)
    if exact { return SearchPlan(method: .exact, effort: effort, selectivity: 1) }
    let share = try filters.isEmpty ? 1 : share(of: filters, isBase: isBase)
    let total = Double(rowTotal)
    // A walk goes on until it has found `effort` rows that pass, so it visits about effort / share nodes,
    // each with its neighbours; a scan tries every row once.
    let visited = Double(effort) / max(share, 1e-9) * Self.neighboursTriedPerNode
    let isNarrow = !filters.isEmpty && share * total <= max(Self.exactRowsMax, Double(count) * 8)
    if isNarrow || visited > total {
      return SearchPlan(method: .exact, effort: effort, selectivity: share)
    }
    return SearchPlan(method: .graph, effort: effort, selectivity: share)
  }

  private mutating func share(of filters: [any CandidateFilter], isBase: Bool) throws(RoostError) -> Double {
    if isBase, let selectivity { return selectivity }
    let share = try estimateSelectivity(filters)
    if isBase { selectivity = share }
    return share
  }

  /// Tries the filters on rows spread evenly over all sources.
  private func estimateSelectivity(_ filters: [any CandidateFilter]) throws(RoostError) -> Double {
    guard rowTotal > 0 else { return 1 }
    let step = max(1, rowTotal / Self.sampleRows)
    var tried = 0
    var passed = 0
    var offset = 0
    for source in snapshot.sources {
      var rows: [UInt32] = []
      while offset < source.rowCount {
        rows.append(UInt32(offset))
        offset += step
      }
      offset -= source.rowCount
      var acceptor = FilteredRows(source, at: snapshot.sequence, filters: filters)
      passed += try acceptor.accepted(rows).reduce(0) { $0 + ($1 ? 1 : 0) }
      tried += rows.count
    }
    return Double(passed) / Double(max(tried, 1))
  }

  // MARK: sources

  private func searchSource(
    _ source: RowSource, _ index: Int, _ query: IOBuffer, _ k: Int, _ plan: SearchPlan,
    _ filters: [any CandidateFilter]
  ) async throws(RoostError) -> (candidates: [Candidate], pagesRead: Int) {
    let excluded = excludedRows.isEmpty ? [] : excludedRows[index]
    if filters.isEmpty && excluded.isEmpty {
      var acceptor = LiveRows(
        deadAt: source.deadAt, sequence: snapshot.sequence, rowLimit: UInt32(source.rowCount),
        acceptsAll: source.isAllLive)
      return try await search(source, query, k, plan, &acceptor)
    }
    var acceptor = FilteredRows(source, at: snapshot.sequence, filters: filters, excluded: excluded)
    return try await search(source, query, k, plan, &acceptor)
  }

  private func search<A: RowAcceptor>(
    _ source: RowSource, _ query: IOBuffer, _ k: Int, _ plan: SearchPlan, _ acceptor: inout A
  ) async throws(RoostError) -> (candidates: [Candidate], pagesRead: Int) {
    let query = UnsafeRawPointer(query.base)
    var results: [Candidate] = []
    var pagesRead = 0
    guard plan.method == .exact else {
      switch source {
      case .memtable(let memtable, _):
        try memtable.graph.scratches.with { (scratch) throws(RoostError) in
          try memtable.graph.search(
            query: query, k: k, effort: plan.effort, acceptor: &acceptor, scratch: scratch, results: &results)
        }
      case .segment(let segment):
        pagesRead = try await segment.graph.search(
          query: query, k: k, effort: plan.effort, acceptor: &acceptor, results: &results)
      }
      return (results, pagesRead)
    }
    var nearest: [Candidate] = []
    for start in stride(from: 0, to: source.rowCount, by: Collection.rowsPerSlice) {
      if start > 0 { await Task.yield() }
      let rows = start..<min(start + Collection.rowsPerSlice, source.rowCount)
      let kept = min(k, rows.count)
      switch source {
      case .memtable(let memtable, _):
        try memtable.graph.scratches.with { (scratch) throws(RoostError) in
          try memtable.graph.exactSearch(
            rows: rows.lazy.map { UInt32($0) }, query: query, k: kept, acceptor: &acceptor, scratch: scratch,
            results: &results)
        }
      case .segment(let segment):
        pagesRead += try await segment.graph.exactSearch(
          rows: rows, query: query, k: kept, acceptor: &acceptor, results: &results)
      }
      nearest += results
      if nearest.count > 4 * k + Collection.rowsPerSlice { nearest.keepNearest(k) }
    }
    nearest.keepNearest(k)
    return (nearest, pagesRead)
  }

  // MARK: what rows hold

  /// The vectors of some rows as stored, `[rows × stride]`, each padded to 64 bytes.
  func vectors(of rows: [Found]) async throws(RoostError) -> (bytes: IOBuffer, stride: Int) {
    let stride = (schema.shape.rowBytes + 63) & ~63
    let buffer = IOBuffer(count: max(1, rows.count) * stride)
    for (index, found) in rows.enumerated() {
      let bytes = try await snapshot.sources[found.source].vectorBytes(
        Int(found.row), count: schema.shape.rowBytes)
      UnsafeMutableRawBufferPointer(rebasing: buffer.mutableBytes[(index * stride)...]).copyBytes(from: bytes)
    }
    return (buffer, stride)
  }
}

extension [Candidate] {
  /// Sorts by distance, then row, and drops all but the first `k`.
  fileprivate mutating func keepNearest(_ k: Int) {
    sort { ($0.distance, $0.row) < ($1.distance, $1.row) }
    if count > k { removeLast(count - k) }
  }
}
