// A filter's rows in a segment that is read from disk: all of them are ranked by their codes, which are in
// memory, and only the nearest are read and compared.

import Core

extension SegmentGraph {
  private static let rowsPerSlice = 16_384

  /// The `k` nearest accepted rows among the `keep` of `rows` that their codes say are nearest, ascending by
  /// distance, then row. The bytes of `query` must stay valid until the call returns.
  func codedSearch<A: RowAcceptor>(
    among rows: [UInt32], query: UnsafeRawPointer, k: Int, keep: Int, acceptor: inout A,
    results: inout [Candidate]
  ) async throws(RoostError) -> SearchWork {
    precondition(keep >= k && k > 0)
    results.removeAll(keepingCapacity: true)
    guard let codes, !rows.isEmpty else { return SearchWork() }
    let scratch = scratches.borrow()
    defer { scratches.giveBack(scratch) }
    let coded = scratch.pagedScratch(runBytes: layout.runBytes).codeQuery
    codes.book.prepare(coded, for: query)
    scratch.keys.reserve(keep)
    var nearest = Beam(keys: scratch.keys.base, capacity: keep)
    for start in stride(from: 0, to: rows.count, by: Self.rowsPerSlice) {
      if start > 0 { await Task.yield() }
      rank(rows[start..<min(start + Self.rowsPerSlice, rows.count)], codes, coded, scratch, into: &nearest)
    }
    let chosen = (0..<nearest.count).map { nearest.keys[$0].row }.sorted()
    let reads = try await exactScanPaged(
      rows: chosen, query: query, k: k, acceptor: &acceptor, scratch: scratch, results: &results)
    return SearchWork(rowsCompared: chosen.count, pagesRead: reads)
  }

  private func rank(
    _ rows: ArraySlice<UInt32>, _ codes: CodeTable, _ coded: CodeQuery, _ scratch: GraphScratch,
    into nearest: inout Beam
  ) {
    let batchRows = 64
    scratch.reserveBatch(batchRows)
    let batch = scratch.batch
    var position = rows.startIndex
    while position < rows.endIndex {
      let count = min(batchRows, rows.endIndex - position)
      for index in 0..<count {
        batch.rows[index] = rows[position + index]
        batch.pointers[index] = codes.pointer(batch.rows[index])
      }
      coded.estimate(codes.book.kernel, batch.pointers, count, into: batch.distances)
      for index in 0..<count where !(batch.distances[index] > nearest.bound) {
        let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
        if nearest.admits(key) { nearest.insert(key) }
      }
      position += count
    }
  }
}
