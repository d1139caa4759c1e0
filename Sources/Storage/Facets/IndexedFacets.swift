// Values counted by the attribute indexes of a segment, without its payloads.

import Core

extension Segment {
  /// With more different values than this, going through a subset of the rows is cheaper than asking for the
  /// rows of each value.
  private static let valuesMax = 1_024

  /// Counts the values of a field among `rows`, or among all rows for nil; false, and nothing has been
  /// counted, when the index cannot tell or would take longer than the payloads.
  func count(_ counter: inout FacetCounter, among rows: RowBitmap?) throws(RoostError) -> Bool {
    guard counter.countsValues, let columns = try attributes.columns(of: counter.path) else { return false }
    let readers = columns.readers.values.filter { $0.column.kind != .present && $0.column.kind != .token }
    guard readers.allSatisfy({ !$0.column.isPartial }) else { return false }
    // A row may hold an int and the double that is the same number; as values they are one.
    guard columns.readers[.int] == nil || columns.readers[.double] == nil else { return false }
    let distinct = readers.reduce(0) { $0 + $1.column.distinct }
    if let rows, distinct > min(Self.valuesMax, rows.count / 4) { return false }
    for reader in readers {
      for key in 0..<reader.column.distinct {
        guard let value = try reader.value(key) else { continue }
        let count =
          if let rows {
            try reader.rows([key..<key + 1]).intersection(rows).count
          } else {
            try reader.entryCount(key..<key + 1)
          }
        try counter.add(value, records: count)
      }
    }
    return true
  }
}

extension RowSource {
  /// The rows that pass a filter and are alive, when indexes know them: nil for all rows of the source.
  /// Outer nil: they do not.
  func knownRows(_ match: SourceMatch, at sequence: UInt64) -> RowBitmap?? {
    guard match.rest.isEmpty else { return .none }
    if match.rows == nil, isAllLive { return .some(nil) }
    var alive: [UInt32] = []
    if let rows = match.rows {
      alive = rows.rows.filter { isLive(Int($0), at: sequence) }
    } else {
      for row in 0..<rowCount where isLive(row, at: sequence) { alive.append(UInt32(row)) }
    }
    return .some(RowBitmap(rows: alive, rowCount: rowCount))
  }
}
