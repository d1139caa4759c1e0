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
    let rows = scratch.rows.base
    let pointers = scratch.pointers.base
    var count = 0
    for row in source {
      rows[count] = row
      pointers[count] = try vector(row)
      count += 1
      if count == batch {
        distance.batch(query, pointers, count, into: scratch.distances.base)
        try keepNearest(count, in: &accepted, acceptor: &acceptor, scratch: scratch)
        count = 0
      }
    }
    distance.batch(query, pointers, count, into: scratch.distances.base)
    try keepNearest(count, in: &accepted, acceptor: &acceptor, scratch: scratch)
    results.removeAll(keepingCapacity: true)
    for index in 0..<accepted.count { results.append(accepted.keys[index].candidate) }
  }
}

/// Moves the accepted rows of a scored batch that are near enough into `accepted`.
@inline(__always)
func keepNearest<A: RowAcceptor>(
  _ count: Int, in accepted: inout Beam, acceptor: inout A, scratch: GraphScratch
) throws(RoostError) {
  var near = 0
  for index in 0..<count {
    let key = CandidateKey(distance: scratch.distances[index], row: scratch.rows[index])
    guard accepted.admits(key) else { continue }
    if acceptor.acceptsAll {
      accepted.insert(key)
    } else {
      scratch.rows[near] = key.row
      scratch.distances[near] = scratch.distances[index]
      near += 1
    }
  }
  guard near > 0 else { return }
  try acceptor.accept(
    rows: UnsafeBufferPointer(start: scratch.rows.base, count: near),
    verdicts: UnsafeMutableBufferPointer(start: scratch.verdicts.base, count: near))
  for index in 0..<near where scratch.verdicts[index] {
    let key = CandidateKey(distance: scratch.distances[index], row: scratch.rows[index])
    if accepted.admits(key) { accepted.insert(key) }
  }
}
