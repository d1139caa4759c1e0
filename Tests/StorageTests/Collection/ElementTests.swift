// Every element type with each of its metrics, at dimensions from 1 to 4,096 and with numbers of every size,
// against brute force.

import Core
import Storage
import Testing

@Suite struct ElementTests {
  private static let options = StorageOptions(memtableRows: 64, memtableEntryBytes: 1 << 20)

  @Test(arguments: vectorPairs)
  func answersAreThoseOfBruteForce(_ element: VectorElement, _ metric: Metric) async throws {
    for (round, dimension) in [1, 33, 4096].enumerated() {
      let dimension = dimension.roundedUp(to: element.dimensionStep)
      let seed = UInt64(element.rawValue) << 16 | UInt64(metric.rawValue) << 8 | UInt64(round)
      var random = SplitMix64(seed: seed)
      let folder = TemporaryFolder()
      let schema = CollectionSchema(dimension: dimension, element: element, metric: metric)
      var collection = try await Collection.create(
        folder.path + "/c", schema: schema, options: Self.options, runtime: .system())
      let count = dimension > 1000 ? 12 : 60
      let records = (0..<count).map { PutRecord(id: .number(UInt64($0)), vector: random.anyVector(schema)) }
      // Part of them in segments, the rest in the memtable.
      _ = try await collection.put(Array(records[..<(count / 2)]))
      try await collection.compact()
      _ = try await collection.put(Array(records[(count / 2)...]))
      for reopened in [false, true] {
        if reopened {
          try await collection.close()
          // Read from disk, where codes choose the way.
          var options = Self.options
          options.memoryBytes = 0
          collection = try await Collection.open(folder.path + "/c", options: options, runtime: .system())
        }
        for record in try await collection.get(records.map(\.id)) {
          let record = try #require(record)
          let given = try #require(records[Int(record.id.text) ?? 0].vector)
          // Cosine changes lengths, never directions.
          if metric == .cosine {
            #expect(
              abs(cosine(try #require(record.vector), given) - 1) < 1e-6, "seed \(seed) id \(record.id.text)")
          } else {
            #expect(record.vector == given, "seed \(seed) id \(record.id.text)")
          }
        }
        for _ in 0..<2 {
          let query = random.anyVector(schema)
          let expected = records.map { distance($0.vector ?? query, query, metric) }
          let scale = expected.reduce(1e-30) { max($0, abs($1)) }
          let exact = try await collection.search(SearchQuery(target: .vector(query), k: count, exact: true))
          #expect(exact.count == count)
          for hit in exact {
            let truth = expected[Int(hit.id.text) ?? 0]
            #expect(
              abs(Double(hit.distance) - truth) <= max(scale * 2e-5, metric == .cosine ? 1e-5 : 0),
              "seed \(seed) id \(hit.id.text): \(hit.distance) instead of \(truth)")
          }
          #expect(zip(exact, exact.dropFirst()).allSatisfy { $0.distance <= $1.distance })
          let walked = try await collection.search(SearchQuery(target: .vector(query), k: count, effort: 200))
          #expect(
            Set(walked.map(\.id)).count == walked.count && walked.count >= count * 19 / 20, "seed \(seed)")
        }
      }
      try await collection.close()
      #expect(try await Collection.verify(folder.path + "/c", runtime: .system()).problems == [])
    }
  }

  @Test(arguments: [VectorElement.f16, .bf16])
  func floatsAreRoundedByTheCollection(_ element: VectorElement) async throws {
    let folder = TemporaryFolder()
    let schema = CollectionSchema(dimension: 5, element: element, metric: .l2)
    let collection = try await Collection.create(folder.path + "/c", schema: schema, runtime: .system())
    let given = Vector([0.1, -2.7, 1e-3, 300.3, 0])
    _ = try await collection.put([PutRecord(id: .number(1), vector: given)])
    #expect(try await collection.get([.number(1)])[0]?.vector == given.rounded(to: element))
    let hit = try await collection.search(SearchQuery(target: .vector(given), k: 1))[0]
    #expect(hit.distance == 0)
    try await collection.close()
  }

  private func cosine(_ a: Vector, _ b: Vector) -> Double { 1 - distance(a, b, .cosine) }

  /// As `referenceDistance`, for numbers whose squares do not fit a double's range either.
  private func distance(_ a: Vector, _ b: Vector, _ metric: Metric) -> Double {
    guard metric == .cosine else { return referenceDistance(a, b, metric) }
    func unit(_ vector: Vector) -> [Double] {
      let values = vector.floats.map(Double.init)
      let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
      return values.map { $0 / norm }
    }
    return 1 - zip(unit(a), unit(b)).reduce(0) { $0 + $1.0 * $1.1 }
  }
}

extension SplitMix64 {
  /// A vector of ordinary numbers, or of tiny, huge or very different ones, as the type allows.
  fileprivate mutating func anyVector(_ schema: CollectionSchema) -> Vector {
    guard schema.element.isFloat, below(3) == 0 else { return vector(schema) }
    // Products of two stay finite; f32 subnormals cannot be told apart once squared, which l2 survives.
    let sizes: ClosedRange<Int> =
      switch schema.element {
      case .f16: -24...9
      default: schema.metric == .cosine ? -130...120 : -130...40
      }
    let low = sizes.lowerBound + below(sizes.count)
    let high = min(sizes.upperBound, low + [0, 3, 30][below(3)])
    let values = (0..<schema.dimension).map { _ -> Float in
      let exponent = low + below(high - low + 1)
      let value = Float(sign: below(2) == 0 ? .plus : .minus, exponent: exponent, significand: 1)
      // Not all of them zero, which cosine refuses.
      return value == 0 ? .leastNonzeroMagnitude : value
    }
    return Vector(values).rounded(to: schema.element) ?? vector(schema)
  }
}

extension Int {
  fileprivate func roundedUp(to step: Int) -> Int { (self + step - 1) / step * step }
}
