// Search over one snapshot: resolve what to search near, run the form of the query, fetch the hits.

import Core

/// The hits of a search and how they were found.
public struct SearchOutcome: Sendable {
  /// In the order of the query's form; nearest first unless it says otherwise.
  public var hits: [SearchHit]
  public var explanation: SearchExplanation

  /// Reads from disk; 0 when everything is in memory.
  public var pagesRead: Int { explanation.pagesRead }
}

extension Collection {
  /// Searches near a target; what the hits are is the query's form.
  /// - Parameter code: further conditions beside `query.filter`, and the scorer that `query.score` speaks of.
  /// - Throws: `.invalidArgument` for a vector that does not fit, `.notFound` for an unknown record.
  public func search(_ query: SearchQuery, code: QueryCode = QueryCode()) async throws(RoostError)
    -> [SearchHit]
  {
    let hits = try await explainedSearch(query, code: code).hits
    // A search of what is in memory never suspends; a program that does nothing but search must leave its
    // threads to its writers now and then.
    await Task.yield()
    return hits
  }

  /// `search`, with an account of how the hits were found.
  public func explainedSearch(
    _ query: SearchQuery, code: QueryCode = QueryCode()
  ) async throws(RoostError) -> SearchOutcome {
    try await explainedSearch(query, code: code, forcing: nil)
  }

  /// - Parameter forced: how to search sources that allow it, in place of what the planner thinks best.
  func explainedSearch(
    _ query: SearchQuery, code: QueryCode = QueryCode(), forcing forced: SearchExplanation.Method?
  ) async throws(RoostError) -> SearchOutcome {
    try beginReading()
    defer { readers.leave() }
    return try await explainedSearch(query, code: code, forcing: forced, in: snapshot())
  }

  /// The same in a snapshot that the caller keeps readable.
  func explainedSearch(
    _ query: SearchQuery, code: QueryCode, forcing forced: SearchExplanation.Method?,
    in snapshot: Snapshot
  ) async throws(RoostError) -> SearchOutcome {
    try query.validate()
    searchLoad.begin()
    defer { searchLoad.end(at: runtime.clock.monotonicNanos()) }
    let filter = try query.filter.map { (filter) throws(RoostError) in try NativeFilter(filter) }
    let field = try schema.index(ofField: query.using, at: "search.using")
    return try await run(
      PreparedSearch(query: query, field: field, filter: filter, code: code), snapshot,
      forcing: forced)
  }

  /// Runs one query to its end.
  func run(
    _ search: PreparedSearch, _ snapshot: Snapshot, forcing forced: SearchExplanation.Method? = nil
  ) async throws(RoostError) -> SearchOutcome {
    let start = runtime.clock.monotonicNanos()
    let query = search.query
    let target = try await resolve(query.target, search.field, snapshot)
    var run = SearchRun(
      search, schema, snapshot, target: target, excludedRows: try await excludedRows(query, snapshot),
      clock: runtime.clock)
    run.forced = forced
    var hits: [SearchHit] = []
    if let call = query.score {
      guard let scorer = search.code.scorer else {
        throw RoostError(
          .invalidArgument, "a scorer must be at hand before it can score", at: "search.score",
          remedy: "search through a node that has the module")
      }
      let scored = try await run.scored(query.form, call, by: scorer)
      hits = try await fetch(scored.map(\.found), query, snapshot)
      for index in hits.indices { hits[index].score = scored[index].score }
      return SearchOutcome(hits: hits, explanation: explanation(of: run, since: start))
    }
    switch query.form {
    case .nearest(let k): hits = try await fetch(try await run.best(k), query, snapshot)
    case .range(let radius, let limit):
      hits = try await fetch(try await run.within(radius, limit: limit), query, snapshot)
    case .diverse(let k, let lambda, let candidates):
      let chosen = try await run.diverse(
        k, lambda: lambda, candidates: SearchForm.candidates(candidates, k: k))
      hits = try await fetch(chosen, query, snapshot)
    case .grouped(let field, let groups, let groupSize):
      let grouped = try await run.grouped(
        by: PayloadField(try FieldPath(field)), groups: groups, size: groupSize)
      hits = try await fetch(grouped.map(\.found), query, snapshot)
      for index in hits.indices { hits[index].group = grouped[index].key.value }
    }
    return SearchOutcome(hits: hits, explanation: explanation(of: run, since: start))
  }

  private func explanation(of run: SearchRun, since start: UInt64) -> SearchExplanation {
    var explanation = run.explanation
    explanation.micros = Int((runtime.clock.monotonicNanos() - start) / 1000)
    return explanation
  }

  func fetch(
    _ rows: [Found], _ query: SearchQuery, _ snapshot: Snapshot
  ) async throws(RoostError) -> [SearchHit] {
    let field = try schema.index(ofField: query.using, at: "search.using")
    var hits: [SearchHit] = []
    hits.reserveCapacity(rows.count)
    await snapshot.warm(rows)
    for found in rows {
      let source = snapshot.sources[found.source]
      let row = Int(found.row)
      var hit = SearchHit(id: try await source.readID(row, again: true), distance: found.distance)
      if query.includePayload { hit.payload = try await source.readDecodedPayload(row, again: true) }
      if query.includeVector, let bytes = try await source.vectorBytes(row, field: field) {
        hit.vector = Vector(element: schema.fields[field].element, bytes: bytes)
      }
      hits.append(hit)
    }
    return hits
  }

  // MARK: what the query names

  func resolve(
    _ target: SearchTarget, _ field: Int, _ snapshot: Snapshot
  ) async throws(RoostError) -> ResolvedTarget {
    switch target {
    case .point(let point):
      return .vector(IOBuffer(try await storedBytes(of: point, at: "search.target", field, snapshot)))
    case .recommend(let examples):
      let positive = try await storedBytes(
        of: examples.positive, at: "search.target.positive", field, snapshot)
      let negative = try await storedBytes(
        of: examples.negative, at: "search.target.negative", field, snapshot)
      switch examples.strategy {
      case .averageVector:
        return .vector(
          IOBuffer(try schema.fields[field].averageTarget(positive: positive, negative: negative)))
      case .bestScore:
        return .bestScore(positive: positive.map { IOBuffer($0) }, negative: negative.map { IOBuffer($0) })
      }
    }
  }

  private func storedBytes(
    of points: [SearchPoint], at place: String, _ field: Int, _ snapshot: Snapshot
  ) async throws(RoostError) -> [[UInt8]] {
    var vectors: [[UInt8]] = []
    for (index, point) in points.enumerated() {
      vectors.append(try await storedBytes(of: point, at: "\(place)[\(index)]", field, snapshot))
    }
    return vectors
  }

  private func storedBytes(
    of point: SearchPoint, at place: String, _ field: Int, _ snapshot: Snapshot
  ) async throws(RoostError) -> [UInt8] {
    switch point {
    case .vector(let vector):
      do throws(RoostError) { try schema.fields[field].validate(vector) } catch {
        throw RoostError(error.kind, error.message, at: place, remedy: error.remedy)
      }
      return schema.fields[field].storedBytes(vector)
    case .record(let id):
      guard let (source, row) = try await snapshot.find(id) else {
        throw RoostError(.notFound, "there is no record '\(id.text)'", at: place)
      }
      guard let bytes = try await source.vectorBytes(row, field: field) else {
        throw RoostError(
          .notFound, "record '\(id.text)' has no vector of field '\(schema.fields[field].name)'", at: place)
      }
      return bytes
    case .source:
      throw RoostError(
        .invalidArgument, "text or bytes must be embedded before it can be searched", at: place,
        remedy: "search through a node, in a collection with an embedder")
    }
  }

  /// The rows of the records that must not be among the hits: those excluded and those searched near.
  func excludedRows(
    _ query: SearchQuery, _ snapshot: Snapshot
  ) async throws(RoostError) -> [[UInt32]] {
    var ids = query.excluded
    for case .record(let id) in query.target.points { ids.append(id) }
    if ids.isEmpty { return [] }
    var rows = [[UInt32]](repeating: [], count: snapshot.sources.count)
    for id in ids {
      let encoded = id.encodedBytes
      for (index, source) in snapshot.sources.enumerated() {
        guard let row = try await source.findLiveRow(of: id, encoded: encoded, at: snapshot.sequence) else {
          continue
        }
        rows[index].append(UInt32(row))
        break
      }
    }
    for index in rows.indices { rows[index].sort() }
    return rows
  }
}
