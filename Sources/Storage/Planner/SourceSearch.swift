// Searches one source of a snapshot as planned: finds out which rows pass, has the planner choose, runs
// the choice, and makes up for a walk that came home with too little.

import Core

/// One query on one source.
struct SourceSearch {
  /// Rows that are tried to estimate how many pass.
  private static let sampleRows = 256

  let source: RowSource
  /// The vector field that is searched.
  let field: Int
  let sequence: UInt64
  let query: IOBuffer
  let k: Int
  let effort: Int
  let exact: Bool
  let filter: NativeFilter?
  /// What is known about the filter already.
  var known: SourceMatch?
  /// Further conditions, such as user code.
  let conditions: [any CandidateFilter]
  /// Rows that must not be found, ascending.
  let excluded: [UInt32]
  /// Searches this way where the source allows it, whatever the planner thinks; for tests.
  var forced: SearchExplanation.Method?

  struct Outcome {
    var candidates: [Candidate]
    var explanation: SearchExplanation.Source
  }

  private var vectors: FieldNodes { FieldNodes(source: source, field: field) }

  func run(_ schema: CollectionSchema, _ clock: any Clock) async throws(RoostError) -> Outcome {
    let start = clock.monotonicNanos()
    let match: SourceMatch
    if let known { match = known } else { match = try SourceMatch(filter, in: source, remembers: !exact) }
    let (rows, rest) = (match.rows, match.rest + conditions)
    let nodes = try rows.map { (rows) throws(RoostError) in try vectors.nodes(of: rows) }
    let passing = try await estimate(nodes, rest)
    let traits = source.traits(schema.fields[field], field)
    var choice = QueryPlanner.choose(traits, passing, k: k, effort: effort, exact: exact)
    if let forced, choice.method != .nothing, isPossible(forced, traits, rows) { choice.method = forced }
    var explanation = SearchExplanation.Source(
      name: source.name, rows: vectors.limit, method: choice.method, evidence: passing.evidence,
      passing: Int(passing.expected.rounded()), effort: max(k, effort), scanCost: Float(choice.scanCost),
      walkCost: Float(choice.walkCost))
    let keep = QueryPlanner.codedKeep(passing, k: k)
    var (candidates, work) = try await execute(choice.method, rows, nodes, rest, keep)
    let isComplete = [.nothing, .scan, .indexedScan].contains(choice.method)
    if candidates.count < k, !isComplete, passing.evidence != .unfiltered {
      // The walk did not reach enough rows; what passes must be found all the same.
      let scanned = try await execute(rows == nil ? .scan : .indexedScan, rows, nodes, rest, keep)
      candidates = scanned.candidates
      work += scanned.work
      explanation.method = rows == nil ? .scan : .indexedScan
    }
    if let mapping = vectors.mapping {
      for index in candidates.indices {
        candidates[index].row = try mapping.row(ofNode: candidates[index].row)
      }
    }
    explanation.rowsCompared = work.rowsCompared
    explanation.nodesExpanded = work.nodesExpanded
    explanation.pagesRead = work.pagesRead
    explanation.micros = Int((clock.monotonicNanos() - start) / 1000)
    return Outcome(candidates: candidates, explanation: explanation)
  }

  private func isPossible(
    _ method: SearchExplanation.Method, _ traits: SourceTraits, _ rows: RowBitmap?
  ) -> Bool {
    switch method {
    case .nothing: false
    case .scan, .graph: true
    case .indexedScan: rows != nil
    case .filteredGraph: rows != nil && traits.rowsPerRead == nil
    case .codedScan: rows != nil && traits.codeBytes != nil
    }
  }

  // MARK: what passes

  private func estimate(
    _ nodes: RowBitmap?, _ rest: [any CandidateFilter]
  ) async throws(RoostError) -> PassingRows {
    let named = nodes?.count ?? vectors.limit
    if rest.isEmpty {
      return PassingRows(evidence: nodes == nil ? .unfiltered : .indexed, named: named, share: 1)
    }
    let evidence: SearchExplanation.Evidence = nodes == nil ? .sampled : .indexedAndSampled
    guard named > 0 else { return PassingRows(evidence: evidence, named: 0, share: 0) }
    let step = max(1, named / Self.sampleRows)
    let list = nodes?.rows
    var sample: [UInt32] = []
    for index in stride(from: step / 2, to: named, by: step) {
      sample.append(try vectors.row(ofNode: list?[index] ?? UInt32(index)))
    }
    var acceptor = FilteredRows(source, at: sequence, filters: rest, excluded: excluded)
    let passed = try await acceptor.accepted(sample).reduce(0) { $0 + ($1 ? 1 : 0) }
    return PassingRows(evidence: evidence, named: named, share: Double(passed) / Double(max(sample.count, 1)))
  }

  // MARK: running

  private func execute(
    _ method: SearchExplanation.Method, _ rows: RowBitmap?, _ nodes: RowBitmap?,
    _ rest: [any CandidateFilter], _ keep: Int
  ) async throws(RoostError) -> (candidates: [Candidate], work: SearchWork) {
    let walksAll = method == .graph || method == .scan
    if rest.isEmpty && excluded.isEmpty && !(walksAll && rows != nil) {
      let acceptor = LiveRows(
        deadAt: source.deadAt, sequence: sequence, rowLimit: UInt32(source.rowCount),
        acceptsAll: source.isAllLive)
      return try await execute(method, nodes, judging: acceptor, keep)
    }
    let acceptor = FilteredRows(
      source, at: sequence, filters: rest, excluded: excluded,
      rows: walksAll ? rows : nil)
    return try await execute(method, nodes, judging: acceptor, keep)
  }

  /// - Parameter acceptor: of rows, whatever the nodes of the graph are.
  private func execute<A: RowAcceptor>(
    _ method: SearchExplanation.Method, _ nodes: RowBitmap?, judging acceptor: A, _ keep: Int
  ) async throws(RoostError) -> (candidates: [Candidate], work: SearchWork) {
    guard let mapping = vectors.mapping else {
      var acceptor = acceptor
      return try await execute(method, nodes, &acceptor, keep)
    }
    var mapped = MappedAcceptor(acceptor, rows: mapping)
    return try await execute(method, nodes, &mapped, keep)
  }

  private func execute<A: RowAcceptor>(
    _ method: SearchExplanation.Method, _ rows: RowBitmap?, _ acceptor: inout A, _ keep: Int
  ) async throws(RoostError) -> (candidates: [Candidate], work: SearchWork) {
    switch method {
    case .nothing: return ([], SearchWork())
    case .scan:
      if let nodes = vectors.listed { return try await scan(nodes, &acceptor) }
      return try await scan(0..<UInt32(vectors.limit), &acceptor)
    case .indexedScan: return try await scan(rows?.rows ?? [], &acceptor)
    case .filteredGraph: return try await walk(among: rows, &acceptor)
    case .graph: return try await walk(among: nil, &acceptor)
    case .codedScan:
      guard case .segment(let segment) = source, let rows else { return ([], SearchWork()) }
      var results: [Candidate] = []
      let work = try await segment.fields[field].graph.codedSearch(
        among: rows.rows, query: UnsafeRawPointer(query.base), k: min(k, keep), keep: keep,
        acceptor: &acceptor, results: &results)
      return (results, work)
    }
  }

  private func walk<A: RowAcceptor>(
    among rows: RowBitmap?, _ acceptor: inout A
  ) async throws(RoostError) -> (candidates: [Candidate], work: SearchWork) {
    let query = UnsafeRawPointer(query.base)
    var results: [Candidate] = []
    var work = SearchWork()
    switch (source, rows) {
    case (.memtable(let memtable, _), let rows?):
      let graph = memtable.graphs[field]
      work = try graph.scratches.with { (scratch) throws(RoostError) in
        try graph.filteredSearch(
          among: rows, from: CollectionOfOne(graph.entry).lazy.compactMap { $0 }, query: query, k: k,
          effort: effort, acceptor: &acceptor, scratch: scratch, results: &results)
      }
    case (.memtable(let memtable, _), nil):
      let graph = memtable.graphs[field]
      try graph.scratches.with { (scratch) throws(RoostError) in
        try graph.search(
          query: query, k: k, effort: effort, acceptor: &acceptor, scratch: scratch, results: &results)
        work = scratch.work
      }
    case (.segment(let segment), let rows?):
      work = try segment.fields[field].graph.filteredSearch(
        among: rows, query: query, k: k, effort: effort, acceptor: &acceptor, results: &results)
    case (.segment(let segment), nil):
      work = try await segment.fields[field].graph.search(
        query: query, k: k, effort: effort, acceptor: &acceptor, results: &results)
    }
    return (results, work)
  }

  /// Compares with every row of the list, in slices, so that others get their turn.
  private func scan<A: RowAcceptor, Rows: RandomAccessCollection<UInt32>>(
    _ rows: Rows, _ acceptor: inout A
  ) async throws(RoostError) -> (candidates: [Candidate], work: SearchWork)
  where Rows.SubSequence: RandomAccessCollection<UInt32> {
    let query = UnsafeRawPointer(query.base)
    var nearest: [Candidate] = []
    var results: [Candidate] = []
    var work = SearchWork(rowsCompared: rows.count)
    var start = rows.startIndex
    while start < rows.endIndex {
      let end =
        rows.index(start, offsetBy: Collection.rowsPerSlice, limitedBy: rows.endIndex) ?? rows.endIndex
      let slice = rows[start..<end]
      start = end
      switch source {
      case .memtable(let memtable, _):
        let graph = memtable.graphs[field]
        try graph.scratches.with { (scratch) throws(RoostError) in
          try graph.exactSearch(
            rows: slice, query: query, k: min(k, slice.count), acceptor: &acceptor, scratch: scratch,
            results: &results)
        }
      case .segment(let segment):
        work.pagesRead += try await segment.fields[field].graph.exactSearch(
          rows: slice, query: query, k: min(k, slice.count), acceptor: &acceptor, results: &results)
      }
      nearest += results
      if nearest.count > 4 * k + Collection.rowsPerSlice { nearest.keepNearest(k) }
      if start < rows.endIndex { await Task.yield() }
    }
    nearest.keepNearest(k)
    return (nearest, work)
  }
}

extension RowSource {
  var name: String {
    switch self {
    case .memtable(let memtable, _): "memtable \(memtable.number)"
    case .segment(let segment): "segment \(segment.number)"
    }
  }

  func traits(_ field: VectorField, _ index: Int) -> SourceTraits {
    var traits = SourceTraits(
      rows: FieldNodes(source: self, field: index).limit, vectorBytes: field.shape.rowBytes,
      degree: field.degree, rowsPerRead: nil)
    if case .segment(let segment) = self {
      let graph = segment.fields[index].graph
      if !segment.file.isMapped { traits.rowsPerRead = graph.layout.blocksPerRun }
      traits.codeBytes = (graph.codes?.book ?? graph.ranking?.book)?.rowStride
      if case .links = graph.ranking?.way { traits.hasLinks = true }
    }
    return traits
  }
}

extension [Candidate] {
  /// Sorts by distance, then row, and drops all but the first `k`.
  fileprivate mutating func keepNearest(_ k: Int) {
    sort { ($0.distance, $0.row) < ($1.distance, $1.row) }
    if count > k { removeLast(count - k) }
  }
}
