// How fast an embedder module turns texts or files into vectors, with and without the tensor capability.

import ArgumentParser
import Core
import Glibc
import Wasm

struct EmbedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embed", abstract: "Milliseconds per text or file of an embedder module.",
    discussion: """
      One JSON line for inputs one by one (`mean_ms`, `p50_ms`, `p99_ms`, and `first_ms` with the start of an \
      instance); for texts also one for batches (`texts_per_second`), for files one per file. One thread.

      An ONNX embedder (tools/guests/onnx) takes an image, and the same image as a tensor in a .npy file: what \
      it takes longer for the image is decoding and resizing.

      EXAMPLES
        tools/run bench embed --module .build/guests/minilm.wasm --texts titles.txt
        tools/run bench embed --module minilm.wasm --texts titles.txt --withhold-tensor --output vectors.fvecs
        tools/run bench embed --module mobilenet.wasm --file photo.jpg --file photo.npy
      """)

  @Option(help: "The embedder, a .wasm file.") var module: String
  @Option(help: "A file with one text a line.") var texts: String?
  @Option(help: "A file to embed as it is, such as an image; may be given several times.") var file:
    [String] = []
  @Option(help: "Texts in one call.") var batch = 64
  @Option(help: "How often each file is embedded.") var repeats = 50
  @Option(help: "Also write the vectors to this .fvecs file.") var output: String?
  @Flag(help: "Do not grant the tensor capability.") var withholdTensor = false

  func validate() throws {
    guard (1...1_024).contains(batch), repeats > 0 else {
      throw ValidationError("batch must be in 1...1024, repeats at least 1")
    }
    guard texts != nil || !file.isEmpty else { throw ValidationError("give --texts or --file") }
  }

  func run() async throws {
    var limits = WasmLimits()
    limits.embedDeadlineMs = 60_000
    let embedder = try WasmEngine(limits: limits).compile(
      try readBytes(module), name: "embedder", capabilities: withholdTensor ? [.log] : [.log, .tensor])
    var vectors: [[Float]] = []
    for path in file { vectors.append(try measure(embedder, [.bytes(try readBytes(path))], named: path)) }
    if let texts { vectors += try measure(embedder, textsIn: texts) }
    if let output { try write(vectors, to: output) }
  }

  /// Embeds inputs one by one and prints how long that takes; returns the vector of the first.
  @discardableResult
  private func measure(_ embedder: WasmModule, _ inputs: [EmbedderInput], named name: String) throws
    -> [Float]
  {
    let started = monotonicNanos()
    let vector = try embedder.embed([inputs[0]], deadlineMs: 60_000)[0]
    let first = monotonicNanos() - started
    var times: [Double] = []
    for index in 0..<(inputs.count == 1 ? repeats : inputs.count) {
      let start = monotonicNanos()
      _ = try embedder.embed([inputs[index % inputs.count]], deadlineMs: 60_000)
      times.append((monotonicNanos() - start) / 1e6)
    }
    times.sort()
    let mean = times.reduce(0, +) / Double(times.count)
    print(
      "{\(shared(name)),\"mean_ms\":\(rounded(mean)),\"p50_ms\":\(rounded(times[times.count / 2])),"
        + "\"p99_ms\":\(rounded(times[times.count * 99 / 100])),\"first_ms\":\(rounded(first / 1e6))}")
    return vector
  }

  private func measure(_ embedder: WasmModule, textsIn path: String) throws -> [[Float]] {
    let lines = try readLines(path)
    guard !lines.isEmpty else { throw ValidationError("\(path) has no lines") }
    try measure(embedder, lines.prefix(1_000).map { .text($0) }, named: path)
    var vectors: [[Float]] = []
    let start = monotonicNanos()
    for from in stride(from: 0, to: lines.count, by: batch) {
      vectors += try embedder.embed(Array(lines[from..<min(from + batch, lines.count)]), deadlineMs: 600_000)
    }
    let rate = Double(lines.count) / (monotonicNanos() - start) * 1e9
    print("{\(shared(path)),\"batch\":\(batch),\"texts_per_second\":\(rounded(rate))}")
    return vectors
  }

  private func shared(_ path: String) -> String {
    let name = path[(path.lastIndex(of: "/").map { path.index(after: $0) } ?? path.startIndex)...]
    return #""bench":"embed","tensor":\#(!withholdTensor),"input":"\#(name)""#
  }

  private func readBytes(_ path: String) throws -> [UInt8] {
    guard let file = fopen(path, "rb") else { throw ValidationError("\(path) cannot be read") }
    defer { fclose(file) }
    fseek(file, 0, SEEK_END)
    var bytes = [UInt8](repeating: 0, count: ftell(file))
    rewind(file)
    guard fread(&bytes, 1, bytes.count, file) == bytes.count else {
      throw ValidationError("\(path) is cut short")
    }
    return bytes
  }

  private func readLines(_ path: String) throws -> [String] {
    String(decoding: try readBytes(path), as: UTF8.self)
      .split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
  }

  private func write(_ vectors: [[Float]], to path: String) throws {
    guard let file = fopen(path, "wb") else { throw ValidationError("\(path) cannot be written") }
    defer { fclose(file) }
    for vector in vectors {
      var dimension = Int32(vector.count)
      fwrite(&dimension, 4, 1, file)
      _ = vector.withUnsafeBytes { fwrite($0.baseAddress, 1, $0.count, file) }
    }
  }

  private func rounded(_ value: Double) -> Double { (value * 1_000).rounded() / 1_000 }
}
