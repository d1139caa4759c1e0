// `bench filter`: recall and speed of filtered search, by how many rows pass and where they lie.

import ArgumentParser
import CKernels
import Core
import Foundation
import Storage

struct FilterCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "filter", abstract: "Filtered search: recall and queries per second by selectivity.",
    discussion: """
      Every row gets a random number and, for each of some pivots (rows picked at random), its rank by \
      distance to the pivot. Filters are ranges of these: `uncorrelated` of the random number; `correlated` \
      of the ranks nearest to the pivot that is nearest to the query; `anticorrelated` of the ranks farthest \
      from it, so that every row near the query fails. Each query has a filter of its own unless --repeat is \
      given. Prints one JSON line without filter, then one per correlation and selectivity, with the \
      methods that the planner chose. Recall is measured against comparing with every row that passes.

      Examples:
        tools/run bench filter
        tools/run bench filter --base base.u8bin --queries query.u8bin --floats
        tools/run bench filter --effort 96 --selectivity 0.5,0.01
      """)

  @Option(help: "Base vectors: .fbin .u8bin .i8bin .fvecs .bvecs .npy.") var base: String?
  @Option(help: "Query vectors.") var queries: String?
  @Flag(help: "Store integer vectors as f32.") var floats = false
  @Option(help: "l2, ip or cosine.") var metric = "l2"
  @Option(help: "Candidates kept during a walk; without it, the engine's own choice.") var effort: Int?
  @Option(help: "Shares of rows that pass, with commas between them.")
  var selectivity = "1,0.9,0.5,0.2,0.1,0.05,0.02,0.01,0.001,0.0001"
  @Option(help: "Queries for each line.") var queryCount = 300
  @Flag(help: "The same few filters again and again, so that what the engine remembers counts.")
  var `repeat` = false
  @Option(help: "Memory for vectors and graph in bytes; less than the data means reading from disk.")
  var memory: Int?
  @Option(help: "Folder for the index.") var directory = ".cache/bench-filter"
  @Option(help: "Vectors to make when no file is given.") var count = 100_000
  @Option(help: "Their dimension.") var dimension = 128
  @Option(help: "Seed of made data and of filters.") var seed: UInt64 = 1

  func validate() throws {
    guard Metric(name: metric) != nil else { throw ValidationError("metric must be l2, ip or cosine") }
    guard (base == nil) == (queries == nil) else { throw ValidationError("--base and --queries go together") }
    guard !shares.isEmpty, shares.allSatisfy({ $0 > 0 && $0 <= 1 }) else {
      throw ValidationError("--selectivity takes numbers above 0 and up to 1, such as 0.5,0.01")
    }
  }

  var shares: [Double] { selectivity.split(separator: ",").compactMap { Double($0) } }

  func run() async throws {
    let system = try SystemRuntime()
    try await Task(executorPreference: system.rings[0]) {
      try await FilterBench(command: self, runtime: system.runtime).run()
    }.value
    await system.shutdown()
  }
}

private struct FilterBench {
  static let pivotCount = 8
  static let randomRange = 1 << 20

  enum Correlation: String, CaseIterable { case uncorrelated, correlated, anticorrelated }

  let command: FilterCommand
  let runtime: Runtime

  /// What the filters ask about, by row.
  struct Attributes {
    var random: [Int]
    /// Per pivot: its row and the rank of each row.
    var pivots: [(row: Int, ranks: [Int])]
  }

  func run() async throws {
    let data: AnnData
    if let base = command.base, let queries = command.queries {
      data = try await AnnData.load(
        base: base, queries: queries, truth: nil, element: command.floats ? .f32 : nil, files: runtime.files)
    } else {
      data = AnnData.make(
        count: command.count, dimension: command.dimension, queries: command.queryCount, seed: command.seed)
    }
    let metric = Metric(name: command.metric) ?? .l2
    let rows = PlainRows(data.base, metric)
    let attributes = makeAttributes(data, rows)
    let collection = try await open(data, metric, attributes)
    let queries = Array(data.queries.prefix(command.queryCount))
    let distances = queries.map { rows.distances(to: $0) }
    let unfiltered = try await measure(queries.indices.map { (queries[$0], nil) }, collection) { _ in
      (0..<data.base.count).map { _ in true }
    } truth: {
      distances[$0]
    }
    report(unfiltered, nil, 1, unfiltered.qps)
    for correlation in Correlation.allCases {
      for share in command.shares {
        let filters = queries.indices.map { filter($0, distances[$0], correlation, share, attributes) }
        let result = try await measure(
          queries.indices.map { (queries[$0], filters[$0].filter) }, collection
        ) {
          filters[$0].passes
        } truth: {
          distances[$0]
        }
        report(result, correlation, share, unfiltered.qps)
      }
    }
    try await collection.close()
  }

  // MARK: attributes and filters

  private func makeAttributes(_ data: AnnData, _ rows: PlainRows) -> Attributes {
    var random = SplitMix64(seed: command.seed)
    var attributes = Attributes(
      random: data.base.indices.map { _ in Int(random.next() % UInt64(Self.randomRange)) }, pivots: [])
    for _ in 0..<Self.pivotCount {
      let pivot = Int(random.next() % UInt64(data.base.count))
      let distances = rows.distances(to: data.base[pivot])
      var ranks = [Int](repeating: 0, count: data.base.count)
      for (rank, row) in distances.indices.sorted(by: { distances[$0] < distances[$1] }).enumerated() {
        ranks[row] = rank
      }
      attributes.pivots.append((pivot, ranks))
    }
    return attributes
  }

  private func filter(
    _ index: Int, _ distances: [Float], _ correlation: Correlation, _ share: Double, _ attributes: Attributes
  ) -> (filter: Filter, passes: [Bool]) {
    // A little more or less for each query makes filters that nobody has seen before.
    let jitter = command.repeat ? 0 : Double(index % 64) / 64 * 0.01
    func range(_ field: FieldPath, _ values: [Int], _ low: Int, _ high: Int) -> (Filter, [Bool]) {
      (
        .field(
          field,
          .range(FilterRange(lower: .inclusive(.int(Int64(low))), upper: .exclusive(.int(Int64(high)))))),
        values.map { low <= $0 && $0 < high }
      )
    }
    guard correlation != .uncorrelated else {
      let width = Int(Double(Self.randomRange) * share)
      let low = command.repeat ? 0 : Int(Double(Self.randomRange - width) * Double(index % 64) / 64)
      return range("random", attributes.random, low, low + max(width, 1))
    }
    let pivot =
      attributes.pivots.indices.min { a, b in
        distances[attributes.pivots[a].row] < distances[attributes.pivots[b].row]
      } ?? 0
    let ranks = attributes.pivots[pivot].ranks
    let width = max(1, Int(Double(ranks.count) * share * (1 - jitter)))
    let field = FieldPath(stringLiteral: "rank\(pivot)")
    return correlation == .correlated
      ? range(field, ranks, 0, width) : range(field, ranks, ranks.count - width, ranks.count)
  }

  private func open(
    _ data: AnnData, _ metric: Metric, _ attributes: Attributes
  ) async throws -> Collection {
    let path = "\(command.directory)/\(data.name)-\(metric.name)-\(command.seed)"
    try FileManager.default.createDirectory(
      atPath: command.directory, withIntermediateDirectories: true)
    var options = StorageOptions(
      sync: .none, memtableRows: data.base.count, memtableEntryBytes: 1024 * data.base.count,
      memtableEffort: 100, compactsAutomatically: false)
    if try await !Collection.exists(path, files: runtime.files) {
      let schema = CollectionSchema(dimension: data.dimension, element: data.element, metric: metric)
      let collection = try await Collection.create(path, schema: schema, options: options, runtime: runtime)
      for first in stride(from: 0, to: data.base.count, by: 5000) {
        let range = first..<min(first + 5000, data.base.count)
        _ = try await collection.put(
          range.map { row in
            var fields: [String: Value] = ["random": .int(Int64(attributes.random[row]))]
            for (index, pivot) in attributes.pivots.enumerated() {
              fields["rank\(index)"] = .int(Int64(pivot.ranks[row]))
            }
            return PutRecord(id: .number(UInt64(row)), vector: data.base[row], payload: Payload(fields))
          })
      }
      try await collection.compact()
      try await collection.close()
    }
    options.memoryBytes = command.memory ?? 16 << 30
    options.memtableRows = 1024
    return try await Collection.open(path, options: options, runtime: runtime)
  }

  // MARK: measuring

  private struct Measurement {
    var qps = 0.0
    var recall = 0.0
    var methods: [String: Int] = [:]
    var rowsCompared = 0.0
    var nodesExpanded = 0.0
    var pagesRead = 0.0
  }

  private func measure(
    _ queries: [(vector: Vector, filter: Filter?)], _ collection: Collection, passes: (Int) -> [Bool],
    truth: (Int) -> [Float]
  ) async throws -> Measurement {
    var result = Measurement()
    var answers: [[SearchHit]] = []
    let asked = queries.map {
      SearchQuery(
        target: .vector($0.vector), k: 10, effort: command.effort, filter: $0.filter, includePayload: false)
    }
    for query in asked.prefix(20) { _ = try await collection.search(query) }
    let start = DispatchTime.now().uptimeNanoseconds
    for query in asked { answers.append(try await collection.search(query)) }
    result.qps = Double(queries.count) * 1e9 / Double(DispatchTime.now().uptimeNanoseconds - start)
    var found = 0
    var possible = 0
    for (index, hits) in answers.enumerated() {
      let distances = truth(index)
      let passes = passes(index)
      let best = nearest(10, distances, passes)
      possible += best.count
      // Rows at the same distance are as good as each other.
      let bound = best.last ?? 0
      found +=
        hits.filter { hit in
          passes[Int(hit.id.number)] && distances[Int(hit.id.number)] <= bound * (1 + 1e-6)
        }.count
    }
    result.recall = possible == 0 ? 1 : Double(found) / Double(possible)
    for query in asked.prefix(50) {
      let explanation = try await collection.explainedSearch(query).explanation
      for source in explanation.sources {
        result.methods[source.method.name, default: 0] += 1
        result.rowsCompared += Double(source.rowsCompared) / 50
        result.nodesExpanded += Double(source.nodesExpanded) / 50
        result.pagesRead += Double(source.pagesRead) / 50
      }
    }
    return result
  }

  /// The least distances of rows that pass, ascending.
  private func nearest(_ k: Int, _ distances: [Float], _ passes: [Bool]) -> [Float] {
    var best: [Float] = []
    for row in distances.indices where passes[row] && (best.count < k || distances[row] < best[k - 1]) {
      let place = best.firstIndex { $0 > distances[row] } ?? best.count
      best.insert(distances[row], at: place)
      if best.count > k { best.removeLast() }
    }
    return best
  }

  private func report(
    _ result: Measurement, _ correlation: Correlation?, _ share: Double, _ unfilteredRate: Double
  ) {
    JSONLine.print(
      .object([
        "bench": .string("filter"), "correlation": .string(correlation?.rawValue ?? "unfiltered"),
        "selectivity": JSON(share), "recall10": JSON(result.recall), "qps": JSON(result.qps.rounded()),
        "ratio": JSON((result.qps / unfilteredRate * 1000).rounded() / 1000),
        "plan": .string(
          result.methods.sorted { $0.value > $1.value }.map { "\($0.key)×\($0.value)" }.joined(separator: " ")
        ),
        "rows_compared": JSON(result.rowsCompared.rounded()),
        "nodes_expanded": JSON(result.nodesExpanded.rounded()),
        "pages_read": JSON(result.pagesRead.rounded()),
      ]))
  }
}

/// All base vectors in one block, compared with a query one after the other.
private struct PlainRows {
  private let bytes: [UInt8]
  private let rowBytes: Int
  private let dimension: Int
  private let count: Int
  private let kernel: roost_distance_kernel

  init(_ vectors: [Vector], _ metric: Metric) {
    rowBytes = vectors.first?.bytes.count ?? 0
    dimension = vectors.first?.dimension ?? 0
    count = vectors.count
    bytes = vectors.flatMap(\.bytes)
    let element = vectors.first?.element ?? .f32
    kernel = roost_distance_kernel_at(Int32(element.rawValue), Int32(metric.rawValue), roost_cpu_level())
  }

  func distances(to query: Vector) -> [Float] {
    query.bytes.withUnsafeBytes { query in
      bytes.withUnsafeBytes { rows in
        (0..<count).map { kernel.one(query.baseAddress!, rows.baseAddress! + $0 * rowBytes, dimension) }
      }
    }
  }
}
