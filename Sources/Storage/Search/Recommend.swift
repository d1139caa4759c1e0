// Search by examples: the average of vectors, and the best score.

import Core

extension VectorField {
  /// The vector that an average-vector recommendation searches near: `2 · mean(positive) − mean(negative)`,
  /// or `mean(positive)` without negatives. Takes vectors as stored. Throws `.invalidArgument` when the
  /// examples cancel out (metric cosine) or overflow.
  func averageTarget(positive: [[UInt8]], negative: [[UInt8]]) throws(RoostError) -> [UInt8] {
    precondition(!positive.isEmpty)
    func mean(_ vectors: [[UInt8]]) -> [Double] {
      var sum = [Double](repeating: 0, count: dimension)
      for bytes in vectors {
        for (index, value) in Vector(element: element, bytes: bytes).floats.enumerated() {
          sum[index] += Double(value)
        }
      }
      return sum.map { $0 / Double(vectors.count) }
    }
    var target = mean(positive)
    if !negative.isEmpty {
      for (index, value) in mean(negative).enumerated() { target[index] = 2 * target[index] - value }
    }
    let vector = Vector(target, rounded: element)
    do throws(RoostError) { try validate(vector) } catch {
      throw RoostError(
        .invalidArgument, "the examples have no usable average: \(error.message)",
        at: "search.target.examples", remedy: "use other examples, or the best-score strategy")
    }
    return storedBytes(vector)
  }
}

extension Vector {
  /// The nearest vector of that element type; f32 when a value is too large for a smaller float.
  init(_ values: [Double], rounded element: VectorElement) {
    switch element {
    case .f32, .f16, .bf16:
      let floats = Vector(values.map { Float($0) })
      self = floats.rounded(to: element) ?? floats
    // The bit that most of the vectors have.
    case .binary: self.init(bits: values.map { $0 > 0.5 })
    case .u8: self.init(values.map { UInt8(min(max($0.rounded(), 0), 255)) })
    case .i8: self.init(values.map { Int8(min(max($0.rounded(), -128), 127)) })
    }
  }
}

/// The distance of a hit of a best-score recommendation (`Recommendation.Strategy.bestScore`).
func bestScoreDistance(positive: Float, negative: Float) -> Float {
  func scaled(_ distance: Float) -> Float {
    if distance == .infinity { return 0 }
    // ½ (1 − d / (1 + |d|)), without cancellation for large d.
    return distance >= 0 ? 0.5 / (1 + distance) : 0.5 * (1 + distance / (distance - 1))
  }
  return positive < negative ? -scaled(positive) : scaled(negative)
}

extension SearchRun {
  private static let firstCount = 64
  private static let growth = 4

  /// The `count` rows of the best score.
  ///
  /// Who is nearer to a positive than to any negative comes first, ordered by the distance to the nearest
  /// positive. So the nearest rows of each positive are enough, as long as `count` such rows are no farther
  /// than the farthest that every positive's search has reached; otherwise the searches go farther. Only
  /// when there are not so many such rows at all must every row be compared with every example.
  mutating func bestScores(
    _ count: Int, positive: [IOBuffer], negative: [IOBuffer], also extra: [any CandidateFilter]
  ) async throws(RoostError) -> [Found] {
    var reach = max(Self.firstCount, count)
    while !positive.isEmpty && !exact && reach < rowTotal / Self.growth {
      var places: [RowPlace: Found] = [:]
      var bound = Float.infinity
      for example in positive {
        let found = try await nearest(reach, to: example, also: extra)
        if found.count == reach, let last = found.last { bound = min(bound, last.distance) }
        for row in found { places[row.place] = row }
      }
      let rows = places.values.sorted(by: Found.precedes)
      let scored = try await score(rows, positive, negative)
      let sure = scored.filter { $0.toPositive < $0.toNegative && $0.toPositive <= bound }
      if sure.count >= count {
        return Array(sure.map(\.found).sorted(by: Found.precedes).prefix(count))
      }
      // Every positive has seen all that there is, so there is nothing else to see.
      if bound == .infinity {
        return Array(scored.map(\.found).sorted(by: Found.precedes).prefix(count))
      }
      reach *= Self.growth
      try await pause()
    }
    return try await bestScoresOfAll(count, positive, negative, extra)
  }

  /// Scores and the distances behind them.
  private typealias Scored = (found: Found, toPositive: Float, toNegative: Float)

  private func score(
    _ rows: [Found], _ positive: [IOBuffer], _ negative: [IOBuffer]
  ) async throws(RoostError) -> [Scored] {
    let distance = DistanceFunction(shape)
    let (vectors, stride) = try await vectors(of: rows)
    func nearest(_ examples: [IOBuffer], _ row: UnsafeRawPointer) -> Float {
      examples.reduce(.infinity) { min($0, distance(UnsafeRawPointer($1.base), row)) }
    }
    return rows.enumerated().map { index, found in
      let row = UnsafeRawPointer(vectors.base + index * stride)
      let (near, far) = (nearest(positive, row), nearest(negative, row))
      var scored = found
      scored.distance = bestScoreDistance(positive: near, negative: far)
      return (scored, near, far)
    }
  }

  private mutating func bestScoresOfAll(
    _ count: Int, _ positive: [IOBuffer], _ negative: [IOBuffer], _ extra: [any CandidateFilter]
  ) async throws(RoostError) -> [Found] {
    guard rowTotal > 0 else { return [] }
    var distances: [RowPlace: (positive: Float, negative: Float)] = [:]
    for example in positive {
      try await pause()
      for row in try await nearest(rowTotal, to: example, also: extra, complete: true) {
        distances[row.place, default: (.infinity, .infinity)].positive.lower(to: row.distance)
      }
    }
    for example in negative {
      try await pause()
      for row in try await nearest(rowTotal, to: example, also: extra, complete: true) {
        distances[row.place, default: (.infinity, .infinity)].negative.lower(to: row.distance)
      }
    }
    let scored = distances.map { place, pair in
      Found(
        distance: bestScoreDistance(positive: pair.positive, negative: pair.negative), source: place.source,
        row: place.row)
    }
    return Array(scored.sorted(by: Found.precedes).prefix(count))
  }
}

extension Float {
  fileprivate mutating func lower(to other: Float) { if other < self { self = other } }
}
