// `bench get`: point reads over loopback, one connection, by how many requests are on their way at a time.
// A node of its own in this process, on a folder that is removed afterwards; the client has a ring of its own.

import ArgumentParser
import Core
import Foundation
import Logging
import Node
import Storage
import Wire

struct GetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Point reads over loopback: reads per second, latency.",
    discussion: """
      EXAMPLES
        bench get
        bench get --in-flight 1,256 --dimension 384
      """)

  @Option(help: "Records in the collection.") var records = 100_000
  @Option(help: "Elements of a vector.") var dimension = 128
  @Option(help: "Seconds per point.") var seconds = 2.0
  @Option(help: "Requests on their way at a time, several by commas.") var inFlight = "1,16,64,256"
  @Flag(help: "Leave the vectors out of the answers.") var withoutVectors = false
  @Option(help: "Folder for the node's data.") var directory = "."
  @Option(help: "Seed of the data.") var seed: UInt64 = 1

  func run() async throws {
    let depths = inFlight.split(separator: ",").map { Int($0) ?? 0 }
    guard records > 0, seconds > 0, !depths.isEmpty,
      depths.allSatisfy({ (1...Limits.requestsInFlightPerConnectionMax).contains($0) })
    else {
      throw ValidationError(
        "records and seconds must be positive, --in-flight in 1...\(Limits.requestsInFlightPerConnectionMax)")
    }
    let path = "\(directory)/roost-get-bench"
    try? FileManager.default.removeItem(atPath: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    var configuration = NodeConfiguration(dataPath: path)
    configuration.listen = SocketAddress(host: "127.0.0.1", port: 0)
    configuration.sync = .none
    let system = try SystemRuntime()
    var logger = Logger(label: "bench")
    logger.logLevel = .error
    let node = try await NodeServer.start(configuration, runtime: system.runtime, logger: logger)
    let outside = try SystemRuntime(cores: 1)
    let client = Client(node.address, runtime: outside.runtime)
    try await fill(client)
    for depth in depths {
      let line = try await Task(executorPreference: outside.rings[0]) {
        try await measure(client, outside.runtime.clock, inFlight: depth)
      }.value
      print(line.text)
    }
    await client.close()
    try await node.stop()
    await outside.shutdown()
    await system.shutdown()
  }

  private func fill(_ client: Client) async throws {
    let data = AnnData.make(count: records, dimension: dimension, queries: 0, seed: seed)
    try await client.createCollection("get", schema: CollectionSchema(dimension: dimension))
    for first in stride(from: 0, to: records, by: 1000) {
      let rows = first..<min(first + 1000, records)
      try await client.put(
        rows.map { PutRecord(id: .number(UInt64($0)), vector: data.base[$0]) }, into: "get")
    }
    try await client.flush("get")
  }

  private func measure(_ client: Client, _ clock: any Clock, inFlight: Int) async throws -> JSON {
    let start = clock.monotonicNanos()
    let end = start + UInt64(seconds * 1e9)
    let nanos = try await withThrowingTaskGroup(of: [UInt64].self) { group in
      for lane in 0..<inFlight {
        group.addTask {
          var random = SplitMix64(seed: seed &+ UInt64(lane))
          var nanos: [UInt64] = []
          var began = clock.monotonicNanos()
          while began < end {
            let id = RecordID.number(random.next() % UInt64(records))
            let found = try await client.get([id], from: "get", includeVector: !withoutVectors)
            guard found.first.flatMap({ $0 })?.id == id else {
              throw RoostError(.internalFailure, "the node answered with another record", at: "bench get")
            }
            let now = clock.monotonicNanos()
            nanos.append(now - began)
            began = now
          }
          return nanos
        }
      }
      return try await group.reduce(into: [UInt64]()) { $0 += $1 }
    }.sorted()
    let elapsed = Double(clock.monotonicNanos() - start) / 1e9
    func percentile(_ part: Double) -> JSON {
      JSON(Double(nanos[min(nanos.count - 1, Int(Double(nanos.count) * part))]) / 1000)
    }
    return .object([
      "bench": .string("get"), "dimension": JSON(dimension), "with_vectors": .bool(!withoutVectors),
      "in_flight": JSON(inFlight), "gets_per_s": JSON((Double(nanos.count) / elapsed).rounded()),
      "p50_us": percentile(0.5), "p99_us": percentile(0.99),
    ])
  }
}
