// A collection and its model, driven by a seed through random writes, flushes, merges and reopenings, and
// the random queries that tests put to both.

import Core
import Storage
import Testing

/// A collection and its model, driven by a seed.
final class SearchWorld: ChangingWorld {
  let schema: CollectionSchema
  let name: String
  private let folder = TemporaryFolder()
  let options: StorageOptions
  var random: SplitMix64
  var model: SearchModel
  var collection: Collection
  private let ids: Int

  init(_ metric: Metric, _ element: VectorElement, seed: UInt64, ids: Int = 250, paged: Bool = false)
    async throws
  {
    random = SplitMix64(seed: seed)
    let step = element.dimensionStep
    let dimension = (4 + random.below(20) + step - 1) / step * step
    schema = CollectionSchema(dimension: dimension, element: element, metric: metric)
    name = "\(metric) \(element) seed \(seed)"
    options = StorageOptions(
      memoryBytes: paged ? 1 : 1 << 30, memtableRows: 128, memtableEntryBytes: 1 << 20)
    model = SearchModel(schema)
    collection = try await Collection.create(
      folder.path + "/c", schema: schema, options: options, runtime: .system())
    self.ids = ids
  }

  var collectionPath: String { folder.path + "/c" }

  func id() -> RecordID {
    let number = random.below(ids)
    return number % 3 == 0 ? .key("k\(number)") : .number(UInt64(number))
  }

  func record() -> PutRecord { random.groupedRecord(id(), schema) }

  func change() async throws { try await change(kinds: 8) }

  func livingID() -> RecordID? {
    let ids = model.records.keys.sorted()
    return ids.isEmpty ? nil : ids[random.below(ids.count)]
  }

  func point() -> SearchPoint {
    if random.below(2) == 0, let id = livingID() { return .record(id) }
    return .vector(random.vector(schema))
  }

  func target() -> SearchTarget {
    guard random.below(2) == 0 else { return .point(point()) }
    let isBest = random.below(2) == 0
    let positive = (0..<(isBest ? 0 : 1) + random.below(3)).map { _ in point() }
    let negative = (0..<(positive.isEmpty ? 1 : 0) + random.below(3)).map { _ in point() }
    return .recommend(
      Recommendation(
        positive: positive, negative: negative, strategy: isBest ? .bestScore : .averageVector))
  }

  /// A query without a form, to be compared exactly with the model.
  func query() -> SearchQuery {
    let filter: Filter? =
      switch random.below(4) {
      case 0: .field("size", .range(FilterRange(upper: .exclusive(.int(Int64(random.below(1000)))))))
      case 1: .field("color", .equals(.string(["red", "none"][random.below(2)])))
      default: nil
      }
    return SearchQuery(
      target: target(), exact: true, filter: filter,
      excluded: (0..<random.below(3) * random.below(30)).map { _ in id() })
  }

  func tolerance(_ distance: Double) -> Double { max(2e-4, abs(distance) * 2e-5) }

  /// A form with arguments that are allowed for the target.
  func form(of target: SearchTarget) -> SearchForm {
    switch random.below(4) {
    case 0: return .diverse(k: 1 + random.below(9), lambda: 0.5, candidates: 20)
    case 1:
      return .grouped(
        field: ["g", "m.x"][random.below(2)], groups: 1 + random.below(8), groupSize: 1 + random.below(3))
    case 2:
      if case .recommend(let examples) = target, examples.strategy == .bestScore { fallthrough }
      return .range(radius: Float(random.below(100)) / 20, limit: 1 + random.below(100))
    default: return .nearest(k: 1 + random.below(50))
    }
  }

  /// Every hit is what it says it is, once.
  func checkHits(_ hits: [SearchHit], _ query: SearchQuery, _ ranked: [SearchModel.Ranked]) {
    let allowed = Dictionary(uniqueKeysWithValues: ranked.map { ($0.record.id, $0) })
    #expect(Set(hits.map(\.id)).count == hits.count, "\(name): a record twice in \(query)")
    for hit in hits {
      guard let truth = allowed[hit.id] else {
        Issue.record("\(name): \(hit.id) must not be among the hits of \(query)")
        continue
      }
      #expect(
        abs(Double(hit.distance) - truth.distance) <= tolerance(truth.distance),
        "\(name): distance of \(hit.id) in \(query)")
      #expect(hit.payload == truth.record.payload)
    }
  }

  func checkDistances(_ hits: [SearchHit], _ expected: [Double], _ query: SearchQuery) {
    #expect(hits.count == expected.count, "\(name): \(query)")
    for (hit, best) in zip(hits, expected) {
      #expect(abs(Double(hit.distance) - best) <= tolerance(best), "\(name): \(query)")
    }
  }

  /// A radius with a gap around it, so that rounding cannot move a record across.
  func radius(_ ranked: [SearchModel.Ranked]) -> (radius: Float, count: Int)? {
    guard !ranked.isEmpty else { return (1, 0) }
    let rank = random.below(ranked.count + 1)
    if rank == 0 { return (Float(ranked[0].distance) - 1, 0) }
    if rank == ranked.count { return (Float(ranked[rank - 1].distance) + 1, rank) }
    let (low, high) = (ranked[rank - 1].distance, ranked[rank].distance)
    guard high - low > 4 * tolerance(high) else { return nil }
    return (Float((low + high) / 2), rank)
  }
}
