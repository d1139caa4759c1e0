// The layouts of a collection: what they take on disk, and that both find what there is, also after merges.

import Core
import Storage
import Testing

@Suite struct LayoutTests {
  @Test(arguments: [Metric.l2, .innerProduct, .cosine])
  func fastAndCompact(metric: Metric) async throws {
    let folder = TemporaryFolder()
    var bytes: [GraphLayout: Int] = [:]
    for layout in GraphLayout.allCases {
      let schema = CollectionSchema(dimension: 48, metric: metric, layout: layout)
      let collection = try await Collection.create(
        "\(folder.path)/\(layout.name)", schema: schema, options: StorageOptions(memtableRows: 200),
        runtime: .system())
      var random = SplitMix64(seed: 31)
      for start in stride(from: 0, to: 900, by: 100) {
        _ = try await collection.put(
          (start..<start + 100).map { random.record(.number(UInt64($0)), schema) })
      }
      _ = try await collection.delete((0..<50).map { .number($0 * 7) })
      try await collection.compact()
      bytes[layout] = Int(await collection.stats().segmentBytes)
      var found = 0
      for _ in 0..<20 {
        let query = random.vector(schema)
        let exact = try await collection.search(SearchQuery(target: .vector(query), k: 10, exact: true))
        let walked = try await collection.search(SearchQuery(target: .vector(query), k: 10, effort: 100))
        #expect(walked.count == 10)
        found += Set(walked.map(\.id)).intersection(exact.map(\.id)).count
      }
      #expect(found >= 190, "\(layout): \(found) of 200")
      try await collection.close()
    }
    // 640 bytes of codes and factors a row, on whole pages.
    #expect((bytes[.fast] ?? 0) - (bytes[.compact] ?? 0) >= 850 * 600)
  }
}
