// How fast an embedder module turns texts into vectors, with and without the tensor capability.

import ArgumentParser
import Core
import Glibc
import Wasm

struct EmbedCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "embed", abstract: "Texts per second and milliseconds per text of an embedder module.",
    discussion: """
      One JSON line for texts one by one (`mean_ms`, `p50_ms`, `p99_ms`), one for batches (`texts_per_second`), \
      and one for a module that starts (`start_ms`). One thread.

      EXAMPLES
        tools/run bench embed --module .build/guests/minilm.wasm --texts titles.txt
        tools/run bench embed --module minilm.wasm --texts titles.txt --withhold-tensor --output vectors.fvecs
      """)

  @Option(help: "The embedder, a .wasm file.") var module: String
  @Option(help: "A file with one text a line.") var texts: String
  @Option(help: "Texts in one call.") var batch = 64
  @Option(help: "Also write the vectors to this .fvecs file.") var output: String?
  @Flag(help: "Do not grant the tensor capability.") var withholdTensor = false

  func run() async throws {
    guard (1...1_024).contains(batch) else { throw ValidationError("batch must be in 1...1024") }
    let lines = try readLines(texts)
    guard !lines.isEmpty else { throw ValidationError("\(texts) has no lines") }
    var limits = WasmLimits()
    limits.embedDeadlineMs = 60_000
    let embedder = try WasmEngine(limits: limits).compile(
      try readBytes(module), name: "embedder", capabilities: withholdTensor ? [.log] : [.log, .tensor])
    let started = monotonicNanos()
    var vectors = try embedder.embed([lines[0]], deadlineMs: 60_000)
    let first = monotonicNanos() - started

    var times: [Double] = []
    for line in lines.prefix(1_000) {
      let start = monotonicNanos()
      _ = try embedder.embed([line], deadlineMs: 60_000)
      times.append((monotonicNanos() - start) / 1e6)
    }
    times.sort()
    let mean = times.reduce(0, +) / Double(times.count)
    let shared = #""bench":"embed","tensor":\#(!withholdTensor),"texts":\#(lines.count)"#
    print(
      "{\(shared),\"mean_ms\":\(rounded(mean)),\"p50_ms\":\(rounded(times[times.count / 2])),"
        + "\"p99_ms\":\(rounded(times[times.count * 99 / 100])),\"first_ms\":\(rounded(first / 1e6))}")

    vectors = []
    let start = monotonicNanos()
    for from in stride(from: 0, to: lines.count, by: batch) {
      vectors += try embedder.embed(Array(lines[from..<min(from + batch, lines.count)]), deadlineMs: 600_000)
    }
    let rate = Double(lines.count) / (monotonicNanos() - start) * 1e9
    print("{\(shared),\"batch\":\(batch),\"texts_per_second\":\(rounded(rate))}")
    if let output { try write(vectors, to: output) }
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
