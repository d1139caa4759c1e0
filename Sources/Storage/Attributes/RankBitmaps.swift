// Makes wide ranges cheap: for a column in which no row has two entries, the sets of rows below every
// sixteenth of its entries. The rows of any range are two of these sets and a few entries.

import Core
import Synchronization

/// The rows of the first entries of a column, as bits, at regular steps. Constant once made.
struct RankBitmaps: Sendable {
  /// Sets kept for each column; each takes a bit a row.
  static let steps = 16

  let step: Int
  /// `prefixes[i]`: the rows of entries before `i × step`.
  let prefixes: [[UInt64]]

  var byteCount: Int { prefixes.reduce(0) { $0 + $1.count * 8 } }
}

/// Sets of ranks by column, made when a column is first asked for a wide range.
final class RankCache: Sendable {
  /// Columns whose sets are kept.
  private static let columnsMax = 16

  private let known = Mutex<[(offset: Int, ranks: RankBitmaps)]>([])

  var byteCount: Int { known.withLock { $0.reduce(0) { $0 + $1.ranks.byteCount } } }

  func ranks(
    of column: AttributeColumn, make: () throws(RoostError) -> RankBitmaps
  ) throws(RoostError) -> RankBitmaps {
    if let found = known.withLock({ $0.first { $0.offset == column.offset }?.ranks }) { return found }
    let made = try make()
    known.withLock { known in
      if known.contains(where: { $0.offset == column.offset }) { return }
      if known.count == Self.columnsMax { known.removeFirst() }
      known.append((column.offset, made))
    }
    return made
  }
}
