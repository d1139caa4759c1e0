// `bench modules`: how long a node takes from its start to the first use of a module, with the cache of compiled
// code and without. A node of its own in this process, on a folder that is removed afterwards.

import ArgumentParser
import Core
import Foundation
import Logging
import Node
import Storage
import Wasm
import Wire

struct ModuleCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "modules",
    abstract: "Start of a node and first use of a module, with and without the cache.",
    discussion: """
      One JSON line for each module and state of the cache: `start_ms` until the node answers (it checks the
      digests of all modules), `first_use_ms` of the first request that needs the module, the medians of all rounds.
      Without files it measures the example guests.

      EXAMPLES
        bench modules
        bench modules .build/guests/minilm.wasm --rounds 9
      """)

  @Argument(help: "Modules, .wasm files; of embedders also the dimension is found out.") var files: [String] =
    []
  @Option(help: "Starts to measure, each.") var rounds = 5
  @Option(help: "Folder for the node's data.") var directory = "."

  func run() async throws {
    guard rounds > 0 else { throw ValidationError("--rounds must be positive") }
    let path = "\(directory)/roost-modules-bench"
    try? FileManager.default.removeItem(atPath: path)
    defer { try? FileManager.default.removeItem(atPath: path) }
    var configuration = NodeConfiguration(dataPath: path)
    configuration.listen = SocketAddress(host: "127.0.0.1", port: 0)
    let engine = try WasmEngine(limits: configuration.wasm)
    for (name, bytes) in try modules() {
      let dimension = try engine.compile(bytes, name: name).dimension
      _ = try await start(configuration) { client in
        try await client.publishModule(name, bytes: bytes, options: CallOptions(deadlineMs: 600_000))
        try await client.createCollection(
          name,
          schema: CollectionSchema(
            dimension: dimension ?? 2,
            embedder: dimension == nil ? nil : EmbedderReference(module: name, sourceField: "text")))
        if dimension == nil {
          try await client.put([PutRecord(id: .number(1), vector: Vector([1, 0] as [Float]))], into: name)
        }
      }
      for hasCache in [true, false] {
        var (starts, uses): ([Double], [Double]) = ([], [])
        for _ in 0..<rounds {
          if !hasCache { try FileManager.default.removeItem(atPath: path + "/modules/cache") }
          let begin = monotonicNanos()
          let ready = try await start(configuration) { client in
            let before = monotonicNanos()
            let query = SearchQuery(
              target: dimension == nil ? .vector(Vector([1, 0] as [Float])) : .text("a text"), k: 1,
              module: dimension == nil ? ModuleCall(module: name) : nil)
            _ = try await client.search(query, in: name, options: CallOptions(deadlineMs: 600_000))
            uses.append((monotonicNanos() - before) / 1e6)
          }
          starts.append((ready - begin) / 1e6)
        }
        print(
          #"{"bench":"modules","module":"\#(name)","bytes":\#(bytes.count),"cache":\#(hasCache),"#
            + #""start_ms":\#(median(starts)),"first_use_ms":\#(median(uses))}"#)
      }
    }
  }

  private func modules() throws -> [(String, [UInt8])] {
    guard files.isEmpty else {
      return try files.map { file in
        guard let data = FileManager.default.contents(atPath: file) else {
          throw RoostError(.notFound, "cannot read the module", at: file)
        }
        return (URL(fileURLWithPath: file).deletingPathExtension().lastPathComponent, [UInt8](data))
      }
    }
    let builder = try ModuleBuilder()
    return try ["size-below", "hashed-ngrams"].map {
      ($0, try builder.build("\(builder.examplesPath)/\($0)"))
    }
  }

  /// Runs `body` against a new node; returns when the node was ready.
  private func start(
    _ configuration: NodeConfiguration, _ body: (Client) async throws -> Void
  ) async throws -> Double {
    let system = try SystemRuntime()
    var logger = Logger(label: "bench")
    logger.logLevel = .error
    let node = try await NodeServer.start(configuration, runtime: system.runtime, logger: logger)
    let client = Client(node.address, runtime: system.runtime)
    try await client.ping()
    let ready = monotonicNanos()
    try await body(client)
    await client.close()
    try await node.stop()
    await system.shutdown()
    return ready
  }

  private func median(_ values: [Double]) -> Double {
    (values.sorted()[values.count / 2] * 100).rounded() / 100
  }
}
