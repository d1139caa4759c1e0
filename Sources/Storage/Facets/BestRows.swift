// The first rows in the order of a field, collected in one pass with bounded memory.

import Core

/// A row and its place in the order.
struct OrderedRow: Sendable {
  /// The bytes of its `SortKey`; nil when it has no value.
  var key: [UInt8]?
  var id: [UInt8]
  var source: Int
  var row: UInt32
}

/// Keeps what comes first behind a place, as many rows as there is room for.
struct BestRows {
  /// Bytes of keys and ids to hold, except for one row that is longer.
  static let bytesMax = 32 << 20

  private let isDescending: Bool
  private let after: OrderedRow?
  private let capacity: Int
  private let bytesMax: Int
  private var rows: [OrderedRow] = []
  private var bytes = 0
  /// The last row that was kept when there was no room; what comes behind it is of no use.
  private var limit: OrderedRow?
  /// Whether rows had to be left out.
  private(set) var isCut = false

  init(descending: Bool, after: OrderedRow?, capacity: Int, bytesMax: Int = BestRows.bytesMax) {
    isDescending = descending
    self.after = after
    self.capacity = max(1, capacity)
    self.bytesMax = bytesMax
  }

  /// Below zero, zero or above, as a key comes before, with or behind another: values, then none.
  private static func compare(_ a: [UInt8]?, _ b: [UInt8]?, descending: Bool) -> Int {
    switch (a, b) {
    case (nil, nil): return 0
    case (nil, _?): return 1
    case (_?, nil): return -1
    case (let x?, let y?):
      let order = SortKey.compare(x, y)
      return descending ? -order : order
    }
  }

  private static func compare(_ a: OrderedRow, _ b: OrderedRow, descending: Bool) -> Int {
    let order = compare(a.key, b.key, descending: descending)
    if order != 0 { return order }
    return a.id.withUnsafeBytes { a in b.id.withUnsafeBytes { compareEncodedIDs(a, $0) } }
  }

  /// Whether a row with this key may be among the first; if not, its id need not be looked up.
  func mayTake(_ key: [UInt8]?) -> Bool {
    if let after, BestRows.compare(key, after.key, descending: isDescending) < 0 { return false }
    if let limit, BestRows.compare(key, limit.key, descending: isDescending) > 0 { return false }
    return true
  }

  /// Takes a row if it is among the first.
  mutating func offer(_ row: OrderedRow) {
    if let after, BestRows.compare(row, after, descending: isDescending) <= 0 { return }
    if let limit, BestRows.compare(row, limit, descending: isDescending) > 0 { return }
    bytes += row.id.count + (row.key?.count ?? 0)
    rows.append(row)
    if rows.count >= 2 * capacity || bytes >= 2 * bytesMax { cut() }
  }

  private mutating func cut() {
    let isDescending = isDescending
    rows.sort { BestRows.compare($0, $1, descending: isDescending) < 0 }
    var kept = 0
    bytes = 0
    while kept < min(capacity, rows.count) {
      let more = rows[kept].id.count + (rows[kept].key?.count ?? 0)
      if kept > 0, bytes + more > bytesMax { break }
      bytes += more
      kept += 1
    }
    guard kept < rows.count else { return }
    isCut = true
    rows.removeLast(rows.count - kept)
    limit = rows.last
  }

  /// The rows in order.
  mutating func finish() -> [OrderedRow] {
    cut()
    return rows
  }
}
