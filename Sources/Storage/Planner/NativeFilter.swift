// A filter of the filter language as a query carries it: as written, for the indexes, and as it runs, for
// what they cannot tell.

import Core
import Synchronization

final class NativeFilter: Sendable {
  let filter: Filter
  private let program = Mutex<CompiledFilter?>(nil)

  /// Throws what `Filter.validate` throws.
  init(_ filter: Filter) throws(RoostError) {
    try filter.validate()
    self.filter = filter
  }

  /// Compiled when first asked for: often the indexes know all.
  func compiled() throws(RoostError) -> CompiledFilter {
    if let known = program.withLock({ $0 }) { return known }
    let compiled = try CompiledFilter(filter)
    program.withLock { $0 = compiled }
    return compiled
  }
}

/// The rows of a source that may pass a filter, and what they must pass besides.
struct SourceMatch: Sendable {
  /// Rows that the indexes name; nil: any.
  var rows: RowBitmap?
  var rest: [any CandidateFilter]

  /// - Parameter remembers: whether a memtable may answer from what it remembers of earlier queries. Then the
  ///   same query may meet rows in other batches the next time, and so round distances differently.
  init(
    _ filter: NativeFilter?, in source: RowSource, and conditions: [any CandidateFilter] = [],
    remembers: Bool = true
  ) throws(RoostError) {
    rest = conditions
    guard let filter else { return }
    switch source {
    case .memtable(let memtable, let rowCount):
      if remembers, let rows = try memtable.answers.match(filter, in: memtable, rowCount: rowCount) {
        self.rows = rows
        return
      }
    case .segment(let segment):
      let match = try segment.attributes.match(filter.filter) { (id) throws(RoostError) in
        let encoded = IOBuffer(id.encodedBytes)
        let row = try segment.row(of: encoded.bytes)
        return withExtendedLifetime(encoded) { row }
      }
      switch match {
      case .exact(let rows):
        self.rows = rows.isAll ? nil : rows
        return
      case .atMost(let rows): self.rows = rows
      case .unknown: break
      }
    }
    rest = [try filter.compiled()] + conditions
  }
}
