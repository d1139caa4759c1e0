// Many queries in one call: one snapshot, one compiled form and one estimate of each filter, all cores; and
// those that compare with every row anyway go over the rows together.

import Core

/// A query with what has been prepared for it.
struct PreparedSearch: Sendable {
  var query: SearchQuery
  /// The vector field to search.
  var field: Int
  var filter: NativeFilter?
  var code = QueryCode()
  /// Per source, which rows the indexes name for the filter, if that is known.
  var matches: [SourceMatch]?
}

/// Makes the user code of a query when the query's turn has come.
public typealias QueryCodeMaker = @Sendable () throws(RoostError) -> QueryCode

extension Collection {
  /// Answers up to `Limits.batchQueriesMax` queries as of one snapshot, in less time than one by one.
  /// - Parameter code: for each query its user code, or nil; empty: none.
  /// - Throws: what `search` throws, for a query that fails.
  public func search(
    _ queries: [SearchQuery], code: [QueryCodeMaker?] = []
  ) async throws(RoostError) -> [[SearchHit]] {
    try await explainedSearch(queries, code: code).map(\.hits)
  }

  /// `search`, with an account of how the hits of those queries were found that ask for it.
  public func explainedSearch(
    _ queries: [SearchQuery], code: [QueryCodeMaker?] = []
  ) async throws(RoostError) -> [SearchOutcome] {
    precondition(code.isEmpty || code.count == queries.count)
    try beginReading()
    defer { readers.leave() }
    guard queries.count <= Limits.batchQueriesMax else {
      throw RoostError(
        .limitExceeded, "\(queries.count) queries in one call, the limit is \(Limits.batchQueriesMax)",
        at: "search")
    }
    for query in queries { try query.validate() }
    let snapshot = snapshot()
    let (prepared, classes) = try prepare(queries, code, snapshot)
    var answers = [SearchOutcome?](repeating: nil, count: queries.count)
    for members in classes where snapshot.isInMemory {
      let scans = members.filter { BlockScan.takes(queries[$0]) }
      guard scans.count > 1 else { continue }
      for scan in BlockScan.portions(scans, of: queries) {
        for (index, hits) in zip(scan, try await scanTogether(scan.map { prepared[$0] }, snapshot)) {
          answers[index] = SearchOutcome(hits: hits, explanation: SearchExplanation())
        }
      }
    }
    let rest = answers.indices.filter { answers[$0] == nil }
    let found = try await spread(over: rest.count) { (work) throws(RoostError) in
      var found: [(index: Int, outcome: SearchOutcome)] = []
      while let position = work.next() {
        let index = rest[position]
        var search = prepared[index]
        if !code.isEmpty, let make = code[index] { search.code = try make() }
        found.append((index, try await self.run(search, snapshot)))
        // Whoever else is on this executor.
        await Task.yield()
      }
      return found
    }
    for (index, outcome) in found.joined() { answers[index] = outcome }
    return answers.compactMap { $0 }
  }

  /// Compiles each filter once and asks the indexes about it once. Queries of one class have the same field
  /// and the same filter, or none, and no user code.
  private func prepare(
    _ queries: [SearchQuery], _ code: [QueryCodeMaker?], _ snapshot: Snapshot
  ) throws(RoostError) -> (prepared: [PreparedSearch], classes: [[Int]]) {
    // Exact answers must not depend on what memtables remember.
    let remembers = !queries.contains { $0.exact }
    var known: [(filter: Filter?, native: NativeFilter?, matches: [SourceMatch])] = []
    /// By field, then by filter.
    var classes = [[[Int]]](repeating: [], count: schema.fields.count)
    var prepared: [PreparedSearch] = []
    for (index, query) in queries.enumerated() {
      let place: Int
      if let found = known.firstIndex(where: { $0.filter == query.filter }) {
        place = found
      } else {
        let native = try query.filter.map { (filter) throws(RoostError) in try NativeFilter(filter) }
        var matches: [SourceMatch] = []
        for source in snapshot.sources {
          matches.append(try SourceMatch(native, in: source, remembers: remembers))
        }
        place = known.count
        known.append((query.filter, native, matches))
      }
      let field = try schema.index(ofField: query.using, at: "search.using")
      if code.isEmpty || code[index] == nil {
        while classes[field].count <= place { classes[field].append([]) }
        classes[field][place].append(index)
      }
      prepared.append(
        PreparedSearch(
          query: query, field: field, filter: known[place].native, matches: known[place].matches))
    }
    return (prepared, classes.flatMap { $0 })
  }

  /// Answers exact queries with the same conditions by one pass over the rows, a share of them on each core.
  private func scanTogether(
    _ searches: [PreparedSearch], _ snapshot: Snapshot
  ) async throws(RoostError) -> [[SearchHit]] {
    var targets: [BlockScan.Target] = []
    for search in searches {
      guard case .vector(let vector) = try await resolve(search.query.target, search.field, snapshot) else {
        preconditionFailure("a best score is not scanned for")
      }
      targets.append(
        BlockScan.Target(
          vector: vector, k: search.query.form.hitsMax,
          excluded: try await excludedRows(search.query, snapshot)))
    }
    let (all, field, matches) = (targets, searches[0].field, searches[0].matches ?? [])
    let shape = schema.fields[field].shape
    let slices = try BlockScan.slices(snapshot, field, matches)
    let parts = try await spread(over: slices.count) { (work) throws(RoostError) in
      let scan = BlockScan(snapshot, field, shape, matches, all)
      while let index = work.next() {
        try scan.visit(slices[index])
        await Task.yield()
      }
      return try scan.finish()
    }
    var answers: [[SearchHit]] = []
    for (index, search) in searches.enumerated() {
      var found = parts.flatMap { $0[index] }
      found.sort(by: Found.precedes)
      answers.append(
        try await fetch(Array(found.prefix(search.query.form.hitsMax)), search.query, snapshot))
    }
    return answers
  }

  /// Runs `body` once on each executor; each takes pieces of work, numbered from 0, until none is left.
  private func spread<T: Sendable>(
    over count: Int, _ body: @escaping @Sendable (WorkQueue) async throws(RoostError) -> T
  ) async throws(RoostError) -> [T] {
    let work = WorkQueue(count)
    let executors = runtime.executors.prefix(count)
    let results = await withTaskGroup(
      of: (Int, Result<T, RoostError>).self, returning: [Result<T, RoostError>?].self
    ) { group in
      for (index, executor) in executors.enumerated() {
        group.addTask(executorPreference: executor) {
          do throws(RoostError) {
            return (index, .success(try await body(work)))
          } catch {
            work.stop()
            return (index, .failure(error))
          }
        }
      }
      var results = [Result<T, RoostError>?](repeating: nil, count: executors.count)
      for await (index, result) in group { results[index] = result }
      return results
    }
    if Task.isCancelled { throw RoostError(.cancelled, "the search was cancelled", at: "search") }
    var values: [T] = []
    for result in results { if let result { values.append(try result.get()) } }
    return values
  }
}
