// How the rows of a merge's inputs are numbered in its output.

import Core

/// How old rows map to new ones: the living rows, input after input, each in its own order; then the
/// dead rows of the seed, which take part only until its edges are patched.
///
/// A row whose death is not flushed yet counts as living: what killed it is in a WAL that may not be durable
/// and that a backup leaves out, so the row is still the record's last durable state.
struct MergePlan: Sendable {
  let inputs: [Segment]
  /// The input whose edges are taken over: the one with most living rows; nil when it is too holed.
  let seedInput: Int?
  /// The new rows of the living rows of each input.
  let ranges: [Range<Int>]
  let liveCount: Int
  /// New rows, dead ones of the seed included.
  let count: Int
  /// For each new row the old one in its input.
  private let oldRows: RowTable
  /// For each input, the new row of each old one.
  private let newRows: [RowTable]

  static func make(
    _ inputs: [Segment], flushedSequence: UInt64, work: WorkMemory, workers: any Workers
  ) async throws(RoostError) -> MergePlan {
    var newRows: [RowTable] = []
    for input in inputs { newRows.append(try await work.table(input.rowCount)) }
    let tables = newRows
    let live = await workers.run {
      inputs.map { input in
        (0..<input.rowCount).reduce(0) { $0 + (isKept(input, $1, flushedSequence) ? 1 : 0) }
      }
    }
    let largest = live.indices.max { live[$0] < live[$1] }
    // Patching costs as much as linking anew when most rows are gone.
    let seed = largest.flatMap { live[$0] * 2 > inputs[$0].rowCount ? $0 : nil }
    let liveCount = live.reduce(0, +)
    let count = liveCount + (seed.map { inputs[$0].rowCount - live[$0] } ?? 0)
    guard count < CandidateKey.rowLimit else {
      throw RoostError(.limitExceeded, "a segment of \(count) rows", at: "merge")
    }
    let oldRows = try await work.table(count)
    let ranges = await workers.run {
      var next = 0
      var ranges: [Range<Int>] = []
      func add(_ input: Int, _ row: Int) {
        tables[input][row] = UInt32(next)
        oldRows[next] = UInt32(row)
        next += 1
      }
      for (index, input) in inputs.enumerated() {
        let start = next
        for row in 0..<input.rowCount where isKept(input, row, flushedSequence) { add(index, row) }
        ranges.append(start..<next)
      }
      if let seed {
        for row in 0..<inputs[seed].rowCount where tables[seed][row] == RowTable.none { add(seed, row) }
      }
      return ranges
    }
    return MergePlan(
      inputs: inputs, seedInput: seed, ranges: ranges, liveCount: liveCount, count: count, oldRows: oldRows,
      newRows: newRows)
  }

  /// The same answer each time: no death up to the flushed sequence comes later.
  private static func isKept(_ segment: Segment, _ row: Int, _ flushedSequence: UInt64) -> Bool {
    let death = segment.deadAt.load(row)
    return death == 0 || death > flushedSequence
  }

  /// The new rows of the seed's living rows.
  var seedRange: Range<Int> { seedInput.map { ranges[$0] } ?? 0..<0 }

  /// The new row of a row of an input; nil when it takes no part.
  func newRow(_ input: Int, _ row: Int) -> UInt32? {
    let row = newRows[input][row]
    return row == RowTable.none ? nil : row
  }

  /// The new row of each node of a field of an input; `RowTable.none` for those that take no part.
  func newRows(
    ofInput input: Int, _ rows: NodeRows, work: WorkMemory, workers: any Workers
  ) async throws(RoostError) -> RowTable {
    if rows.isSame, rows.count == newRows[input].count { return newRows[input] }
    let (table, known) = (try await work.table(rows.count), newRows[input])
    let result = await workers.run { () -> Result<Void, RoostError> in
      do throws(RoostError) {
        for node in 0..<rows.count { table[node] = known[Int(try rows.row(ofNode: UInt32(node)))] }
        return .success(())
      } catch { return .failure(error) }
    }
    try result.get()
    return table
  }

  /// Whether a row of an input goes into the output.
  func isKept(input: Int, row: Int) -> Bool { newRow(input, row).map { Int($0) < liveCount } ?? false }

  /// The new rows that have died and are kept, as their deaths are not flushed yet, and when they died.
  func deaths() -> [UInt32: UInt64] {
    var deaths: [UInt32: UInt64] = [:]
    for (index, input) in inputs.enumerated() {
      for death in input.unpersistedDeaths() {
        guard let row = newRow(index, Int(death.row)), Int(row) < liveCount else { continue }
        deaths[row] = death.sequence
      }
    }
    return deaths
  }

  /// Where a living new row comes from.
  func place(_ newRow: UInt32) -> (input: Int, row: Int) {
    var low = 0
    var high = ranges.count - 1
    while low < high {
      let middle = (low + high) / 2
      if Int(newRow) < ranges[middle].upperBound { high = middle } else { low = middle + 1 }
    }
    return (low, Int(oldRows[Int(newRow)]))
  }
}
