// The collection that `bench ann` searches, and the two ways to search it.

import Core
import Foundation
import Logging
import Node
import Storage
import Wire

struct AnnAnswer: Sendable {
  var ids: [UInt64]
  var pagesRead: Int
}

/// Where a query goes.
protocol AnnTarget: Sendable {
  /// Where those who ask run.
  var executors: [any TaskExecutor] { get }
  func search(_ vector: Vector, effort: Int) async throws -> AnnAnswer
  /// Pages kept in memory, if this target can see them.
  func pageCache() async -> PageCacheStats
  func heapBytes() async -> Int
  /// Many queries in one call.
  func search(_ vectors: [Vector], effort: Int, exact: Bool) async throws -> [[UInt64]]
  func stop() async throws
}

extension AnnTarget {
  func pageCache() async -> PageCacheStats { PageCacheStats() }
  func heapBytes() async -> Int { 0 }
  func queries(_ vectors: [Vector], effort: Int, exact: Bool) -> [SearchQuery] {
    vectors.map {
      SearchQuery(target: .vector($0), k: 10, effort: effort, exact: exact, includePayload: false)
    }
  }
}

/// Straight into the engine.
struct LocalTarget: AnnTarget {
  let collection: Collection
  let executors: [any TaskExecutor]

  func search(_ vector: Vector, effort: Int) async throws -> AnnAnswer {
    let outcome = try await collection.explainedSearch(
      SearchQuery(target: .vector(vector), k: 10, effort: effort, includePayload: false))
    return AnnAnswer(ids: outcome.hits.map(\.id.number), pagesRead: outcome.pagesRead)
  }

  func pageCache() async -> PageCacheStats { await collection.stats().pageCache }
  func heapBytes() async -> Int { await collection.stats().heapBytes }
  func search(_ vectors: [Vector], effort: Int, exact: Bool) async throws -> [[UInt64]] {
    try await collection.search(queries(vectors, effort: effort, exact: exact)).map { $0.map(\.id.number) }
  }

  func stop() async throws { try await collection.close() }
}

/// Through a node in this process, over loopback; the client has a ring of its own.
struct WireTarget: AnnTarget {
  let node: NodeServer
  let client: Client
  let clientSystem: SystemRuntime
  /// Those who ask run where the client does, as a program of its own would.
  var executors: [any TaskExecutor] { clientSystem.runtime.executors }

  static func start(_ index: AnnIndex, _ runtime: Runtime) async throws -> WireTarget {
    try await index.collection.close()
    var configuration = NodeConfiguration(dataPath: index.dataDirectory)
    configuration.listen = SocketAddress(host: "127.0.0.1", port: 0)
    configuration.memoryBytes = index.memoryBytes
    var logger = Logger(label: "bench")
    logger.logLevel = .error
    let node = try await NodeServer.start(configuration, runtime: runtime, logger: logger)
    let clientSystem = try SystemRuntime(cores: 1)
    return WireTarget(
      node: node, client: Client(node.address, runtime: clientSystem.runtime), clientSystem: clientSystem)
  }

  func search(_ vector: Vector, effort: Int) async throws -> AnnAnswer {
    let hits = try await client.search(
      SearchQuery(target: .vector(vector), k: 10, effort: effort, includePayload: false),
      in: AnnIndex.collectionName)
    return AnnAnswer(ids: hits.map(\.id.number), pagesRead: 0)
  }

  func search(_ vectors: [Vector], effort: Int, exact: Bool) async throws -> [[UInt64]] {
    try await client.search(queries(vectors, effort: effort, exact: exact), in: AnnIndex.collectionName).hits
      .map { $0.map(\.id.number) }
  }

  func stop() async throws {
    await client.close()
    try await node.stop()
    await clientSystem.shutdown()
  }
}

extension RecordID {
  /// The number of a record whose id is one; the bench stores no others.
  var number: UInt64 {
    guard case .number(let number) = self else { preconditionFailure("the bench stores numbers only") }
    return number
  }
}

struct AnnIndex {
  static let collectionName = "bench"

  let collection: Collection
  /// The data folder of a node, so that one can be started on it.
  let dataDirectory: String
  let memoryBytes: Int
  let dataName: String
  let buildSeconds: Double

  /// Opens the index of this data and these settings, or builds it.
  static func prepare(_ data: AnnData, _ command: AnnCommand, _ runtime: Runtime) async throws -> AnnIndex {
    let metric = command.metric.flatMap { Metric(name: $0) } ?? data.element.metrics[0]
    let schema = CollectionSchema(
      dimension: data.dimension, element: data.element, metric: metric, degree: command.degree,
      buildEffort: command.buildEffort, layout: GraphLayout(name: command.layout) ?? .fast)
    let directory =
      "\(command.directory)/\(data.name)-\(metric.name)-\(command.degree)-\(command.buildEffort)-\(command.layout)"
    let path = directory + "/collections/" + collectionName
    var options = StorageOptions(
      sync: .none, memtableRows: max(data.base.count, 1), memtableEntryBytes: 256 * max(data.base.count, 1),
      compactsAutomatically: false)
    options.memtableEffort = command.buildEffort
    if command.rebuild, FileManager.default.fileExists(atPath: directory) {
      try FileManager.default.removeItem(atPath: directory)
    }
    var buildSeconds = 0.0
    if try await !Collection.exists(path, files: runtime.files) {
      try await layOut(directory, runtime)
      buildSeconds = try await build(data, path, schema, options, runtime)
    }
    options.memoryBytes = command.memory ?? 16 << 30
    options.memtableRows = 1024
    let collection = try await Collection.open(path, options: options, runtime: runtime)
    return AnnIndex(
      collection: collection, dataDirectory: directory, memoryBytes: options.memoryBytes, dataName: data.name,
      buildSeconds: buildSeconds)
  }

  /// Prints the line about the index. Called when the base vectors are gone, so that the resident set is
  /// what the engine needs.
  func describe() async {
    let stats = await collection.stats()
    JSONLine.print(
      .object([
        "data": .string(dataName), "count": JSON(stats.liveRecords),
        "dimension": JSON(collection.schema.dimension), "build_s": JSON(buildSeconds),
        "disk_bytes": JSON(stats.segmentBytes + stats.walBytes), "rss_bytes": JSON(residentBytes()),
        "heap_bytes": JSON(stats.heapBytes), "resident": .bool(stats.isResident),
      ]))
  }

  /// A node makes the folder its own by starting in it.
  private static func layOut(_ directory: String, _ runtime: Runtime) async throws {
    var configuration = NodeConfiguration(dataPath: directory)
    configuration.listen = SocketAddress(host: "127.0.0.1", port: 0)
    var logger = Logger(label: "bench")
    logger.logLevel = .error
    try await NodeServer.start(configuration, runtime: runtime, logger: logger).stop()
  }

  private static func build(
    _ data: AnnData, _ path: String, _ schema: CollectionSchema, _ options: StorageOptions, _ runtime: Runtime
  ) async throws -> Double {
    let start = DispatchTime.now().uptimeNanoseconds
    let collection = try await Collection.create(path, schema: schema, options: options, runtime: runtime)
    for first in stride(from: 0, to: data.base.count, by: Limits.batchRecordsMax) {
      let range = first..<min(first + Limits.batchRecordsMax, data.base.count)
      _ = try await collection.put(range.map { PutRecord(id: .number(UInt64($0)), vector: data.base[$0]) })
    }
    try await collection.compact()
    try await collection.close()
    return Double(DispatchTime.now().uptimeNanoseconds - start) / 1e9
  }

  /// The ten nearest of each query by comparing with every vector.
  func exactNeighbours(_ queries: [Vector]) async throws -> [[UInt64]] {
    var truth: [[UInt64]] = []
    for query in queries {
      let hits = try await collection.search(
        SearchQuery(target: .vector(query), k: 10, exact: true, includePayload: false))
      truth.append(hits.map(\.id.number))
    }
    return truth
  }
}

/// A result, on a line of its own.
enum JSONLine {
  static func print(_ object: JSON) { FileHandle.standardOutput.write(Data((object.text + "\n").utf8)) }
}

/// The resident set of this process in bytes.
func residentBytes() -> Int {
  guard let text = try? String(contentsOfFile: "/proc/self/statm", encoding: .utf8),
    let pages = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
  else { return 0 }
  return pages * Int(sysconf(Int32(_SC_PAGESIZE)))
}

/// Processor time of all threads of this process so far. On a busy machine it says more than the clock.
func processNanos() -> UInt64 {
  var time = timespec()
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
  return UInt64(time.tv_sec) * 1_000_000_000 + UInt64(time.tv_nsec)
}
