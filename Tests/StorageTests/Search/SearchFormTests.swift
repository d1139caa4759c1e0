// Every form of search against brute force, over random data, metrics, element types, filters and
// interleaved writes, flushes, merges and reopenings.

import Core
import Storage
import Testing

@Suite struct SearchFormTests {
  /// One for each metric and element type, so that together they see many worlds.
  private static func seeds(_ metric: Metric, _ element: VectorElement) -> [UInt64] {
    [UInt64(metric.rawValue) * 10 + UInt64(element.rawValue)]
  }

  private func explore(
    _ metric: Metric, _ element: VectorElement, _ seed: UInt64, paged: Bool = false,
    _ check: (SearchWorld) async throws -> Void
  ) async throws {
    let world = try await SearchWorld(metric, element, seed: seed, paged: paged)
    try await check(world)  // Empty.
    for _ in 0..<5 {
      for _ in 0..<5 { try await world.change() }
      try await check(world)
    }
    try await world.collection.close()
  }

  @Test(arguments: vectorPairs)
  func nearestWithExamplesAndExclusions(_ element: VectorElement, _ metric: Metric) async throws {
    for seed in Self.seeds(metric, element) {
      try await explore(metric, element, seed) { world in
        var query = world.query()
        let k = 1 + world.random.below(80)
        query.form = .nearest(k: k)
        let ranked = world.model.ranked(query)
        let hits = try await world.collection.search(query)
        world.checkHits(hits, query, ranked)
        world.checkDistances(hits, ranked.prefix(k).map(\.distance), query)
      }
    }
  }

  @Test(arguments: vectorPairs)
  func rangeFindsAllWithinTheRadius(_ element: VectorElement, _ metric: Metric) async throws {
    for seed in Self.seeds(metric, element) {
      var found = 0
      var possible = 0
      try await explore(metric, element, seed + 10, paged: seed % 2 == 0) { world in
        var query = world.query()
        query.target = .point(world.point())
        let ranked = world.model.ranked(query)
        guard let (radius, count) = world.radius(ranked) else { return }
        let limit = world.random.below(3) == 0 ? 1 + world.random.below(200) : Limits.kMax
        query.form = .range(radius: radius, limit: limit)
        let hits = try await world.collection.search(query)
        world.checkHits(hits, query, ranked)
        world.checkDistances(hits, ranked.prefix(min(count, limit)).map(\.distance), query)
        // By the graph, with as little effort as can be asked for.
        query.exact = false
        query.effort = 1
        let walked = try await world.collection.search(query)
        world.checkHits(walked, query, ranked)
        #expect(walked.allSatisfy { $0.distance <= radius })
        found += walked.count
        possible += min(count, limit)
      }
      #expect(Double(found) >= 0.97 * Double(possible), "\(metric) \(element) seed \(seed + 10)")
    }
  }

  @Test(arguments: vectorPairs)
  func diverseChoosesTheLeastRedundant(_ element: VectorElement, _ metric: Metric) async throws {
    for seed in Self.seeds(metric, element) {
      try await explore(metric, element, seed + 20) { world in
        var query = world.query()
        let lambda = Float(world.random.below(5)) / 4
        let candidates = world.random.below(2) == 0 ? Limits.diverseCandidatesMax : 30
        let k = 1 + world.random.below(6)
        query.form = .diverse(k: k, lambda: lambda, candidates: candidates)
        let ranked = world.model.ranked(query)
        let hits = try await world.collection.search(query)
        world.checkHits(hits, query, ranked)
        #expect(hits.count == min(k, candidates, ranked.count), "\(world.name): \(query)")
        // Records at the same distance may change places when a flush or merge moves them.
        if element.isFloat {
          let again = try await world.collection.search(query)
          #expect(again.map(\.id) == hits.map(\.id), "\(world.name): not deterministic")
        }
        // Greedy: no other candidate would have cost less at any step.
        guard candidates >= ranked.count, let first = hits.first else { return }
        let records = world.model.records
        func gap(_ a: PutRecord, _ b: PutRecord) -> Double {
          referenceDistance(a.vector!, b.vector!, world.schema.metric)
        }
        #expect(abs(Double(first.distance) - ranked[0].distance) <= world.tolerance(ranked[0].distance))
        for step in 1..<max(1, hits.count) {
          let chosen = hits[..<step].map { records[$0.id]! }
          let taken = Set(chosen.map(\.id))
          func cost(_ item: SearchModel.Ranked) -> Double {
            let nearest = chosen.map { gap($0, item.record) }.min()!
            return Double(lambda) * item.distance - Double(1 - lambda) * nearest
          }
          let best = ranked.filter { !taken.contains($0.record.id) }.map(cost).min()!
          let actual = cost(ranked.first { $0.record.id == hits[step].id }!)
          #expect(actual <= best + 2 * world.tolerance(best), "\(world.name): step \(step) of \(query)")
        }
      }
    }
  }

  @Test(arguments: vectorPairs)
  func groupsHoldTheNearestOfEachValue(_ element: VectorElement, _ metric: Metric) async throws {
    for seed in Self.seeds(metric, element) {
      try await explore(metric, element, seed + 30) { world in
        var query = world.query()
        let field = ["g", "m.x", "missing"][world.random.below(3)]
        let (groups, size) = (1 + world.random.below(30), 1 + world.random.below(6))
        query.form = .grouped(field: field, groups: groups, groupSize: size)
        let ranked = world.model.ranked(query)
        var expected: [(key: Value, distances: [Double])] = []
        for item in ranked {
          guard let key = SearchModel.group(item.record, field) else { continue }
          if let index = expected.firstIndex(where: { $0.key == key }) {
            if expected[index].distances.count < size { expected[index].distances.append(item.distance) }
          } else {
            expected.append((key, [item.distance]))
          }
        }
        let hits = try await world.collection.search(query)
        world.checkHits(hits, query, ranked)
        var found: [(key: Value, hits: [SearchHit])] = []
        for hit in hits {
          guard let key = hit.group else {
            Issue.record("\(world.name): a hit without a group in \(query)")
            continue
          }
          #expect(world.model.records[hit.id].flatMap { SearchModel.group($0, field) } == key)
          if found.last?.key != key { found.append((key, [])) }
          found[found.count - 1].hits.append(hit)
        }
        #expect(found.count == min(groups, expected.count), "\(world.name): \(query)")
        for (index, group) in found.enumerated() {
          #expect(found.filter { $0.key == group.key }.count == 1, "\(world.name): a group in two places")
          // Groups at the same distance may stand in either order.
          let truth = expected.first { $0.key == group.key }?.distances ?? []
          world.checkDistances(group.hits, truth, query)
          let best = expected[index].distances[0]
          let nearest = Double(group.hits[0].distance)
          #expect(abs(nearest - best) <= world.tolerance(best), "\(world.name): \(query)")
        }
      }
    }
  }

  /// The graph finds what brute force finds, in every form, with filters that let little or much pass.
  @Test(arguments: [false, true]) func theGraphIsCloseToBruteForce(_ paged: Bool) async throws {
    let world = try await SearchWorld(.l2, .f32, seed: 77, ids: 2000, paged: paged)
    for _ in 0..<60 { try await world.change() }
    try await world.collection.compact()
    var found = 0
    var possible = 0
    for round in 0..<30 {
      var query = world.query()
      if case .recommend(let examples) = query.target, examples.positive.isEmpty { continue }
      switch world.random.below(3) {
      case 0: query.form = .nearest(k: 20)
      case 1: query.form = .grouped(field: "g", groups: 8, groupSize: 2)
      default: query.form = .diverse(k: 10, lambda: 1, candidates: 40)
      }
      let exact = try await world.collection.search(query)
      query.exact = false
      let walked = try await world.collection.search(query)
      if round % 6 == 0 { world.checkHits(walked, query, world.model.ranked(query)) }
      found += Set(walked.map(\.id)).intersection(exact.map(\.id)).count
      possible += exact.count
    }
    #expect(Double(found) >= 0.95 * Double(possible), "\(found) of \(possible)")
    try await world.collection.close()
  }

  @Test func refusalsNameTheField() async throws {
    let world = try await SearchWorld(.cosine, .f32, seed: 5)
    try await world.change()
    let good = SearchTarget.vector(world.random.vector(world.schema))
    func place(_ target: SearchTarget, _ form: SearchForm, excluded: [RecordID] = []) async -> String? {
      do throws(RoostError) {
        _ = try await world.collection.search(SearchQuery(target: target, form: form, excluded: excluded))
        return nil
      } catch { return error.place }
    }
    let k = SearchForm.nearest(k: 1)
    #expect(await place(good, .nearest(k: 0)) == "search.k")
    #expect(await place(good, .range(radius: .nan, limit: 1)) == "search.radius")
    #expect(await place(good, .range(radius: 1, limit: 0)) == "search.limit")
    #expect(await place(good, .range(radius: 1, limit: Limits.kMax + 1)) == "search.limit")
    #expect(await place(good, .diverse(k: 1, lambda: 1.5, candidates: nil)) == "search.lambda")
    #expect(await place(good, .diverse(k: 1, lambda: .nan, candidates: nil)) == "search.lambda")
    #expect(await place(good, .diverse(k: 9, lambda: 1, candidates: 8)) == "search.candidates")
    #expect(await place(good, .diverse(k: 1, lambda: 1, candidates: 2001)) == "search.candidates")
    #expect(await place(good, .grouped(field: "", groups: 1, groupSize: 1)) == "search.groupBy")
    #expect(await place(good, .grouped(field: "a", groups: 0, groupSize: 1)) == "search.groups")
    #expect(await place(good, .grouped(field: "a", groups: 101, groupSize: 100)) == "search.groupSize")
    #expect(await place(good, k, excluded: [.key("")]) == "id")
    #expect(
      await place(good, k, excluded: Array(repeating: .number(1), count: Limits.excludedMax + 1))
        == "search.excluded")
    func recommend(_ positive: [SearchPoint], _ negative: [SearchPoint], best: Bool = false) -> SearchTarget {
      .recommend(
        Recommendation(
          positive: positive, negative: negative, strategy: best ? .bestScore : .averageVector))
    }
    let vector = SearchPoint.vector(world.random.vector(world.schema))
    #expect(await place(recommend([], []), k) == "search.target.examples")
    #expect(await place(recommend([], [vector]), k) == "search.target.positive")
    #expect(await place(recommend([vector], [.record(.key("nobody"))]), k) == "search.target.negative[0]")
    #expect(await place(recommend([vector], [], best: true), .range(radius: 1, limit: 1)) == "search.radius")
    let opposite = Vector(Vector.negated(vector, world.schema))
    // 2·v − 2·v: the examples of opposite vectors cancel out.
    #expect(await place(recommend([vector, .vector(opposite)], []), k) == "search.target.examples")
    #expect(await place(good, k) == nil)
    try await world.collection.close()
  }
}

extension Vector {
  fileprivate static func negated(_ point: SearchPoint, _ schema: CollectionSchema) -> [Float] {
    guard case .vector(let vector) = point else { return [] }
    return vector.floats.map { -$0 }
  }
}
