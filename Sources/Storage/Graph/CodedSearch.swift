// A filter's rows in a segment with codes in memory or in the mapping: all of them are ranked by their codes,
// and only the nearest are read and compared.

import CKernels
import Core

/// Where coded rows lie.
protocol CodeSource {
  func locate(
    _ rows: UnsafePointer<UInt32>, _ count: Int, into pointers: UnsafeMutablePointer<UnsafeRawPointer>
  ) throws(RoostError)
}

extension MappedCodes: CodeSource {}

extension CodeTable: CodeSource {
  func locate(
    _ rows: UnsafePointer<UInt32>, _ count: Int, into pointers: UnsafeMutablePointer<UnsafeRawPointer>
  ) {
    for index in 0..<count { pointers[index] = pointer(rows[index]) }
  }
}

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
    guard !rows.isEmpty, let book = codes?.book ?? ranking?.book else { return SearchWork() }
    let scratch = scratches.borrow()
    defer { scratches.giveBack(scratch) }
    let coded = scratch.codeQuery
    book.prepare(coded, for: query)
    scratch.keys.reserve(keep)
    var nearest = Beam(keys: scratch.keys.base, capacity: keep)
    for start in stride(from: 0, to: rows.count, by: Self.rowsPerSlice) {
      if start > 0 { await Task.yield() }
      let slice = rows[start..<min(start + Self.rowsPerSlice, rows.count)]
      if let codes {
        try rank(slice, by: codes, coded, book.kernel, scratch, into: &nearest)
      } else if let ranking {
        try rank(slice, by: ranking.codes, coded, book.kernel, scratch, into: &nearest)
      }
    }
    let chosen = (0..<nearest.count).map { nearest.keys[$0].row }.sorted()
    if file.isMapped {
      try exactScanMapped(
        rows: chosen, query: query, k: k, acceptor: &acceptor, scratch: scratch, results: &results)
      return SearchWork(rowsCompared: chosen.count)
    }
    let reads = try await exactScanPaged(
      rows: chosen, query: query, k: k, acceptor: &acceptor, scratch: scratch, results: &results)
    return SearchWork(rowsCompared: chosen.count, pagesRead: reads)
  }

  private func rank<Codes: CodeSource>(
    _ rows: ArraySlice<UInt32>, by codes: Codes, _ coded: CodeQuery, _ kernel: roost_code_kernel,
    _ scratch: GraphScratch, into nearest: inout Beam
  ) throws(RoostError) {
    let batchRows = 64
    scratch.reserveBatch(batchRows)
    let batch = scratch.batch
    var position = rows.startIndex
    while position < rows.endIndex {
      let count = min(batchRows, rows.endIndex - position)
      for index in 0..<count { batch.rows[index] = rows[position + index] }
      try codes.locate(batch.rows, count, into: batch.pointers)
      coded.estimate(kernel, batch.pointers, count, into: batch.distances)
      for index in 0..<count where !(batch.distances[index] > nearest.bound) {
        let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
        if nearest.admits(key) { nearest.insert(key) }
      }
      position += count
    }
  }
}
