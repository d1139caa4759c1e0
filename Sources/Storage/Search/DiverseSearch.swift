// Hits that are near and unlike each other: maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

import Core

extension SearchRun {
  private static let choicesPerSlice = 16

  /// Up to `k` of the `candidates` nearest, in the order of choice. O(k · candidates) distances.
  mutating func diverse(_ k: Int, lambda: Float, candidates: Int) async throws(RoostError) -> [Found] {
    let pool = try await best(candidates)
    if pool.count <= 1 { return pool }
    let (vectors, stride) = try await vectors(of: pool)
    var choice = DiverseChoice(
      pool.map(\.distance), vectors, stride: stride, distance: DistanceFunction(shape),
      lambda: Double(lambda))
    var chosen: [Found] = []
    while chosen.count < min(k, pool.count) {
      chosen.append(pool[choice.next()])
      if chosen.count % Self.choicesPerSlice == 0 { try await pause() }
    }
    return chosen
  }
}

/// The state of a choice among candidates.
private struct DiverseChoice {
  private let relevance: [Double]
  private let vectors: IOBuffer
  private let distance: DistanceFunction
  private let lambda: Double
  private let rows: [UnsafeRawPointer]
  /// Distance to the nearest of those chosen.
  private var toChosen: [Double]
  private var isChosen: [Bool]
  private var distances: [Float]
  private var newest: Int?

  init(_ relevance: [Float], _ vectors: IOBuffer, stride: Int, distance: DistanceFunction, lambda: Double) {
    self.relevance = relevance.map(DiverseChoice.bounded)
    self.vectors = vectors
    self.distance = distance
    self.lambda = lambda
    rows = relevance.indices.map { UnsafeRawPointer(vectors.base + $0 * stride) }
    toChosen = Array(repeating: .infinity, count: relevance.count)
    isChosen = Array(repeating: false, count: relevance.count)
    distances = Array(repeating: 0, count: relevance.count)
  }

  /// Sums of huge elements may be infinite; products with 0 must not become NaN.
  private static func bounded(_ distance: Float) -> Double {
    Double(min(max(distance, -.greatestFiniteMagnitude), .greatestFiniteMagnitude))
  }

  /// The index of the next one. To be called at most as often as there are candidates.
  mutating func next() -> Int {
    let index = newest == nil ? 0 : bestIndex()
    isChosen[index] = true
    newest = index
    return index
  }

  private mutating func bestIndex() -> Int {
    if let newest {
      rows.withUnsafeBufferPointer { rows in
        distances.withUnsafeMutableBufferPointer { distances in
          guard let rows = rows.baseAddress, let into = distances.baseAddress else { return }
          distance.batch(rows[newest], rows, distances.count, into: into)
        }
      }
    }
    var best = -1
    var bestCost = Double.infinity
    for index in rows.indices where !isChosen[index] {
      toChosen[index] = min(toChosen[index], DiverseChoice.bounded(distances[index]))
      let cost = lambda * relevance[index] - (1 - lambda) * toChosen[index]
      if best < 0 || cost < bestCost {
        best = index
        bestCost = cost
      }
    }
    return best
  }
}
