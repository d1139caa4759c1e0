// k-nearest-neighbour search over one snapshot: plan, search every source, merge, fetch.

import Core

/// The hits of a search and how they were found.
public struct SearchOutcome: Sendable {
  /// Nearest first.
  public var hits: [SearchHit]
  public var plan: SearchPlan
  /// Pages that were read from disk for the graph walk; 0 when everything is in memory.
  public var pagesRead: Int
}

/// How a search goes about it.
public struct SearchPlan: Sendable, Equatable {
  public enum Method: String, Sendable {
    /// Every row is compared.
    case exact
    /// The graph is walked; rows that fail the filters are passed over.
    case graph
  }
  public var method: Method
  /// Candidates kept during the walk.
  public var effort: Int
  /// Estimated share of rows that pass the filters.
  public var selectivity: Double
}

extension Collection {
  /// Rows that are tried to estimate how many pass the filters.
  private static let sampleRows = 512
  /// With at most this many rows expected to pass, comparing them all is cheaper than finding them by a walk.
  private static let exactRowsMax = 1024.0
  /// New rows that a walk meets at each node that it expands.
  private static let neighboursTriedPerNode = 8.0

  /// Searches the `k` nearest records.
  /// - Parameter filters: further conditions, such as user code, beside `query.filter`.
  /// - Throws: `.invalidArgument` for a vector that does not fit, `.notFound` for an unknown record.
  public func search(_ query: SearchQuery, filters: [any CandidateFilter] = []) async throws(RoostError)
    -> [SearchHit]
  {
    try await explainedSearch(query, filters: filters).hits
  }

  /// `search`, with an account of how the hits were found.
  public func explainedSearch(
    _ query: SearchQuery, filters: [any CandidateFilter] = []
  ) async throws(RoostError) -> SearchOutcome {
    try requireOpen()
    try query.validate()
    let snapshot = snapshot()
    let (target, excluded) = try await resolve(query.target, snapshot)
    var conditions = filters
    if let filter = query.filter { conditions.insert(try CompiledFilter(filter), at: 0) }
    let plan = try choosePlan(query, snapshot, conditions)
    var found: [(candidate: Candidate, source: RowSource)] = []
    var pagesRead = 0
    let vector = IOBuffer(target)
    for source in snapshot.sources where source.rowCount > 0 {
      let excludedRow = try excluded.flatMap { (id) throws(RoostError) in
        try source.liveRow(of: id, encoded: IOBuffer(id.encodedBytes).bytes, at: snapshot.sequence).map(
          UInt32.init)
      }
      let (candidates, pages) = try await searchSource(
        source, vector, k: query.k, plan: plan, at: snapshot.sequence, filters: conditions,
        excludedRow: excludedRow)
      found += candidates.map { ($0, source) }
      pagesRead += pages
      await Task.yield()
    }
    found.sort { $0.candidate.distance < $1.candidate.distance }
    var hits: [SearchHit] = []
    hits.reserveCapacity(min(query.k, found.count))
    for (candidate, source) in found.prefix(query.k) {
      let row = Int(candidate.row)
      hits.append(
        SearchHit(
          id: try source.id(row), distance: candidate.distance,
          payload: query.includePayload ? try source.decodedPayload(row) : nil,
          vector: query.includeVector
            ? Vector(
              element: schema.element, bytes: try await source.vectorBytes(row, count: schema.shape.rowBytes))
            : nil))
    }
    return SearchOutcome(hits: hits, plan: plan, pagesRead: pagesRead)
  }

  /// The bytes to search near, and the record that must not be among the hits.
  private func resolve(
    _ target: SearchTarget, _ snapshot: Snapshot
  ) async throws(RoostError) -> (vector: [UInt8], excluded: RecordID?) {
    switch target {
    case .vector(let vector):
      try schema.validate(vector)
      return (schema.storedBytes(vector), nil)
    case .record(let id):
      guard let (source, row) = try snapshot.locate(id) else {
        throw RoostError(.notFound, "there is no record '\(id.text)'", at: "search.target")
      }
      return (try await source.vectorBytes(row, count: schema.shape.rowBytes), id)
    case .text:
      throw RoostError(
        .invalidArgument, "text must be embedded before it can be searched", at: "search.target",
        remedy: "search through a node, in a collection with an embedder")
    }
  }

  // MARK: plan

  private func choosePlan(
    _ query: SearchQuery, _ snapshot: Snapshot, _ filters: [any CandidateFilter]
  ) throws(RoostError) -> SearchPlan {
    let effort = query.effort ?? max(64, query.k * 2)
    if query.exact { return SearchPlan(method: .exact, effort: effort, selectivity: 1) }
    guard !filters.isEmpty else {
      return SearchPlan(method: .graph, effort: max(effort, query.k), selectivity: 1)
    }
    let share = try estimateSelectivity(snapshot, filters)
    let total = Double(snapshot.sources.reduce(0) { $0 + $1.rowCount })
    // A walk goes on until it has found `effort` rows that pass, so it visits about effort / share nodes,
    // each with its neighbours; a scan tries every row once.
    let visited = Double(effort) / max(share, 1e-9) * Self.neighboursTriedPerNode
    if share * total <= max(Self.exactRowsMax, Double(query.k) * 8) || visited > total {
      return SearchPlan(method: .exact, effort: effort, selectivity: share)
    }
    return SearchPlan(method: .graph, effort: max(effort, query.k), selectivity: share)
  }

  /// Tries the filters on rows spread evenly over all sources.
  private func estimateSelectivity(_ snapshot: Snapshot, _ filters: [any CandidateFilter]) throws(RoostError)
    -> Double
  {
    let total = snapshot.sources.reduce(0) { $0 + $1.rowCount }
    guard total > 0 else { return 1 }
    let step = max(1, total / Self.sampleRows)
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
      var acceptor = FilteredRows(source, at: snapshot.sequence, filters: filters, excludedRow: nil)
      passed += try acceptor.accepted(rows).reduce(0) { $0 + ($1 ? 1 : 0) }
      tried += rows.count
    }
    return Double(passed) / Double(max(tried, 1))
  }

  // MARK: sources

  private func searchSource(
    _ source: RowSource, _ query: IOBuffer, k: Int, plan: SearchPlan, at sequence: UInt64,
    filters: [any CandidateFilter], excludedRow: UInt32?
  ) async throws(RoostError) -> (candidates: [Candidate], pagesRead: Int) {
    if filters.isEmpty && excludedRow == nil {
      var acceptor = LiveRows(
        deadAt: source.deadAt, sequence: sequence, rowLimit: UInt32(source.rowCount),
        acceptsAll: source.isAllLive)
      return try await search(source, query, k: k, plan: plan, acceptor: &acceptor)
    }
    var acceptor = FilteredRows(source, at: sequence, filters: filters, excludedRow: excludedRow)
    return try await search(source, query, k: k, plan: plan, acceptor: &acceptor)
  }

  private func search<A: RowAcceptor>(
    _ source: RowSource, _ query: IOBuffer, k: Int, plan: SearchPlan, acceptor: inout A
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
    for start in stride(from: 0, to: source.rowCount, by: Self.rowsPerSlice) {
      let rows = start..<min(start + Self.rowsPerSlice, source.rowCount)
      switch source {
      case .memtable(let memtable, _):
        try memtable.graph.scratches.with { (scratch) throws(RoostError) in
          try memtable.graph.exactSearch(
            rows: rows.lazy.map { UInt32($0) }, query: query, k: k, acceptor: &acceptor, scratch: scratch,
            results: &results)
        }
      case .segment(let segment):
        pagesRead += try await segment.graph.exactSearch(
          rows: rows, query: query, k: k, acceptor: &acceptor, results: &results)
      }
      nearest += results
      if nearest.count > 4 * k + Self.rowsPerSlice { nearest.keepNearest(k) }
      await Task.yield()
    }
    nearest.keepNearest(k)
    return (nearest, pagesRead)
  }
}

extension [Candidate] {
  /// Sorts by distance, then row, and drops all but the first `k`.
  fileprivate mutating func keepNearest(_ k: Int) {
    sort { ($0.distance, $0.row) < ($1.distance, $1.row) }
    if count > k { removeLast(count - k) }
  }
}
