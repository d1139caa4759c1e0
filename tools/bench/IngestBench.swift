// `bench ingest`: durable writes per second over the wire, by batch size and sync policy. A node of its own
// in this process, on a folder that is removed afterwards; the client has a ring of its own.

import ArgumentParser
import Core
import Foundation
import Logging
import Node
import Storage
import Wire

struct IngestCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "ingest", abstract: "Writes per second over the wire, searchable when acknowledged.",
    discussion: """
      EXAMPLES
        bench ingest --batch 100 --sync always
        bench ingest --directory /mnt/flash --in-flight 1,16
      """)

  @Option(help: "Elements of a vector.") var dimension = 128
  @Option(help: "Records per point at most.") var records = 60_000
  @Option(help: "Seconds per point at most.") var seconds = 5.0
  @Option(help: "Records in a request, several by commas.") var batch = "1,10,100,1000"
  @Option(help: "Sync policies: always, none or a time such as 100ms, several by commas.")
  var sync = "always,100ms,none"
  @Option(help: "Requests on their way at a time, several by commas.") var inFlight = "1,8"
  @Option(help: "Folder for the node's data; it should be on the disk that matters.") var directory = "."
  @Option(help: "Seed of the data.") var seed: UInt64 = 1

  func run() async throws {
    guard dimension > 0, records > 0, seconds > 0 else {
      throw ValidationError("sizes and times must be positive")
    }
    let batches = try numbers(batch, "--batch", atMost: Limits.batchRecordsMax)
    let depths = try numbers(inFlight, "--in-flight", atMost: Limits.requestsInFlightPerConnectionMax)
    let data = AnnData.make(count: records, dimension: dimension, queries: 0, seed: seed)
    for policy in sync.split(separator: ",").map(String.init) {
      for size in batches {
        for depth in depths {
          let point = IngestPoint(
            vectors: data.base, batch: size, inFlight: depth, sync: policy, seconds: seconds,
            path: "\(directory)/roost-ingest-bench")
          print(try await point.measure().text)
        }
      }
    }
  }

  private func numbers(_ text: String, _ name: String, atMost limit: Int) throws -> [Int] {
    try text.split(separator: ",").map { part in
      guard let number = Int(part), (1...limit).contains(number) else {
        throw ValidationError("\(name): '\(part)' is not in 1...\(limit)")
      }
      return number
    }
  }
}

/// One operating point, with a fresh node.
struct IngestPoint: Sendable {
  let vectors: [Vector]
  let batch: Int
  let inFlight: Int
  let sync: String
  let seconds: Double
  let path: String

  func measure() async throws -> JSON {
    try? FileManager.default.removeItem(atPath: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    var configuration = NodeConfiguration(dataPath: path)
    configuration.listen = SocketAddress(host: "127.0.0.1", port: 0)
    configuration.sync = try policy()
    let system = try SystemRuntime()
    var logger = Logger(label: "bench")
    logger.logLevel = .error
    let node = try await NodeServer.start(configuration, runtime: system.runtime, logger: logger)
    let outside = try SystemRuntime(cores: 1)
    let client = Client(node.address, runtime: outside.runtime)
    try await client.createCollection("ingest", schema: CollectionSchema(dimension: vectors[0].dimension))
    let clock = outside.runtime.clock
    let start = clock.monotonicNanos()
    let lanes = try await Task(executorPreference: outside.rings[0]) {
      try await withThrowingTaskGroup(of: [UInt64].self) { group in
        for lane in 0..<inFlight { group.addTask { try await write(lane, client, clock, start) } }
        var all: [UInt64] = []
        for try await lane in group { all += lane }
        return all
      }
    }.value
    let elapsed = Double(clock.monotonicNanos() - start) / 1e9
    let count = try await client.count(in: "ingest")
    await client.close()
    try await node.stop()
    await outside.shutdown()
    await system.shutdown()
    let sorted = lanes.sorted()
    func percentile(_ part: Double) -> JSON {
      JSON(Double(sorted[min(sorted.count - 1, Int(Double(sorted.count) * part))]) / 1000)
    }
    return .object([
      "bench": .string("ingest"), "dimension": JSON(vectors[0].dimension), "batch": JSON(batch),
      "sync": .string(sync), "in_flight": JSON(inFlight), "records": JSON(count), "seconds": JSON(elapsed),
      "records_per_s": JSON((Double(count) / elapsed).rounded()), "p50_us": percentile(0.5),
      "p99_us": percentile(0.99),
    ])
  }

  private func policy() throws -> SyncPolicy {
    switch sync {
    case "always": return .always
    case "none": return .none
    default:
      guard sync.hasSuffix("ms"), let milliseconds = Int(sync.dropLast(2)), milliseconds > 0 else {
        throw ValidationError("--sync: '\(sync)' is not always, none or a time such as 100ms")
      }
      return .interval(milliseconds: milliseconds)
    }
  }

  /// Writes every `inFlight`-th batch, one after the other; returns the latencies in nanoseconds.
  private func write(
    _ lane: Int, _ client: Client, _ clock: any Clock, _ start: UInt64
  ) async throws -> [UInt64] {
    var latencies: [UInt64] = []
    var first = lane * batch
    while first < vectors.count {
      let begin = clock.monotonicNanos()
      if Double(begin - start) / 1e9 >= seconds { break }
      let rows = first..<min(first + batch, vectors.count)
      try await client.put(
        rows.map { PutRecord(id: .number(UInt64($0)), vector: vectors[$0]) }, into: "ingest")
      latencies.append(clock.monotonicNanos() - begin)
      first += inFlight * batch
    }
    return latencies
  }
}
