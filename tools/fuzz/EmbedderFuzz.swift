// Attacks the guests that read outside bytes: images, ONNX files, signals. They run in WebAssembly, so a fault would
// cost one query; it counts as a crash here all the same.

import Core
import Foundation
import Wasm

struct EmbedderFuzz {
  private let module: WasmModule
  private let samples: [[UInt8]]

  /// `kind` is image, onnx or signal. Needs a checkout: it builds the guests and starts from the golden inputs.
  init(_ kind: String) throws {
    let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
      .deletingLastPathComponent()
    let tests = root.appendingPathComponent("Tests/WasmTests/Guests")
    let guest = kind == "signal" ? "tools/guests/signal" : "Tests/WasmTests/Guests/EmbedderCheck.guest"
    let bytes = try ModuleBuilder(sdkPath: root.appendingPathComponent("tools/guests/sdk").path)
      .build(root.appendingPathComponent(guest).path)
    module = try WasmEngine().compile(bytes, name: kind)
    if kind == "signal" {
      samples = Self.signals
    } else {
      let name = kind == "image" ? "images" : "onnx"
      samples = try Self.golden(tests.appendingPathComponent("Golden/\(name).bin"))
    }
  }

  /// The inputs of a file of golden cases (`tools/models/golden.py`).
  private static func golden(_ file: URL) throws -> [[UInt8]] {
    let bytes = [UInt8](try Data(contentsOf: file))
    return try bytes.withUnsafeBytes { raw in
      var reader = ByteReader(raw)
      return try (0..<(try reader.u32())).map { _ in
        let parts = try (0..<4).map { _ in [UInt8](try reader.bytes(Int(try reader.u32()))) }
        return parts[1]
      }
    }
  }

  private static var signals: [[UInt8]] {
    func words(_ words: UInt32...) -> [UInt8] {
      words.flatMap { word in withUnsafeBytes(of: word) { Array($0) } }
    }
    let samples = (0..<600).map { UInt8(truncatingIfNeeded: $0 &* 37) }
    return [
      words(0x4749_5352, 2, Float(16_000).bitPattern) + samples,
      words(0x4749_5352, 1, Float(50).bitPattern) + words(1, 2, 3, 4) + samples,
      words(
        0x4646_4952, 640, 0x4556_4157, 0x2074_6d66, 16, 0x0002_0001, 25_600, 102_400, 0x0010_0004,
        0x6174_6164, 600)
        + samples,
    ]
  }

  func run(_ source: inout InputSource) throws {
    var input = source.mutated(samples, noiseLimit: 64)
    // What the golden inputs begin with is for the guest of the tests, not for the decoders.
    if let sample = samples.first?.first, module.name != "signal", !input.isEmpty { input[0] = sample }
    do throws(RoostError) {
      _ = try module.embed([.bytes(input)], deadlineMs: 10_000)
    } catch {
      precondition(
        !error.message.contains("failed in roost_embed_bytes: it "), "\(module.name): \(error.message)")
    }
  }
}
