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
  let schema: CollectionSchema
  /// The vector field that is searched.
  let field: Int
  let snapshot: Snapshot
  let filter: NativeFilter?
  /// Further conditions, such as user code.
  let conditions: [any CandidateFilter]
  /// Per source, what is known about the filter already; nil: nothing.
  private var matches: [SourceMatch]?
  let clock: any Clock
  let target: ResolvedTarget
  /// Per source (none: nothing is excluded), ascending.
  let excludedRows: [[UInt32]]
  let effort: Int?
  let exact: Bool
  let rowTotal: Int
  /// Searches this way where a source allows it; for tests.
  var forced: SearchExplanation.Method?
  /// How the first step went about each source, and what all steps took.
  private(set) var explanation = SearchExplanation()
  /// Where in `explanation` each source stands.
  private var explained: [Int: Int] = [:]

  init(
    _ search: PreparedSearch, _ schema: CollectionSchema, _ snapshot: Snapshot, target: ResolvedTarget,
    excludedRows: [[UInt32]], clock: any Clock
  ) {
    let query = search.query
    self.schema = schema
    field = search.field
    self.snapshot = snapshot
    filter = search.filter
    conditions = search.code.filters
    matches = search.matches
    self.clock = clock
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
  /// - Parameters:
  ///   - effortMin: keep at least so many candidates, whatever the query says.
  ///   - complete: compare with every row, whatever the query says.
  mutating func nearest(
    _ count: Int, to vector: IOBuffer, also extra: [any CandidateFilter], effortMin: Int = 0,
    complete: Bool = false
  ) async throws(RoostError) -> [Found] {
    if matches == nil, filter != nil, !explanation.sources.isEmpty {
      // The query asks again; from now on the indexes need not be asked again.
      matches = try snapshot.sources.map { (source) throws(RoostError) in
        try SourceMatch(filter, in: source, remembers: !exact)
      }
    }
    var found: [Found] = []
    var isFirst = true
    for (index, source) in snapshot.sources.enumerated() where source.rowCount > 0 {
      // Between sources others on the executor may run; a search of one source is answered without a hop.
      if !isFirst { await Task.yield() }
      isFirst = false
      let outcome = try await SourceSearch(
        source: source, field: field, sequence: snapshot.sequence, query: vector, k: count,
        effort: max(effort ?? schema.recall.effort(nearest: count), count, effortMin),
        exact: exact || complete, filter: filter, known: matches?[index], conditions: conditions + extra,
        excluded: excludedRows.isEmpty ? [] : excludedRows[index], forced: forced
      ).run(schema, clock)
      for candidate in outcome.candidates {
        found.append(Found(distance: candidate.distance, source: index, row: candidate.row))
      }
      note(outcome.explanation, index)
    }
    found.sort(by: Found.precedes)
    if found.count > count { found.removeLast(found.count - count) }
    return found
  }

  var shape: VectorShape { schema.fields[field].shape }

  /// Between two steps of a search that asks again: lets others on the executor run, and gives up when the
  /// answer is no longer wanted.
  func pause() async throws(RoostError) {
    await Task.yield()
    if Task.isCancelled { throw RoostError(.cancelled, "the search was cancelled", at: "search") }
  }

  /// Later steps add their work to that of the first.
  private mutating func note(_ step: SearchExplanation.Source, _ source: Int) {
    guard let place = explained[source] else {
      explained[source] = explanation.sources.count
      explanation.sources.append(step)
      return
    }
    explanation.sources[place].rowsCompared += step.rowsCompared
    explanation.sources[place].nodesExpanded += step.nodesExpanded
    explanation.sources[place].pagesRead += step.pagesRead
    explanation.sources[place].micros += step.micros
  }

  // MARK: what rows hold

  /// The vectors of some rows as stored, `[rows × stride]`, each padded to 64 bytes.
  func vectors(of rows: [Found]) async throws(RoostError) -> (bytes: IOBuffer, stride: Int) {
    let stride = (shape.rowBytes + 63) & ~63
    let buffer = IOBuffer(count: max(1, rows.count) * stride)
    await snapshot.warm(rows)
    for (index, found) in rows.enumerated() {
      let source = snapshot.sources[found.source]
      guard let bytes = try await source.vectorBytes(Int(found.row), field: field) else {
        preconditionFailure("a row without a vector was found near one")
      }
      UnsafeMutableRawBufferPointer(rebasing: buffer.mutableBytes[(index * stride)...]).copyBytes(from: bytes)
    }
    return (buffer, stride)
  }
}
