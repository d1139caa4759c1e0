// What code inside the query costs: a filter per candidate and per query, an embedder per text. The guests
// are built from `tools/guests` on the spot.

import ArgumentParser
import Core
import Glibc
import Wasm

struct WasmCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "wasm",
    abstract: "Filters and scorers per candidate, filtered queries, and embedders per text, in WebAssembly.",
    discussion: """
      One JSON line per filter and batch size: `ns_per_candidate`; `empty` is a guest that looks at nothing, \
      so it shows the cost of the way in and out, and `native` is the same predicate in the filter language. \
      One line for what a query pays once: `setup_us`. The same for a scorer. Then whole queries with a filter in \
      WebAssembly and with the same one in the filter language: `wasm_to_native`, for several shares of rows that \
      pass. One line for the embedder: `texts_per_second`.
      """)

  @Option(help: "Milliseconds for each measurement.")
  var milliseconds = 200

  @Option(help: "Batch sizes to measure, separated by commas.")
  var batches = "16,64,256"

  @Option(help: "Rows of the collection that is queried; 0 leaves the queries out.")
  var rows = 20_000

  @Option(help: "A file with one text a line to embed; made-up descriptions when left out.")
  var texts: String?

  func run() async throws {
    let sizes = batches.split(separator: ",").compactMap { Int($0) }
    guard !sizes.isEmpty, sizes.allSatisfy({ (1...65_536).contains($0) }) else {
      throw ValidationError("batches must be numbers in 1...65536")
    }
    let engine = try WasmEngine()
    let builder = try ModuleBuilder()
    let guests = builder.examplesPath
    let candidates = CandidateBatch(payloads: (0..<4_096).map(samplePayload))

    let empty = try engine.compile(WatText.assemble(emptyFilter), name: "empty")
    try measureFilter("empty", candidates, sizes) { () throws(RoostError) in try empty.makeFilter() }
    let limit = Payload(["field": .string("size"), "max": .int(50_000)])
    for guest in ["size-below", "size-below-c"] {
      let module = try engine.compile(try builder.build("\(guests)/\(guest)"), name: guest)
      try measureFilter(guest, candidates, sizes) { () throws(RoostError) in
        try module.makeFilter(parameters: limit)
      }
    }
    let contains = try engine.compile(try builder.build("\(guests)/name-contains"), name: "name-contains")
    try measureFilter("name-contains", candidates, sizes) { () throws(RoostError) in
      try contains.makeFilter(parameters: Payload(["field": .string("name"), "text": .string("image")]))
    }
    try measureFilter("native", candidates, sizes) { () throws(RoostError) in
      try CompiledFilter(.field("size", .range(FilterRange(upper: .inclusive(.int(50_000))))))
    }
    let blend = try engine.compile(
      try builder.build("\(guests)/blend-popularity"), name: "blend-popularity")
    try measureScorer(blend, candidates, sizes)
    if rows > 0 {
      let below = try engine.compile(try builder.build("\(guests)/size-below"), name: "size-below")
      try await WasmQueryBench(count: rows).run(below)
    }
    let embedder = try engine.compile(try builder.build("\(guests)/hashed-ngrams"), name: "hashed-ngrams")
    try measureEmbedder(embedder)
  }

  private func measureFilter(
    _ name: String, _ candidates: CandidateBatch, _ sizes: [Int],
    make: () throws(RoostError) -> any CandidateFilter
  ) throws {
    let filter = try make()
    for size in sizes {
      let nanos = try best { () throws(RoostError) in try candidates.evaluate(filter, batch: size) }
      let each = nanos / Double(candidates.count)
      print(#"{"bench":"wasm","filter":"\#(name)","batch":\#(size),"ns_per_candidate":\#(rounded(each))}"#)
    }
    let setup = try best { () throws(RoostError) in _ = try make() }
    print(#"{"bench":"wasm","filter":"\#(name)","setup_us":\#(rounded(setup / 1_000))}"#)
  }

  private func measureScorer(
    _ module: WasmModule, _ candidates: CandidateBatch, _ sizes: [Int]
  ) throws {
    let parameters = Payload(["field": .string("size"), "half": .int(50_000), "share": .double(0.5)])
    func make() throws(RoostError) -> any CandidateScorer { try module.makeScorer(parameters: parameters) }
    let scorer = try make()
    for size in sizes {
      let nanos = try best { () throws(RoostError) in try candidates.score(scorer, batch: size) }
      let each = rounded(nanos / Double(candidates.count))
      print(#"{"bench":"wasm","scorer":"\#(module.name)","batch":\#(size),"ns_per_candidate":\#(each)}"#)
    }
    let setup = try best { () throws(RoostError) in _ = try make() }
    print(#"{"bench":"wasm","scorer":"\#(module.name)","setup_us":\#(rounded(setup / 1_000))}"#)
  }

  private func measureEmbedder(_ module: WasmModule) throws {
    let lines = try texts.map(readLines) ?? (0..<10_000).map(sampleText)
    guard !lines.isEmpty else { throw ValidationError("the file has no lines") }
    let nanos = try best { () throws(RoostError) in
      for start in stride(from: 0, to: lines.count, by: 64) {
        _ = try module.embed(Array(lines[start..<min(start + 64, lines.count)]), deadlineMs: 60_000)
      }
    }
    let bytes = lines.reduce(0) { $0 + $1.utf8.count }
    let rate = Double(lines.count) / nanos * 1e9
    print(
      """
      {"bench":"wasm","embedder":"\(module.name)","dimension":\(module.dimension ?? 0),\
      "mean_text_bytes":\(bytes / lines.count),"texts_per_second":\(Int(rate))}
      """)
  }

  private func readLines(_ path: String) throws -> [String] {
    guard let file = fopen(path, "r") else { throw ValidationError("\(path) cannot be read") }
    defer { fclose(file) }
    var line: UnsafeMutablePointer<CChar>?
    var capacity = 0
    defer { free(line) }
    var lines: [String] = []
    while getline(&line, &capacity, file) > 0, let line { lines.append(String(cString: line)) }
    return lines
  }

  /// Nanoseconds of the fastest run; noise on a shared machine only ever adds.
  private func best(_ body: () throws(RoostError) -> Void) throws -> Double {
    var fastest = Double.infinity
    let end = monotonicNanos() + Double(milliseconds) * 1e6
    repeat {
      let start = monotonicNanos()
      try body()
      fastest = min(fastest, monotonicNanos() - start)
    } while monotonicNanos() < end
    return fastest
  }

  private func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }

  /// A payload like that of a Debian package, about 100 bytes.
  private func samplePayload(_ index: Int) -> Payload {
    Payload([
      "name": .string("lib\(["image", "audio", "net", "xml"][index % 4])-tools\(index % 977)"),
      "section": .string(["utils", "libs", "graphics", "net", "devel"][index % 5]),
      "priority": .string(index % 9 == 0 ? "important" : "optional"),
      "size": .int(Int64(index * 7_919 % 100_000)),
    ])
  }

  private func sampleText(_ index: Int) -> String {
    let words = [
      "image", "viewer", "library", "fast", "server", "network", "editor", "simple", "audio", "python",
    ]
    return (0..<8).map { words[(index / (1 + $0 * $0) + $0 * 3) % words.count] + ($0 == 5 ? "\(index)" : "") }
      .joined(separator: " ")
  }

  private var emptyFilter: String {
    #"""
    (module (memory (export "memory") 16)
      (func (export "roost_abi") (result i32) (i32.const 1))
      (func (export "roost_buffer") (param i32) (result i32) (i32.const 1024))
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (memory.fill (local.get $out) (i32.const 1) (local.get $n)) (local.get $n)))
    """#
  }
}

/// Encoded payloads in one piece of memory, and room for their verdicts.
private final class CandidateBatch {
  private let bytes: UnsafeMutableRawBufferPointer
  private let views: UnsafeMutableBufferPointer<UnsafeRawBufferPointer>
  private let verdicts: UnsafeMutableBufferPointer<Bool>
  private let distances: UnsafeMutableBufferPointer<Float>
  private let scores: UnsafeMutableBufferPointer<Float>

  var count: Int { views.count }

  init(payloads: [Payload]) {
    let encoded = payloads.map(\.encoded)
    bytes = .allocate(byteCount: encoded.reduce(0) { $0 + $1.count }, alignment: 8)
    views = .allocate(capacity: payloads.count)
    verdicts = .allocate(capacity: payloads.count)
    verdicts.initialize(repeating: false)
    distances = .allocate(capacity: payloads.count)
    _ = distances.initialize(from: payloads.indices.map { Float($0) / 64 })
    scores = .allocate(capacity: payloads.count)
    scores.initialize(repeating: 0)
    var offset = 0
    for (index, item) in encoded.enumerated() {
      let place = UnsafeMutableRawBufferPointer(rebasing: bytes[offset..<offset + item.count])
      place.copyBytes(from: item)
      views.initializeElement(at: index, to: UnsafeRawBufferPointer(place))
      offset += item.count
    }
  }

  deinit {
    bytes.deallocate()
    views.deallocate()
    verdicts.deallocate()
    distances.deallocate()
    scores.deallocate()
  }

  func score(_ scorer: any CandidateScorer, batch: Int) throws(RoostError) {
    for start in stride(from: 0, to: views.count, by: batch) {
      let range = start..<min(start + batch, views.count)
      try scorer.score(
        ScoreBatch(
          payloads: UnsafeBufferPointer(rebasing: views[range]),
          distances: UnsafeBufferPointer(rebasing: distances[range])),
        scores: UnsafeMutableBufferPointer(rebasing: scores[range]))
    }
  }

  func evaluate(_ filter: any CandidateFilter, batch: Int) throws(RoostError) {
    for start in stride(from: 0, to: views.count, by: batch) {
      let range = start..<min(start + batch, views.count)
      try filter.evaluate(
        payloads: UnsafeBufferPointer(rebasing: views[range]),
        verdicts: UnsafeMutableBufferPointer(rebasing: verdicts[range]))
    }
  }
}
