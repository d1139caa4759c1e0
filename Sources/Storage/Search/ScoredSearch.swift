// Hits in the order of user code: the nearest candidates, scored, ranked and cut to what was asked for.

import Core

/// A row and what a scorer made of it.
struct Scored {
  var found: Found
  var score: Float
  var rank: Float

  /// The higher rank first; on a tie the nearer.
  static func precedes(_ a: Scored, _ b: Scored) -> Bool {
    a.rank == b.rank ? Found.precedes(a.found, b.found) : a.rank > b.rank
  }
}

extension SearchRun {
  /// Candidates between two points where others on the executor may run.
  private static let scoredPerSlice = 512

  /// The best of the candidates that the query's form finds, at most `form.hitsMax`.
  mutating func scored(
    _ form: SearchForm, _ call: ScoreCall, by scorer: any CandidateScorer
  ) async throws(RoostError) -> [Scored] {
    let count = call.candidates(for: form.hitsMax)
    let candidates =
      if case .range(let radius, _) = form { try await within(radius, limit: count) } else {
        try await best(count)
      }
    await snapshot.warm(candidates)
    var vector: [Float] = []
    if case .vector(let bytes) = target {
      vector = Vector(element: schema.fields[field].element, bytes: Array(bytes.bytes)).floats
    }
    var ranked: [Scored] = []
    ranked.reserveCapacity(candidates.count)
    for start in stride(from: 0, to: candidates.count, by: Self.scoredPerSlice) {
      if start > 0 { try await pause() }
      let slice = candidates[start..<min(start + Self.scoredPerSlice, candidates.count)]
      let scores = try await scores(of: slice, by: scorer, target: vector)
      for (found, score) in zip(slice, scores) where score > -.infinity {
        ranked.append(
          Scored(found: found, score: score, rank: call.rank(score: score, distance: found.distance)))
      }
    }
    ranked.sort(by: Scored.precedes)
    if ranked.count > form.hitsMax { ranked.removeLast(ranked.count - form.hitsMax) }
    return ranked
  }

  private func scores(
    of rows: ArraySlice<Found>, by scorer: any CandidateScorer, target: [Float]
  ) async throws(RoostError) -> [Float] {
    var payloads: [UnsafeRawBufferPointer] = []
    var blocks: [PayloadBlock] = []
    var vectors: [UnsafeRawBufferPointer] = []
    var vectorBytes: IOBuffer?
    payloads.reserveCapacity(rows.count)
    for found in rows {
      let source = snapshot.sources[found.source]
      payloads.append(try await source.readPayload(Int(found.row), keeping: &blocks, again: true))
    }
    if let field = scorer.readsVector {
      let size = schema.fields[field].shape.rowBytes
      let buffer = IOBuffer(count: rows.count * size)
      vectorBytes = buffer
      vectors.reserveCapacity(rows.count)
      for (index, found) in rows.enumerated() {
        let place = UnsafeMutableRawBufferPointer(
          rebasing: buffer.mutableBytes[index * size..<(index + 1) * size])
        if let bytes = try await snapshot.sources[found.source].vectorBytes(Int(found.row), field: field) {
          place.copyBytes(from: bytes)
          vectors.append(UnsafeRawBufferPointer(place))
        } else {
          vectors.append(UnsafeRawBufferPointer(start: nil, count: 0))
        }
      }
    }
    let distances = rows.map(\.distance)
    var scores = [Float](repeating: .nan, count: rows.count)
    try payloads.withUnsafeBufferPointer { (payloads) throws(RoostError) in
      try distances.withUnsafeBufferPointer { (distances) throws(RoostError) in
        try vectors.withUnsafeBufferPointer { (vectors) throws(RoostError) in
          try scores.withUnsafeMutableBufferPointer { (scores) throws(RoostError) in
            try scorer.score(
              ScoreBatch(payloads: payloads, distances: distances, vectors: vectors, target: target),
              scores: scores)
          }
        }
      }
    }
    return withExtendedLifetime((blocks, vectorBytes)) { scores }
  }
}
