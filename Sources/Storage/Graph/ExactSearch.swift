// Comparing the query with every row of a range or list: for small sets and narrow filters.

import Core

extension NodeSource {
  /// The `k` nearest accepted rows among `rows`, ascending by distance, then row. Rows are scored in
  /// batches; the acceptor sees only those that are near enough to enter the results.
  func exactSearch<A: RowAcceptor>(
    rows source: some Sequence<UInt32>, query: UnsafeRawPointer, k: Int, acceptor: inout A,
    scratch: GraphScratch, results: inout [Candidate]
  ) throws(RoostError) {
    precondition(k > 0)
    let batch = 64
    scratch.reserveBatch(batch)
    scratch.accepted.reserve(k)
    var accepted = Beam(keys: scratch.accepted.base, capacity: k)
    let memory = scratch.batch
    var count = 0
    for row in source {
      memory.rows[count] = row
      memory.pointers[count] = try vector(row)
      count += 1
      if count == batch {
        distance.batch(query, memory.pointers, count, into: memory.distances)
        try keepNearest(count, in: &accepted, acceptor: &acceptor, batch: memory)
        count = 0
      }
    }
    distance.batch(query, memory.pointers, count, into: memory.distances)
    try keepNearest(count, in: &accepted, acceptor: &acceptor, batch: memory)
    results.removeAll(keepingCapacity: true)
    for index in 0..<accepted.count { results.append(accepted.keys[index].candidate) }
  }
}

/// Moves the accepted rows of a scored batch that are near enough into `accepted`.
@inline(__always)
func keepNearest<A: RowAcceptor>(
  _ count: Int, in accepted: inout Beam, acceptor: inout A, batch: ScratchBatch
) throws(RoostError) {
  let acceptsAll = acceptor.acceptsAll
  var near = 0
  for index in 0..<count {
    let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
    guard accepted.admits(key) else { continue }
    if acceptsAll {
      accepted.insert(key)
    } else {
      batch.rows[near] = key.row
      batch.distances[near] = batch.distances[index]
      near += 1
    }
  }
  guard near > 0 else { return }
  try acceptor.accept(
    rows: UnsafeBufferPointer(start: batch.rows, count: near),
    verdicts: UnsafeMutableBufferPointer(start: batch.verdicts, count: near))
  for index in 0..<near where batch.verdicts[index] {
    let key = CandidateKey(distance: batch.distances[index], row: batch.rows[index])
    if accepted.admits(key) { accepted.insert(key) }
  }
}
