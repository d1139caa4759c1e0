// Facets over one snapshot: indexes count where they can; else every row that passes goes by each counter.

import Core

extension Collection {
  /// What the values of fields are among the records that pass a filter.
  /// Throws `.invalidArgument`, or `.limitExceeded` when a field has too many different values.
  public func facet(_ query: FacetQuery) async throws(RoostError) -> FacetOutcome {
    try beginReading()
    defer { readers.leave() }
    try query.validate()
    let filter = try query.filter.map { (filter) throws(RoostError) in try NativeFilter(filter) }
    var counters = query.facets.map { FacetCounter($0) }
    let snapshot = snapshot()
    var matched = 0
    for source in snapshot.sources {
      let match = try SourceMatch(filter, in: source)
      var open = Array(counters.indices)
      if case .segment(let segment) = source, let rows = source.knownRows(match, at: snapshot.sequence) {
        var rest: [Int] = []
        for index in open where try !segment.count(&counters[index], among: rows) { rest.append(index) }
        open = rest
        guard !open.isEmpty else {
          matched += rows?.count ?? source.rowCount
          await Task.yield()
          continue
        }
      }
      var payloads = PayloadRows(source, match, at: snapshot.sequence)
      while let slice = try await payloads.next() {
        for (_, payload) in slice {
          matched += 1
          for index in open { try counters[index].add(payload, record: matched) }
        }
      }
    }
    return FacetOutcome(matched: matched, answers: counters.map { $0.answer() })
  }
}
