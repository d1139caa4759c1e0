// A batch answers as its queries would one by one.

import Core
import Storage
import Testing

@Suite struct BatchSearchTests {
  @Test(arguments: vectorPairs)
  func batchesAnswerLikeSingleQueries(_ element: VectorElement, _ metric: Metric) async throws {
    for paged in [false, true] {
      let world = try await SearchWorld(metric, element, seed: paged ? 91 : 90, paged: paged)
      for _ in 0..<3 {
        for _ in 0..<8 { try await world.change() }
        var queries: [SearchQuery] = []
        for _ in 0..<1 + world.random.below(12) {
          var query = world.query()
          query.exact = world.random.below(3) > 0
          if world.random.below(3) == 0 { query.form = world.form(of: query.target) }
          query.includeVector = world.random.below(2) == 0
          queries.append(query)
        }
        let together = try await world.collection.search(queries)
        #expect(together.count == queries.count)
        for (index, (query, hits)) in zip(queries, together).enumerated() {
          let alone = try await world.collection.search(query)
          if index == 0 { world.checkHits(hits, query, world.model.ranked(query)) }
          // A flush in between may have moved rows, and so rounded differently or turned ties round.
          if query.exact {
            world.checkDistances(hits, alone.map { Double($0.distance) }, query)
          } else {
            #expect(alone.count == hits.count, "\(world.name): \(query)")
          }
        }
      }
      try await world.collection.close()
    }
  }

  @Test func conditionsOfEachQueryHoldForItAlone() async throws {
    let world = try await SearchWorld(.l2, .f32, seed: 92)
    for _ in 0..<20 { try await world.change() }
    let target = SearchTarget.vector(world.random.vector(world.schema))
    let query = SearchQuery(target: target, k: 20, exact: true)
    let code: [QueryCodeMaker?] = [nil, { QueryCode(filters: [Nothing()]) }, nil]
    let answers = try await world.collection.search([query, query, query], code: code)
    #expect(answers[0].count == 20 && answers[1] == [] && answers[2] == answers[0])
    try await world.collection.close()
  }

  @Test func oneBadQueryFailsTheBatch() async throws {
    let world = try await SearchWorld(.l2, .f32, seed: 93)
    for _ in 0..<5 { try await world.change() }
    let good = SearchQuery(target: .vector(world.random.vector(world.schema)), k: 5)
    for exact in [false, true] {
      let bad = SearchQuery(target: .record(.key("nobody")), k: 5, exact: exact)
      let error = await #expect(throws: RoostError.self) {
        try await world.collection.search([good, good, bad, bad])
      }
      #expect(error?.kind == .notFound)
    }
    #expect(try await world.collection.search([SearchQuery]()) == [])
    let many = [SearchQuery](repeating: good, count: Limits.batchQueriesMax + 1)
    let tooMany = await #expect(throws: RoostError.self) { try await world.collection.search(many) }
    #expect(tooMany?.kind == .limitExceeded)
    try await world.collection.close()
  }
}

/// Lets nothing pass.
private struct Nothing: CandidateFilter {
  var preferredBatch: Int { 8 }

  func evaluate(_ batch: CandidateBatch, verdicts: UnsafeMutableBufferPointer<Bool>) {
    verdicts.update(repeating: false)
  }
}
