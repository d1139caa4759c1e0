// The vectors of one field in one source, between rows, which filters know, and nodes, which its graph knows.

import Core

struct FieldNodes {
  let source: RowSource
  let field: Int

  /// Nodes are below this: rows of a memtable, some of which may have no vector, or nodes of a segment.
  var limit: Int {
    switch source {
    case .memtable(_, let rows): rows
    case .segment(let segment): segment.fields[field].rows.count
    }
  }

  /// The rows of nodes when they are not the same numbers.
  var mapping: NodeRows? {
    guard case .segment(let segment) = source, !segment.fields[field].rows.isSame else { return nil }
    return segment.fields[field].rows
  }

  func row(ofNode node: UInt32) throws(RoostError) -> UInt32 { try mapping?.row(ofNode: node) ?? node }

  /// The nodes of those rows that have a vector. O(rows) unless every row has one.
  func nodes(of rows: RowBitmap) throws(RoostError) -> RowBitmap {
    switch source {
    case .memtable(let memtable, _):
      guard memtable.hasSeveralFields else { return rows }
      return RowBitmap(
        rows: rows.rows.filter { memtable.hasVector(row: Int($0), field: field) }, rowCount: rows.rowCount)
    case .segment(let segment):
      switch segment.fields[field].rows {
      case .same(let count):
        if count == segment.rowCount { return rows }
        return RowBitmap(rows: rows.rows.filter { Int($0) < count }, rowCount: count)
      case .mapped, .held:
        var nodes: [UInt32] = []
        for row in rows.rows {
          if let node = try segment.fields[field].rows.node(ofRow: Int(row)) { nodes.append(node) }
        }
        return RowBitmap(rows: nodes.sorted(), rowCount: segment.fields[field].rows.count)
      }
    }
  }

  /// All nodes one by one, when they are not just the numbers below `limit`.
  var listed: [UInt32]? {
    guard case .memtable(let memtable, let rows) = source, memtable.hasSeveralFields else { return nil }
    return (0..<UInt32(rows)).filter { memtable.hasVector(row: Int($0), field: field) }
  }
}
