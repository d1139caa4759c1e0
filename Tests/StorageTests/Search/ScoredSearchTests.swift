// Scored searches against the plain search that they reorder, and filters that read vectors.

import Core
import Storage
import Testing

/// Scores by the size in the payload and the first element of the vector; leaves every seventh size out.
private struct SizeScorer: CandidateScorer {
  let schema: CollectionSchema
  let readsVector: Int?

  static func score(_ payload: Payload, _ vector: Vector?, distance: Float) -> Float {
    guard case .int(let size)? = payload["size"], size % 7 != 0 else { return -.infinity }
    return Float(size) + (vector?.floats[0] ?? 0) / 8 - distance / 16
  }

  func score(
    _ batch: ScoreBatch, scores: UnsafeMutableBufferPointer<Float>
  ) throws(RoostError) {
    for index in 0..<batch.count {
      let payload = try Payload(encoded: batch.payloads[index])
      let vector = readsVector.map {
        Vector(element: schema.fields[$0].element, bytes: Array(batch.vectors[index]))
      }
      scores[index] = SizeScorer.score(payload, vector, distance: batch.distances[index])
    }
  }
}

/// Passes rows whose first element is above zero.
private struct PositiveFirst: CandidateFilter {
  let schema: CollectionSchema
  var preferredBatch: Int { 16 }
  var readsVector: Int? { 0 }

  func evaluate(
    _ batch: CandidateBatch, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    for index in 0..<batch.count {
      let vector = Vector(element: schema.element, bytes: Array(batch.vectors[index]))
      verdicts[index] = vector.floats[0] > 0
    }
  }
}

@Suite struct ScoredSearchTests {
  private func explore(
    _ element: VectorElement, _ metric: Metric, paged: Bool,
    _ check: (SearchWorld) async throws -> Void
  ) async throws {
    let world = try await SearchWorld(
      metric, element, seed: UInt64(metric.rawValue) * 10 + UInt64(element.rawValue) + 700, paged: paged)
    try await check(world)
    for _ in 0..<4 {
      for _ in 0..<5 { try await world.change() }
      try await check(world)
    }
    try await world.collection.close()
  }

  @Test(arguments: [VectorElement.f32, .f16, .u8], [false, true])
  func hitsAreTheBestOfTheNearest(_ element: VectorElement, _ paged: Bool) async throws {
    try await explore(element, .l2, paged: paged) { world in
      let schema = world.model.schema
      let k = 1 + world.random.below(20)
      let candidates = k + world.random.below(60)
      let weight = [Float](arrayLiteral: 0, 0.25, 1)[world.random.below(3)]
      let readsVector = world.random.below(2) == 0 ? nil : 0
      var query = world.query()
      query.target = .point(world.point())
      query.exact = true
      query.includePayload = true
      query.includeVector = true
      query.form = .nearest(k: candidates)
      let call = ScoreCall(module: "size", weight: weight, candidates: candidates)
      let plain = try await world.collection.search(query)
      let expected = plain.map { hit in
        (
          hit: hit,
          score: SizeScorer.score(
            hit.payload!, readsVector == nil ? nil : hit.vector, distance: hit.distance)
        )
      }
      .filter { $0.score > -.infinity }.enumerated()
      .sorted { a, b in
        let ranks = (
          call.rank(score: a.element.score, distance: a.element.hit.distance),
          call.rank(score: b.element.score, distance: b.element.hit.distance)
        )
        return ranks.0 == ranks.1 ? a.offset < b.offset : ranks.0 > ranks.1
      }
      .prefix(k).map(\.element)

      query.form = .nearest(k: k)
      query.score = call
      let code = QueryCode(scorer: SizeScorer(schema: schema, readsVector: readsVector))
      let hits = try await world.collection.search(query, code: code)
      #expect(hits.map(\.id) == expected.map(\.hit.id), "\(world.name)")
      #expect(hits.map(\.score) == expected.map(\.score), "\(world.name)")
      #expect(hits.map(\.distance) == expected.map(\.hit.distance), "\(world.name)")
      // In a batch, beside one without.
      var other = query
      other.score = nil
      let both = try await world.collection.search([other, query], code: [nil, { code }])
      #expect(both[1] == hits, "\(world.name)")

      // Within a radius: those candidates of it that are nearest.
      guard let middle = plain.dropFirst(plain.count / 2).first else { return }
      query.form = .range(radius: middle.distance, limit: k)
      let within = try await world.collection.search(query, code: code)
      #expect(within.allSatisfy { $0.distance <= middle.distance }, "\(world.name)")
      #expect(within.count <= k, "\(world.name)")
    }
  }

  @Test(arguments: [false, true])
  func filtersReadVectors(_ paged: Bool) async throws {
    try await explore(.f32, .l2, paged: paged) { world in
      var query = world.query()
      query.target = .point(world.point())
      query.exact = world.random.below(2) == 0
      query.form = .nearest(k: 500)
      query.includeVector = true
      let code = QueryCode(filters: [PositiveFirst(schema: world.model.schema)])
      let hits = try await world.collection.search(query, code: code)
      let expected = world.model.ranked(query).filter { $0.record.vector!.floats[0] > 0 }.prefix(500)
      #expect(hits.count == expected.count, "\(world.name)")
      #expect(hits.allSatisfy { $0.vector!.floats[0] > 0 }, "\(world.name)")
    }
  }

  @Test func impossibleScoresAreRefused() async throws {
    let world = try await SearchWorld(.l2, .f32, seed: 1)
    var query = SearchQuery(target: .point(world.point()), k: 10)
    func refusal(_ form: SearchForm, _ call: ScoreCall) async -> RoostError? {
      query.form = form
      query.score = call
      do throws(RoostError) {
        _ = try await world.collection.search(query)
        return nil
      } catch { return error }
    }
    for (form, call, place) in [
      (SearchForm.nearest(k: 10), ScoreCall(module: "x", candidates: 9), "search.score.candidates"),
      (.nearest(k: 10), ScoreCall(module: "x", candidates: Limits.kMax + 1), "search.score.candidates"),
      (.nearest(k: 10), ScoreCall(module: "x", weight: -0.1), "search.score.weight"),
      (.nearest(k: 10), ScoreCall(module: "x", weight: .nan), "search.score.weight"),
      (.diverse(k: 5, lambda: 0.5, candidates: nil), ScoreCall(module: "x"), "search.score"),
      (.grouped(field: "color", groups: 2, groupSize: 2), ScoreCall(module: "x"), "search.score"),
      // No scorer at hand.
      (.nearest(k: 10), ScoreCall(module: "x"), "search.score"),
    ] {
      let error = await refusal(form, call)
      #expect(error?.kind == .invalidArgument && error?.place == place, "\(String(describing: error))")
    }
    try await world.collection.close()
  }
}
