// What a WebAssembly filter costs a whole query, beside the same filter in the filter language: made-up vectors in
// memory, no attribute indexes, so that both filters look at the payloads of the candidates.

import Core
import Foundation
import Storage
import Wasm

struct WasmQueryBench {
  let count: Int
  let dimension = 64
  let queries = 200
  let rounds = 7

  /// Prints one JSON line for each share of rows that pass.
  func run(_ module: WasmModule) async throws {
    let system = try SystemRuntime()
    let runtime = system.runtime
    let (count, dimension, queries, rounds) = (count, dimension, queries, rounds)
    try await Task(executorPreference: system.rings[0]) {
      let folder = FileManager.default.temporaryDirectory.appendingPathComponent("roost-bench-\(getpid())")
        .path
      defer { try? FileManager.default.removeItem(atPath: folder) }
      let collection = try await Collection.create(
        folder, schema: CollectionSchema(dimension: dimension, indexing: .none),
        options: StorageOptions(sync: .none), runtime: runtime)
      var random = SplitMix64(seed: 1)
      func vector() -> Vector {
        Vector((0..<dimension).map { _ in Float(random.next() >> 40) / Float(1 << 24) })
      }
      for start in stride(from: 0, to: count, by: 1_000) {
        _ = try await collection.put(
          (start..<min(start + 1_000, count)).map { row in
            PutRecord(
              id: .number(UInt64(row)), vector: vector(),
              payload: Payload([
                "name": .string("package-\(row)"), "section": .string("utils"),
                "size": .int(Int64(random.next() % 100_000)),
              ]))
          })
      }
      try await collection.flush()
      let targets = (0..<queries).map { _ in vector() }
      for limit in [100_000, 50_000, 10_000] {
        let parameters = Payload(["field": .string("size"), "max": .int(Int64(limit))])
        let filter = Filter.field("size", .range(FilterRange(upper: .inclusive(.int(Int64(limit))))))
        var best = (native: Double.infinity, wasm: Double.infinity, plain: Double.infinity)
        var answers: (native: [[RecordID]], wasm: [[RecordID]]) = ([], [])
        for _ in 0..<rounds {
          var start = monotonicNanos()
          for target in targets {
            _ = try await collection.search(SearchQuery(target: .vector(target), k: 10))
          }
          best.plain = min(best.plain, monotonicNanos() - start)
          answers = ([], [])
          start = monotonicNanos()
          for target in targets {
            let query = SearchQuery(target: .vector(target), k: 10, filter: filter)
            answers.native.append(try await collection.search(query).map(\.id))
          }
          best.native = min(best.native, monotonicNanos() - start)
          start = monotonicNanos()
          for target in targets {
            let query = SearchQuery(target: .vector(target), k: 10)
            let code = QueryCode(filters: [try module.makeFilter(parameters: parameters)])
            answers.wasm.append(try await collection.search(query, code: code).map(\.id))
          }
          best.wasm = min(best.wasm, monotonicNanos() - start)
        }
        func micros(_ nanos: Double) -> Double { (nanos / Double(queries) / 10).rounded() / 100 }
        let ratio = (best.wasm / best.native * 1_000).rounded() / 1_000
        print(
          """
          {"bench":"wasm","query":"\(module.name)","rows":\(count),"dimension":\(dimension),\
          "passing":\(Double(limit) / 100_000),"plain_us":\(micros(best.plain)),\
          "native_us":\(micros(best.native)),"wasm_us":\(micros(best.wasm)),"wasm_to_native":\(ratio),\
          "same_answers":\(answers.native == answers.wasm)}
          """)
      }
      try await collection.close()
    }.value
    await system.shutdown()
  }
}
