// Test data: points around random centres, of low intrinsic dimension, and exact neighbours by brute force.

import Core
import Testing

@testable import Storage

/// Every element type with each of its metrics.
let vectorPairs: [(VectorElement, Metric)] = VectorElement.allCases.flatMap { element in
  element.metrics.map { (element, $0) }
}

struct ClusteredVectors {
  let shape: VectorShape
  let rows: [[UInt8]]
  let queries: [[UInt8]]
  let distance: DistanceFunction

  init(shape: VectorShape, count: Int, queryCount: Int = 30, clusters: Int = 12, seed: UInt64) {
    self.shape = shape
    distance = DistanceFunction(shape)
    var random = SplitMix64(seed: seed)
    let intrinsic = min(8, shape.dimension)
    let basis = (0..<intrinsic).map { _ in
      (0..<shape.dimension).map { _ in Float.random(in: -1...1, using: &random) }
    }
    let centres = (0..<clusters).map { _ in
      (0..<intrinsic).map { _ in Float.random(in: -1...1, using: &random) }
    }
    func point() -> [UInt8] {
      let centre = centres[Int.random(in: 0..<clusters, using: &random)]
      var values = [Float](repeating: 0, count: shape.dimension)
      for axis in 0..<intrinsic {
        let position = centre[axis] + 0.4 * Float.random(in: -1...1, using: &random)
        for index in values.indices { values[index] += position * basis[axis][index] }
      }
      return Self.encode(values.map { $0 + 0.05 * Float.random(in: -1...1, using: &random) }, shape)
    }
    rows = (0..<count).map { _ in point() }
    queries = (0..<queryCount).map { _ in point() }
  }

  /// The same shape and queries, and the first row `count` times.
  func repeated(_ count: Int) -> ClusteredVectors {
    ClusteredVectors(shape: shape, rows: [[UInt8]](repeating: rows[0], count: count), queries: queries)
  }

  private init(shape: VectorShape, rows: [[UInt8]], queries: [[UInt8]]) {
    self.shape = shape
    self.rows = rows
    self.queries = queries
    distance = DistanceFunction(shape)
  }

  static func encode(_ values: [Float], _ shape: VectorShape) -> [UInt8] {
    switch shape.element {
    case .u8: return values.map { UInt8(min(max($0 * 32 + 128, 0), 255)) }
    case .i8: return values.map { UInt8(bitPattern: Int8(min(max($0 * 32, -128), 127))) }
    case .binary: return Vector(bits: values.map { $0 > 0 }).bytes
    case .f16, .bf16: return Vector(values).rounded(to: shape.element)?.bytes ?? []
    case .f32:
      let norm = shape.metric == .cosine ? values.reduce(0) { $0 + $1 * $1 }.squareRoot() : 1
      return values.map { $0 / norm }.withUnsafeBytes { Array($0) }
    }
  }

  /// The `k` nearest rows among those that pass, ascending by distance, then row.
  func exact(_ query: [UInt8], k: Int, where passes: (UInt32) -> Bool = { _ in true }) -> [Candidate] {
    let all = rows.indices.filter { passes(UInt32($0)) }.map {
      CandidateKey(distance: distance(query, rows[$0]), row: UInt32($0))
    }
    return all.sorted().prefix(k).map(\.candidate)
  }

  func graph(degree: Int = 16, buildEffort: Int = 40) throws -> GrowingGraph {
    let graph = try GrowingGraph(shape: shape, degree: degree, buildEffort: buildEffort, capacity: rows.count)
    for (row, bytes) in rows.enumerated() { bytes.withUnsafeBytes { graph.vectors.set(row, from: $0) } }
    return graph
  }

  /// The share of the `k` nearest that `search` finds; a row at the distance of the k-th counts, too.
  func recall(
    k: Int, where passes: (UInt32) -> Bool = { _ in true }, _ search: ([UInt8]) throws -> [Candidate]
  )
    rethrows -> Double
  {
    var found = 0
    var wanted = 0
    for query in queries {
      let truth = exact(query, k: k, where: passes)
      let limit = (truth.last?.distance ?? 0) + abs(truth.last?.distance ?? 0) * 1e-5
      let answer = try search(query)
      #expect(Set(answer.map(\.row)).count == answer.count)
      #expect(answer.allSatisfy { passes($0.row) })
      found += min(answer.filter { $0.distance <= limit }.count, truth.count)
      wanted += truth.count
    }
    return wanted == 0 ? 1 : Double(found) / Double(wanted)
  }
}

/// Runs work in place.
struct InlineWorkers: Workers {
  var width: Int { 1 }
  func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T { body() }
}

/// Runs work on the threads of the default executor.
struct TaskWorkers: Workers {
  var width: Int { 4 }
  func run<T: Sendable>(_ body: @escaping @Sendable () -> T) async -> T {
    await Task.detached { body() }.value
  }
}

/// Accepts the rows that a closure lets pass.
struct ClosureAcceptor: RowAcceptor {
  let passes: (UInt32) -> Bool
  func accept(rows: UnsafeBufferPointer<UInt32>, verdicts: UnsafeMutableBufferPointer<Bool>) {
    for index in rows.indices { verdicts[index] = passes(rows[index]) }
  }
}

extension GrowingGraph {
  func find<A: RowAcceptor>(_ query: [UInt8], k: Int, effort: Int, _ acceptor: A = AcceptAll()) throws
    -> [Candidate]
  {
    var acceptor = acceptor
    var results: [Candidate] = []
    try query.withUnsafeBufferPointer { (raw) throws(RoostError) in
      guard let base = UnsafeRawBufferPointer(raw).baseAddress else { return }
      try search(
        query: base, k: k, effort: effort, acceptor: &acceptor, scratch: GraphScratch(), results: &results)
    }
    return results
  }

  func neighbourArray(_ row: Int) -> [UInt32] {
    var list = [UInt32](repeating: 0, count: neighboursMax)
    let count = neighbours(of: UInt32(row), into: &list)
    return Array(list.prefix(count))
  }

  /// Rows that a path from the entry leads to.
  func reachable() -> Set<UInt32> {
    guard let entry else { return [] }
    var seen: Set<UInt32> = [entry]
    var queue = [entry]
    while let next = queue.popLast() {
      for neighbour in neighbourArray(Int(next)) where seen.insert(neighbour).inserted {
        queue.append(neighbour)
      }
    }
    return seen
  }
}
