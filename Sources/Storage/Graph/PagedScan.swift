// Comparing the query with every row of a range or list, by page reads in file order.

import Core

extension SegmentGraph {
  private static let pagesPerRead = 32
  private static let readsInFlight = 8

  /// The `k` nearest accepted rows among `rows` (ascending, without repeats), by comparing with each.
  /// Neighbouring runs are read together. The bytes of `query` must stay valid until the call returns.
  /// - Returns: the number of reads.
  func exactScanPaged<A: RowAcceptor>(
    rows: some RandomAccessCollection<UInt32>, query: UnsafeRawPointer, k: Int, acceptor: inout A,
    scratch: GraphScratch, results: inout [Candidate]
  ) async throws(RoostError) -> Int {
    precondition(k > 0)
    let runsPerRead = max(1, Self.pagesPerRead / layout.pagesPerRun)
    scratch.reserveBatch(max(runsPerRead * layout.blocksPerRun, 64))
    scratch.accepted.reserve(k)
    var accepted = Beam(keys: scratch.accepted.base, capacity: k)
    let slotBytes = runsPerRead * layout.runBytes
    let buffer = IOBuffer(count: slotBytes * Self.readsInFlight, alignment: PagedFile.pageBytes)
    let queue = file.file.makeReadQueue()
    var pieces = [ScanPiece?](repeating: nil, count: Self.readsInFlight)
    var position = rows.startIndex
    var offset = 0
    var reads = 0
    var failure: RoostError?
    while true {
      do throws(RoostError) {
        while failure == nil, offset < rows.count, let slot = pieces.firstIndex(where: { $0 == nil }) {
          // As many rows as lie in one read's runs.
          let firstRun = layout.run(of: rows[position])
          var piece = ScanPiece(firstRun: firstRun, runCount: 1, rows: offset..<offset)
          while offset < rows.count {
            let run = layout.run(of: rows[position])
            precondition(run >= firstRun && Int(rows[position]) < count)
            guard run < firstRun + runsPerRead else { break }
            piece.runCount = run - firstRun + 1
            offset += 1
            rows.formIndex(after: &position)
          }
          piece.rows = piece.rows.lowerBound..<offset
          pieces[slot] = piece
          let start = slot * slotBytes
          queue.submit(
            into: buffer, range: start..<start + piece.runCount * layout.runBytes,
            at: fileOffset(ofRun: firstRun), tag: slot)
          reads += 1
        }
        if queue.inFlight == 0 { break }
        let slot = try await queue.next()
        guard let piece = pieces[slot] else { continue }
        pieces[slot] = nil
        if failure != nil { continue }
        let bytes = UnsafeRawPointer(buffer.base + slot * slotBytes)
        for run in 0..<piece.runCount {
          try verify(run: piece.firstRun + run, bytes + run * layout.runBytes, byteCount: layout.runBytes)
        }
        var fresh = 0
        for index in piece.rows {
          let row = rows[rows.index(rows.startIndex, offsetBy: index)]
          let run = layout.run(of: row)
          scratch.rows[fresh] = row
          scratch.pointers[fresh] =
            bytes + (run - piece.firstRun) * layout.runBytes + layout.offset(of: row, inRun: run)
          fresh += 1
        }
        nodes.distance.batch(query, scratch.pointers.base, fresh, into: scratch.distances.base)
        if acceptor.needsPreparing {
          let near = (0..<fresh).filter {
            accepted.admits(CandidateKey(distance: scratch.distances[$0], row: scratch.rows[$0]))
          }
          try await acceptor.prepare(near.map { scratch.rows[$0] })
        }
        try keepNearest(fresh, in: &accepted, acceptor: &acceptor, batch: scratch.batch)
      } catch {
        failure = failure ?? error
      }
    }
    if let failure { throw failure }
    results.removeAll(keepingCapacity: true)
    for index in 0..<accepted.count { results.append(accepted.keys[index].candidate) }
    return reads
  }
}

/// One read of a scan: which runs, and which of the rows (by position in the list) lie in them.
private struct ScanPiece {
  var firstRun: Int
  var runCount: Int
  var rows: Range<Int>
}
