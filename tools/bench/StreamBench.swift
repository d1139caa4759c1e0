// `bench stream`: what searches cost while the collection changes under them, and whether recall lasts.

import ArgumentParser
import Core
import Foundation
import Storage
import Synchronization

struct StreamCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stream", abstract: "Search latency under flushes, merges and writes; recall after churn.",
    discussion: """
      Loads a third of the data, then replaces all of it twice by the other thirds, in random order, with deletes
      among the writes, while searches go on at a steady rate. Latencies count from the moment at which a search
      was due. One JSON line a phase:

        quiet      searches alone
        flush      while memtables are written out
        compact    while all segments are merged into one
        stream     while everything is replaced twice, flushes and merges in the background
        replaced   recall@10 afterwards
        fresh      recall@10 of a new index of the same records, and how much more that is

      Examples:
        tools/run bench stream
        tools/run bench stream --base base.u8bin --queries query.u8bin --memory 20000000
      """)

  @Option(help: "Base vectors: .fbin .u8bin .i8bin .fvecs .bvecs .npy.") var base: String?
  @Option(help: "Query vectors.") var queries: String?
  @Flag(help: "Store integer vectors as f32.") var floats = false
  @Option(help: "Records in the collection; the base holds three times as many vectors.") var count = 50_000
  @Option(help: "Dimension of made vectors.") var dimension = 128
  @Option(help: "Seed of made vectors and of the order of writes.") var seed: UInt64 = 1
  @Option(help: "Memory of the collection in bytes.") var memory: Int?
  @Option(help: "Candidates kept during a search.") var effort = 64
  @Option(help: "Searches per second; 0 for one after the other.") var rate = 500
  @Option(help: "Seconds of the quiet phase.") var seconds = 5.0
  @Option(help: "Records in one write.") var batch = 100
  @Option(help: "Records per memtable.") var memtableRows = 16_384
  @Option(help: "Folder for the collections; they are removed afterwards.") var directory = ".cache/bench"

  func validate() throws {
    guard (base == nil) == (queries == nil) else { throw ValidationError("--base and --queries go together") }
    guard count > 0, rate >= 0, seconds > 0, (1...Limits.batchRecordsMax).contains(batch), memtableRows > 0
    else { throw ValidationError("sizes and times must be positive") }
  }

  func run() async throws {
    let system = try SystemRuntime()
    try await Task(executorPreference: system.rings[0]) {
      try await StreamBench(command: self, runtime: system.runtime).run()
    }.value
    await system.shutdown()
  }
}

struct StreamBench {
  let command: StreamCommand
  let runtime: Runtime

  private var options: StorageOptions {
    var options = StorageOptions(
      sync: .none, memtableRows: command.memtableRows, compactsAutomatically: false)
    if let memory = command.memory { options.memoryBytes = memory }
    return options
  }

  func run() async throws {
    let data = try await load()
    let schema = CollectionSchema(dimension: data.dimension, element: data.element)
    let path = command.directory + "/stream"
    for name in [path, path + "-fresh"] { try? await Collection.destroy(name, files: runtime.files) }
    try await runtime.files.makeDirectory(command.directory)
    let first = Array(data.base[..<command.count])
    let collection = try await Collection.create(path, schema: schema, options: options, runtime: runtime)
    try await fill(collection, first)
    let probe = Probe(queries: data.queries, command: command, runtime: runtime)
    try await collection.flush()
    let quiet = try await probe.measure("quiet", collection, against: nil) {
      try await runtime.clock.sleep(nanos: UInt64(command.seconds * 1e9))
    }
    // Overwrites in the memtable, so that the flush has dead rows to repair.
    for start in stride(from: 0, to: min(command.memtableRows, command.count) / 2, by: command.batch) {
      try await put(collection, first, start..<min(start + command.batch, command.count))
    }
    _ = try await probe.measure("flush", collection, against: quiet) { try await collection.flush() }
    _ = try await probe.measure("compact", collection, against: quiet) { try await collection.compact() }
    try await collection.close()
    var streaming = options
    streaming.compactsAutomatically = true
    let stream = try await Collection.open(path, options: streaming, runtime: runtime)
    let writes = Counter()
    let current = try await probe.measureReturning("stream", stream, against: quiet) {
      var current = first
      for round in 1...2 { try await replace(stream, &current, data, round, writes) }
      return (current, writes.value)
    }
    let after = try await recall("replaced", stream, data.queries, difference: nil)
    try await stream.close()
    let fresh = try await Collection.create(
      path + "-fresh", schema: schema, options: options, runtime: runtime)
    try await fill(fresh, current)
    try await fresh.compact()
    _ = try await recall("fresh", fresh, data.queries, difference: after)
    try await fresh.close()
    for name in [path, path + "-fresh"] { try await Collection.destroy(name, files: runtime.files) }
  }

  private func load() async throws -> AnnData {
    guard let base = command.base, let queries = command.queries else {
      return AnnData.make(
        count: command.count * 3, dimension: command.dimension, queries: 500, seed: command.seed)
    }
    let data = try await AnnData.load(
      base: base, queries: queries, truth: nil, element: command.floats ? .f32 : nil, files: runtime.files)
    guard data.base.count >= command.count * 3 else {
      throw ValidationError("--count \(command.count) needs \(command.count * 3) base vectors")
    }
    return data
  }

  private func fill(_ collection: Collection, _ vectors: [Vector]) async throws {
    for first in stride(from: 0, to: vectors.count, by: command.batch) {
      try await put(collection, vectors, first..<min(first + command.batch, vectors.count))
    }
  }

  private func put(_ collection: Collection, _ vectors: [Vector], _ range: Range<Int>) async throws {
    _ = try await collection.put(range.map { PutRecord(id: .number(UInt64($0)), vector: vectors[$0]) })
  }

  /// Overwrites every record, in random order; one in eight is deleted before, by the write of another batch.
  private func replace(
    _ collection: Collection, _ current: inout [Vector], _ data: AnnData, _ round: Int, _ writes: Counter
  ) async throws {
    var random = SplitMix64(seed: command.seed &+ UInt64(round))
    var order = Array(0..<command.count)
    order.shuffle(using: &random)
    for first in stride(from: 0, to: order.count, by: command.batch) {
      let ids = order[first..<min(first + command.batch, order.count)]
      let doomed = ids.filter { $0 % 8 == 0 }
      if !doomed.isEmpty { _ = try await collection.delete(doomed.map { .number(UInt64($0)) }) }
      for id in ids { current[id] = data.base[round * command.count + id] }
      _ = try await collection.put(ids.map { PutRecord(id: .number(UInt64($0)), vector: current[$0]) })
      writes.add(ids.count + doomed.count)
    }
  }

  /// Compares the graph with exact search and prints the line.
  private func recall(
    _ phase: String, _ collection: Collection, _ queries: [Vector], difference other: Double?
  ) async throws -> Double {
    var found = 0
    var wanted = 0
    for vector in queries {
      var query = SearchQuery(
        target: .vector(vector), k: 10, effort: command.effort, includePayload: false)
      let near = Set(try await collection.search(query).map(\.id))
      query.exact = true
      let truth = try await collection.search(query)
      found += truth.reduce(0) { $0 + (near.contains($1.id) ? 1 : 0) }
      wanted += truth.count
    }
    let recall = Double(found) / Double(max(wanted, 1))
    let stats = await collection.stats()
    JSONLine.print(
      .object([
        "bench": .string("stream"), "phase": .string(phase), "recall10": JSON(recall),
        "param": JSON(command.effort), "records": JSON(stats.liveRecords), "segments": JSON(stats.segments),
        "dead_rows": JSON(stats.deadRows), "tombstones": JSON(stats.tombstones),
        "ahead_of_replaced": other.map { JSON(recall - $0) },
      ]))
    return recall
  }
}

/// Searches at a steady rate while something else happens.
private struct Probe {
  let queries: [Vector]
  let command: StreamCommand
  let runtime: Runtime

  /// Returns the 99th percentile in microseconds.
  func measure(
    _ phase: String, _ collection: Collection, against quiet: Double?,
    during body: @escaping @Sendable () async throws -> Void
  ) async throws -> Double {
    try await run(phase, collection, against: quiet) {
      try await body()
      return ((), 0)
    }.1
  }

  func measureReturning<T: Sendable>(
    _ phase: String, _ collection: Collection, against quiet: Double?,
    during body: @escaping @Sendable () async throws -> (T, Int)
  ) async throws -> T {
    try await run(phase, collection, against: quiet, during: body).0
  }

  private func run<T: Sendable>(
    _ phase: String, _ collection: Collection, against quiet: Double?,
    during body: @escaping @Sendable () async throws -> (T, Int)
  ) async throws -> (T, Double) {
    let clock = runtime.clock
    let isOver = StopFlag()
    let start = clock.monotonicNanos()
    let before = await collection.stats()
    let searching = Task(executorPreference: runtime.executors[runtime.executors.count - 1]) {
      try await search(collection, isOver)
    }
    let (result, writes) = try await Task(executorPreference: runtime.executors[0]) { try await body() }.value
    isOver.set()
    let micros = try await searching.value.sorted()
    let elapsed = Double(clock.monotonicNanos() - start) / 1e9
    func percentile(_ share: Double) -> Double {
      micros.isEmpty ? 0 : micros[min(micros.count - 1, Int(Double(micros.count) * share))]
    }
    let stats = await collection.stats()
    JSONLine.print(
      .object([
        "bench": .string("stream"), "phase": .string(phase), "seconds": JSON(elapsed),
        "searches": JSON(micros.count), "p50_us": JSON(percentile(0.5)), "p99_us": JSON(percentile(0.99)),
        "p99_ratio": quiet.map { JSON(percentile(0.99) / max($0, 1)) }, "max_us": JSON(micros.last ?? 0),
        "segments": JSON(stats.segments), "flushes": JSON(stats.flushes - before.flushes),
        "merges": JSON(stats.compactions - before.compactions),
        "writes_per_s": writes > 0 ? JSON((Double(writes) / elapsed).rounded()) : nil,
      ]))
    return (result, percentile(0.99))
  }

  private func search(_ collection: Collection, _ isOver: StopFlag) async throws -> [Double] {
    let clock = runtime.clock
    var micros: [Double] = []
    var due = clock.monotonicNanos()
    let step = command.rate > 0 ? 1_000_000_000 / UInt64(command.rate) : 0
    while !isOver.isSet {
      let now = clock.monotonicNanos()
      if step == 0 { due = now }
      if now < due { try await clock.sleep(nanos: due - now) }
      let query = SearchQuery(
        target: .vector(queries[micros.count % queries.count]), k: 10, effort: command.effort,
        includePayload: false)
      // A timer that fires late is not the search's doing, a search that waits for the one before is.
      let began = micros.isEmpty || now >= due ? due : clock.monotonicNanos()
      _ = try await collection.search(query)
      micros.append(Double(clock.monotonicNanos() - min(began, clock.monotonicNanos())) / 1000)
      due += step
    }
    return micros
  }
}

private final class StopFlag: Sendable {
  private let value = Atomic<Bool>(false)
  var isSet: Bool { value.load(ordering: .relaxed) }
  func set() { value.store(true, ordering: .relaxed) }
}

private final class Counter: Sendable {
  private let count = Atomic<Int>(0)
  var value: Int { count.load(ordering: .relaxed) }
  func add(_ amount: Int) { count.add(amount, ordering: .relaxed) }
}
