// The guests of `tools/guests`, built from source by our own builder and run: filters against the same
// predicate in Swift over random payloads, the embedder against what an embedding must be.

import Core
import Testing
import Wasm

@Suite struct GuestModuleTests {
  static let guests: String = {
    let here = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(4).joined(
      separator: "/")
    return here + "/tools/guests"
  }()

  /// Building takes a second or two, so each guest is built once.
  private static let built = BuiltGuests()

  private func load(_ guest: String, _ engine: WasmEngine) throws -> WasmModule {
    try engine.compile(try GuestModuleTests.built.bytes(guest), name: guest)
  }

  @Test(arguments: ["size-below", "size-below-c"])
  func sizeBelowEqualsTheSamePredicateInSwift(guest: String) throws {
    let module = try load(guest, WasmEngine())
    #expect(module.kind == .filter)
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    for round in 0..<60 {
      let field = ["size", "weight", "a", "zz"][round % 4]
      let max: Value =
        Bool.random(using: &random)
        ? .int(.random(in: -100...100, using: &random)) : .double(.random(in: -100...100, using: &random))
      let filter = try module.makeFilter(parameters: Payload(["field": .string(field), "max": max]))
      let payloads = (0..<Int.random(in: 1...150, using: &random)).map { _ in RandomPayload.make(&random) }
      let expected = payloads.map { payload in
        guard let value = payload[field]?.number, let max = max.number else { return false }
        return value <= max
      }
      #expect(try verdicts(filter, payloads) == expected, "seed \(seed) round \(round)")
    }
  }

  @Test func nameContainsEqualsTheSamePredicateInSwift() throws {
    let module = try load("name-contains", WasmEngine())
    let seed = UInt64.random(in: 0 ... .max)
    var random = SplitMix64(seed: seed)
    for round in 0..<60 {
      let text = String(
        (0..<Int.random(in: 0...3, using: &random)).map { _ in "abAB€".randomElement(using: &random)! })
      var parameters: [String: Value] = ["text": .string(text)]
      let field = ["name", "title"][round % 2]
      if field != "name" { parameters["field"] = .string(field) }
      let filter = try module.makeFilter(parameters: Payload(parameters))
      let payloads = (0..<Int.random(in: 1...150, using: &random)).map { _ in RandomPayload.make(&random) }
      let expected = payloads.map { payload in
        guard case .string(let name)? = payload[field] else { return false }
        let needle = Array(text.lowercased().utf8)
        let hay = Array(name.lowercased().utf8)
        return needle.isEmpty || hay.indices.contains { hay[$0...].starts(with: needle) }
      }
      #expect(try verdicts(filter, payloads) == expected, "seed \(seed) round \(round)")
    }
  }

  @Test(arguments: ["size-below", "size-below-c"])
  func wrongParametersAreExplained(guest: String) throws {
    let module = try load(guest, WasmEngine())
    expectFailure(.invalidArgument, "refused its parameters: 'field' must be a string") {
      () throws(RoostError) in
      _ = try module.makeFilter()
    }
    expectFailure(.invalidArgument, "'max' must be a number") { () throws(RoostError) in
      _ = try module.makeFilter(parameters: Payload(["field": .string("a"), "max": .bool(true)]))
    }
  }

  @Test func largeBatchesAndPayloadsAreSplit() throws {
    let module = try load("name-contains", WasmEngine())
    let filter = try module.makeFilter(parameters: Payload(["text": .string("needle")]))
    let hay = String(repeating: "hay ", count: 15_000)
    let payloads = (0..<200).map {
      Payload(["name": .string($0 % 3 == 0 ? hay + "NEEDLE" : hay), "other": .bytes([1])])
    }
    #expect(try verdicts(filter, payloads) == (0..<200).map { $0 % 3 == 0 })
    let many = (0..<3_000).map { Payload(["name": .string($0 % 7 == 0 ? "needle" : "x")]) }
    #expect(try verdicts(filter, many) == (0..<3_000).map { $0 % 7 == 0 })
    #expect(try verdicts(filter, []) == [])
  }

  @Test func damagedPayloadsAreReportedAsCorruption() throws {
    let module = try load("name-contains", WasmEngine())
    let filter = try module.makeFilter(parameters: Payload(["text": .string("x")]))
    for bytes: [UInt8] in [
      [], [1], [1, 4, 110], [1, 4, 110, 97, 109, 101, 99], [1, 4, 110, 97, 109, 101, 5, 200, 1, 0],
    ] {
      #expect(throws: RoostError.self) { try verdicts(filter, encoded: [bytes]) }
    }
    #expect(try verdicts(filter, [Payload(["name": .string("x")])]) == [true])
  }

  @Test func embeddingsAreDeterministicAndNormalised() throws {
    let texts = [
      "image viewer for photos", "", "  !!  ", "a", "Überraschung für Köln",
      String(repeating: "word ", count: 5_000),
      (0..<4_000).map { "w\($0)" }.joined(separator: " "), String(repeating: "x", count: Limits.textBytesMax),
    ]
    let first = try load("hashed-ngrams", WasmEngine()).embed(texts, deadlineMs: 10_000)
    let module = try load("hashed-ngrams", WasmEngine())
    _ = try module.embed(["something else before"], deadlineMs: 10_000)
    #expect(try module.embed(texts, deadlineMs: 10_000) == first)
    #expect(try texts.map { try module.embed([$0], deadlineMs: 10_000)[0] } == first)
    for (text, vector) in zip(texts, first) {
      #expect(vector.count == 256)
      let norm = vector.reduce(0) { $0 + $1 * $1 }
      #expect(abs(norm - 1) < 1e-4, "'\(text.prefix(20))' has norm \(norm)")
    }
    expectFailure(.limitExceeded, "text of 32769 bytes") { () throws(RoostError) in
      _ = try module.embed(["", String(repeating: "x", count: Limits.textBytesMax + 1)], deadlineMs: 10_000)
    }
  }

  @Test func similarTextsAreNearer() throws {
    let module = try load("hashed-ngrams", WasmEngine())
    let texts = [
      "fast image viewer and photo browser", "simple viewer for photos", "relational database server",
      "compiler for the C programming language", "Image-Viewers", "database management",
    ]
    let vectors = try module.embed(["image viewer for photos"] + texts, deadlineMs: 10_000)
    let near = vectors.dropFirst().map { other in zip(vectors[0], other).reduce(0) { $0 + $1.0 * $1.1 } }
    #expect(min(near[0], near[1], near[4]) > 2 * max(near[2], near[3], near[5], 0.1), "\(near)")
  }

  @Test func oneModuleServesManyThreads() async throws {
    let engine = try WasmEngine()
    let embedder = try load("hashed-ngrams", engine)
    let filter = try load("size-below", engine).makeFilter(
      parameters: Payload(["field": .string("n"), "max": .int(50)]))
    let expected = try embedder.embed(["the same text"], deadlineMs: 10_000)
    try await withThrowingTaskGroup(of: Void.self) { group in
      for worker in 0..<8 {
        group.addTask { () throws in
          for round in 0..<50 {
            #expect(try embedder.embed(["the same text"], deadlineMs: 10_000) == expected)
            let payloads = (0..<40).map { Payload(["n": .int(Int64($0 * (worker + round) % 101))]) }
            let wanted = (0..<40).map { $0 * (worker + round) % 101 <= 50 }
            #expect(try verdicts(filter, payloads) == wanted)
          }
        }
      }
      try await group.waitForAll()
    }
  }
}
