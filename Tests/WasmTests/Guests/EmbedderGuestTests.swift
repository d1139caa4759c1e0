// The embedders of images, ONNX models and signals: against onnxruntime and Pillow (`tools/models/golden.py` wrote
// down what they say), and with inputs that are broken in every way.

import Core
import Foundation
import Testing
import Wasm

@Suite struct EmbedderGuestTests {
  private struct GoldenCase {
    var name: String
    var input: [UInt8]
    var tolerance: Float
    var expected: [UInt8]

    var isRefused: Bool { tolerance < 0 }

    /// Levels of images are bytes, all other numbers are f32.
    var numbers: [Float] {
      input.first == UInt8(ascii: "i")
        ? expected.map { Float($0) }
        : expected.withUnsafeBytes { raw in
          (0..<raw.count / 4).map { raw.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
        }
    }
  }

  private static let here = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path

  private static func golden(_ name: String) throws -> [GoldenCase] {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: here + "/Golden/\(name).bin")))
    return try bytes.withUnsafeBytes { raw in
      var reader = ByteReader(raw)
      func part() throws -> [UInt8] { [UInt8](try reader.bytes(Int(try reader.u32()))) }
      return try (0..<(try reader.u32())).map { _ in
        let (name, input, tolerance) = (try part(), try part(), try part())
        return GoldenCase(
          name: String(decoding: name, as: UTF8.self), input: input,
          tolerance: tolerance.withUnsafeBytes { $0.loadUnaligned(as: Float.self) }, expected: try part())
      }
    }
  }

  /// The guest with all of the decoders and operators, built once.
  private static let check = Result {
    try ModuleBuilder(sdkPath: GuestModuleTests.guests + "/sdk").build(here + "/EmbedderCheck.guest")
  }

  private static func compare(_ golden: [GoldenCase], _ module: WasmModule) throws {
    #expect(golden.count > 50)
    for item in golden {
      do throws(RoostError) {
        let vector = try module.embed([.bytes(item.input)], deadlineMs: 10_000)[0]
        guard !item.isRefused else {
          Issue.record("\(item.name) was not refused")
          continue
        }
        let isImage = item.input.first == UInt8(ascii: "i")
        for (found, right) in zip(vector, item.numbers) {
          let difference = abs(found - right) / (isImage ? 1 : max(1, abs(right)))
          guard difference <= item.tolerance else {
            Issue.record("\(item.name): \(found) in place of \(right)")
            break
          }
        }
      } catch {
        let words = String(decoding: item.expected, as: UTF8.self)
        #expect(item.isRefused && error.message.contains(words), "\(item.name): \(error.message)")
      }
    }
  }

  @Test(arguments: [WasmCapabilities.tensor, []])
  func operatorsGiveWhatOnnxruntimeGives(capabilities: WasmCapabilities) throws {
    let module = try WasmEngine().compile(Self.check.get(), name: "check", capabilities: capabilities)
    try Self.compare(Self.golden("onnx"), module)
  }

  @Test func imagesAreWhatPillowMakesOfThem() throws {
    let module = try WasmEngine().compile(Self.check.get(), name: "check")
    try Self.compare(Self.golden("images"), module)
  }

  /// Whatever the bytes, the guest answers or says what is wrong; it never traps.
  @Test(arguments: ["images", "onnx"])
  func brokenInputsAreRefusedInWords(kind: String) throws {
    let module = try WasmEngine().compile(Self.check.get(), name: "check")
    let golden = try Self.golden(kind)
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    for round in 0..<400 {
      let item = golden[Int.random(in: 0..<golden.count, using: &random)]
      var input = item.input
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        let at = Int.random(in: 1..<input.count, using: &random)
        switch Int.random(in: 0..<4, using: &random) {
        case 0: input[at] = [0, 1, 0x7f, 0x80, 0xff].randomElement(using: &random) ?? 0
        case 1: input[at] = .random(in: 0...255, using: &random)
        case 2 where input.count > 40: input.removeSubrange(at..<min(input.count, at + 9))
        default: input.insert(.random(in: 0...255, using: &random), at: at)
        }
      }
      do throws(RoostError) {
        _ = try module.embed([.bytes(input)], deadlineMs: 10_000)
      } catch {
        let isTrap = error.message.contains("failed in roost_embed_bytes: it ")
        #expect(!isTrap, "seed \(seed) round \(round), \(item.name): \(error.message)")
      }
    }
  }

  // MARK: Modules as they are

  private static let built = BuiltGuests()

  private func load(_ guest: String) throws -> WasmModule {
    try WasmEngine().compile(try Self.built.bytes(guest), name: guest)
  }

  @Test func aModuleWithoutItsModelSaysSo() throws {
    let bytes = try Self.built.bytes("onnx")
    expectFailure(.moduleFailed, "built without its model") { () throws(RoostError) in
      _ = try WasmEngine().compile(bytes, name: "onnx")
    }
  }

  private static let machines: [(harmonic: Int, speed: Double)] = [(23, 29.5), (61, 24.3)]

  /// A shaft with overtones and a gear's whine, with noise; no two are alike.
  private func machine(
    _ kind: Int, rate: Double, seconds: Double, _ random: inout SplitMix64
  ) -> [Float] {
    let (harmonic, speed) = Self.machines[kind]
    let frequency = speed * .random(in: 0.99...1.01, using: &random)
    let phases = (0..<7).map { _ in Double.random(in: 0...6, using: &random) }
    let loudness = Double.random(in: 0.02...0.2, using: &random)
    return (0..<Int(seconds * rate)).map { index in
      let turn = 2 * Double.pi * frequency * Double(index) / rate
      var x = Double.random(in: -0.08...0.08, using: &random)
      for overtone in 1...5 { x += sin(turn * Double(overtone) + phases[overtone]) / Double(overtone) }
      x += 0.5 * sin(turn * Double(harmonic)) * (1 + 0.3 * sin(turn))
      return Float(x * loudness)
    }
  }

  private func signal(_ samples: [Float], rate: Float, isShort: Bool) -> [UInt8] {
    var bytes = Array("RSIG".utf8)
    func add<T>(_ value: T) { withUnsafeBytes(of: value) { bytes += $0 } }
    add(UInt32(isShort ? 2 : 1))
    add(rate)
    for sample in samples { if isShort { add(Int16(sample * 32_767)) } else { add(sample) } }
    return bytes
  }

  @Test func likeMachinesLandNearEachOther() throws {
    let module = try load("signal")
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    var vectors: [(kind: Int, vector: [Float])] = []
    for round in 0..<8 {
      let (rate, kind) = ([25_600.0, 16_000][round % 4 / 2], round % 2)
      let samples = machine(kind, rate: rate, seconds: 0.8, &random)
      let input = signal(samples, rate: Float(rate), isShort: round >= 4)
      vectors.append((kind, try module.embed([.bytes(input)], deadlineMs: 10_000)[0]))
    }
    func product(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    for a in vectors {
      #expect(abs(product(a.vector, a.vector) - 1) < 1e-4)
      for b in vectors {
        let likeness = product(a.vector, b.vector)
        #expect(a.kind == b.kind ? likeness > 0.8 : likeness < 0.75, "seed \(seed): \(likeness)")
      }
    }
  }

  @Test func signalsThatAreNoneAreRefused() throws {
    let module = try load("signal")
    let bad: [([UInt8], String)] = [
      ([], "less than 12 bytes"), (Array("no signal at all".utf8), "neither a WAV file"),
      (signal([0, 1], rate: 1_000, isShort: false), "less than 64 samples"),
      (signal(Array(repeating: .nan, count: 100), rate: 1_000, isShort: false), "not a number"),
      (signal(Array(repeating: 0, count: 100), rate: .infinity, isShort: false), "sample rate"),
    ]
    for (input, words) in bad {
      expectFailure(.invalidArgument, words) { () throws(RoostError) in
        _ = try module.embed([.bytes(input)], deadlineMs: 1_000)
      }
    }
    let silence = try module.embed(
      [.bytes(signal(Array(repeating: 0, count: 100), rate: 1_000, isShort: true))], deadlineMs: 1_000)[0]
    #expect(silence.allSatisfy { $0 == 1 / 16 })
  }

  /// The same picture in two formats and sizes is nearly the same, another picture is not.
  @Test func thumbnailsFindDuplicates() throws {
    let module = try load("image")
    let golden = try Self.golden("images")
    func vector(_ name: String) throws -> [Float] {
      let item = try #require(golden.first { $0.name == name })
      return try module.embed([.bytes(Array(item.input.dropFirst()))], deadlineMs: 1_000)[0]
    }
    func product(_ a: [Float], _ b: [Float]) -> Float { zip(a, b).reduce(0) { $0 + $1.0 * $1.1 } }
    let first = try vector("PNG (80, 60)")
    #expect(product(first, try vector("JPEG (80, 60), sampling 2, progressive True")) > 0.98)
    #expect(product(first, try vector("JPEG with restarts")) < 0.95)
    #expect(try vector("PNG (1, 1)").allSatisfy(\.isFinite))
  }
}
