// Vectors that break careless arithmetic: equal, tiny, huge, of all lengths at once, of 1 and of 4,096 dimensions.
// Distances stay numbers in order, and the graph finds what an exact search finds.

import Core
import Foundation
import Storage
import Testing

@Suite struct NumericSafetyTests {
  enum Kind: CaseIterable {
    case constant, fewDistinct, nearlyEqual, nearlyParallel, denormal, tiny, huge, anyLength, lengths, oneHot

    /// Recall@10 at the default effort that is expected. Distances that vanish or round to the same number are
    /// ties, and each row of a tie counts as found.
    var recall: Double { 0.95 }
  }

  private static func vectors(_ kind: Kind, dimension: Int, count: Int, seed: UInt64) -> [[Float]] {
    var random = SplitMix64(seed: seed)
    func direction() -> [Float] {
      while true {
        let values = (0..<dimension).map { _ in random.unitFloat() }
        let length = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        if length > 0.01 { return values.map { $0 / length } }
      }
    }
    let center = direction()
    let few = (0..<5).map { _ in direction() }
    return (0..<count).map { row in
      let own = direction()
      func scaled(_ factor: Double) -> [Float] { own.map { Float(Double($0) * factor) } }
      switch kind {
      case .constant: return center
      case .fewDistinct: return few[row % few.count]
      case .nearlyEqual: return zip(center, own).map { $0 + $1 * 1e-6 }
      case .nearlyParallel:
        let length = Float(row % 7 + 1)
        return zip(center, own).map { ($0 + $1 * 1e-4) * length }
      case .denormal: return scaled(1e-40)
      case .tiny: return scaled(1e-15)
      case .huge: return scaled(Limits.vectorLengthMax * 0.999)
      case .anyLength: return scaled(pow(10, Double(random.unitFloat()) * 17))
      case .lengths: return scaled(pow(10, Double(random.unitFloat()) * 3))
      case .oneHot: return (0..<dimension).map { $0 == row % dimension ? Float(row / dimension + 1) : 0 }
      }
    }
  }

  private static func finding(
    _ rows: [[Float]], _ metric: Metric, memoryBytes: Int, expected: Double
  ) async throws -> String? {
    let dimension = rows[0].count
    let schema = CollectionSchema(dimension: dimension, metric: metric, degree: 32, buildEffort: 50)
    let folder = TemporaryFolder()
    let options = StorageOptions(memoryBytes: memoryBytes, sync: .none, compactsAutomatically: false)
    let collection = try await Collection.create(
      folder.path + "/c", schema: schema, options: options, runtime: .system())
    // A vector that vanishes has no direction for cosine.
    let kept = rows.filter { metric != .cosine || $0.contains { $0 != 0 } }
    for first in [0, kept.count / 2] {
      let range = first..<(first == 0 ? kept.count / 2 : kept.count)
      _ = try await collection.put(
        range.map { PutRecord(id: .number(UInt64($0)), vector: Vector(kept[$0])) })
      if let problem = try await check(collection, kept, expected) { return "in memory: \(problem)" }
      try await collection.flush()
    }
    try await collection.compact()
    if let problem = try await check(collection, kept, expected) { return "merged: \(problem)" }
    try await collection.close()
    return nil
  }

  private static func check(
    _ collection: Collection, _ rows: [[Float]], _ expected: Double
  ) async throws -> String? {
    for exact in [true, false] {
      for row in stride(from: 0, to: rows.count, by: rows.count / 3) {
        let hits = try await collection.search(
          SearchQuery(target: .vector(Vector(rows[row])), k: 20, exact: exact, includePayload: false))
        let distances = hits.map(\.distance)
        guard distances.allSatisfy(\.isFinite), zip(distances, distances.dropFirst()).allSatisfy(<=) else {
          return "the distances are \(distances)"
        }
      }
    }
    let report = try await collection.measureRecall(samples: 15)
    return report.recall < expected ? "recall@10 is \(report.recall)" : nil
  }

  @Test(arguments: Kind.allCases, [Metric.l2, .innerProduct, .cosine])
  func recallLasts(kind: Kind, metric: Metric) async throws {
    // From memory, and by reads with codes.
    for (dimension, memoryBytes) in [(1, 1 << 30), (8, metric == .cosine ? 0 : 1 << 30), (40, 1 << 30)] {
      let rows = Self.vectors(kind, dimension: dimension, count: 240, seed: 1)
      let problem = try await Self.finding(rows, metric, memoryBytes: memoryBytes, expected: kind.recall)
      #expect(problem == nil, "\(kind), \(metric), dimension \(dimension), memory \(memoryBytes)")
    }
  }

  @Test(arguments: [Metric.l2, .innerProduct, .cosine]) func theLargestDimension(metric: Metric) async throws
  {
    for kind in [Kind.lengths, .huge, .fewDistinct] {
      let rows = Self.vectors(kind, dimension: Limits.dimensionMax, count: 60, seed: 2)
      let problem = try await Self.finding(rows, metric, memoryBytes: 1 << 30, expected: 0.95)
      #expect(problem == nil, "\(kind)")
    }
  }

  @Test func thousandsOfDuplicatesAmongOthers() async throws {
    var rows = Self.vectors(.constant, dimension: 16, count: 1000, seed: 3)
    let others = Self.vectors(.lengths, dimension: 16, count: 200, seed: 4)
    for (index, other) in others.enumerated() { rows[index * 5] = other }
    let problem = try await Self.finding(rows, .l2, memoryBytes: 1 << 30, expected: 0.95)
    #expect(problem == nil)
  }

  @Test func whatWouldOverflowIsRefused() throws {
    let long = Vector([Float](repeating: 4e17, count: 9))  // of length 1.2e18
    let short = Vector([Float](repeating: 3e17, count: 9))
    for metric in Metric.allCases {
      let schema = CollectionSchema(dimension: 9, metric: metric)
      try schema.validate(short)
      if metric == .cosine {
        try schema.validate(long)
      } else {
        #expect { try schema.validate(long) } throws: { error in
          (error as? RoostError)?.kind == .invalidArgument && "\(error)".contains("length")
        }
      }
      for bad in [Float.infinity, -.infinity, .nan, -.nan] {
        let vector = Vector([1, 2, bad, 4, 5, 6, 7, 8, 9])
        #expect { try schema.validate(vector) } throws: { "\($0)".contains("element 2") }
      }
    }
  }

  @Test func theIntervalHoldsTheMean() async throws {
    let folder = TemporaryFolder()
    let collection = try await Collection.create(
      folder.path + "/c", schema: CollectionSchema(dimension: 4), runtime: .system())
    #expect(try await collection.measureRecall().queries == 0)
    var random = SplitMix64(seed: 5)
    _ = try await collection.put(
      (0..<300).map { PutRecord(id: .number(UInt64($0)), vector: random.vector(collection.schema)) })
    let report = try await collection.measureRecall(samples: 100)
    #expect(report.queries == 100 && report.low <= report.recall && report.recall <= report.high)
    #expect(report.low > 0.9 && report.advice == nil)
    var low = RecallReport(k: 10, effort: 64)
    (low.queries, low.recall, low.recallWithMoreEffort) = (100, 0.8, 0.99)
    #expect(low.advice?.contains("256") == true)
    low.recallWithMoreEffort = 0.85
    #expect(low.advice?.contains("compact") == true)
    try await collection.close()
  }
}
