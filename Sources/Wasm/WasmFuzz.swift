// Feeds arbitrary modules, and guests that answer arbitrary things, to the host; the entry for
// `tools/run fuzz wasm`.

import Core

/// One fuzz iteration: any module and any guest result is taken or refused with a `RoostError`, and the
/// engine goes on serving.
package enum WasmFuzz {
  /// The first byte picks: a whole module, edits (offset u16, byte) of a good one, or the answers of a
  /// filter, scorer, transform or embedder that says whatever the input tells it to.
  package static func run(_ input: UnsafeRawBufferPointer) {
    guard let choice = input.first, let guests else { return }
    let content = [UInt8](input.dropFirst())
    switch choice % 6 {
    case 0: check(module: content, guests)
    case 1:
      var bytes = guests.goodBytes
      for start in stride(from: 0, to: content.count - 2, by: 3) {
        bytes[(Int(content[start]) | Int(content[start + 1]) << 8) % bytes.count] = content[start + 2]
      }
      check(module: bytes, guests)
    case 2: checkFilter(script: content, guests)
    case 3: checkScorer(script: content, guests)
    case 4: checkTransform(script: content, guests)
    default: checkEmbedder(script: content, guests)
    }
    checkHealth(guests)
  }

  private struct Guests {
    let engine: WasmEngine
    let goodBytes: [UInt8]
    let good: WasmModule
    let filter: WasmModule
    let embedder: WasmModule
    let scorer: WasmModule
    let transform: WasmModule

    init() throws(RoostError) {
      var limits = WasmLimits()
      limits.setupDeadlineMs = 10
      limits.filterDeadlineMs = 10
      limits.embedDeadlineMs = 10
      limits.memoryBytesMax = 16 << 20
      engine = try WasmEngine(limits: limits)
      goodBytes = try WatText.assemble(WasmFuzz.goodFilter)
      good = try engine.compile(goodBytes, name: "good")
      filter = try engine.compile(WatText.assemble(WasmFuzz.scriptedFilter), name: "filter")
      embedder = try engine.compile(WatText.assemble(WasmFuzz.scriptedEmbedder), name: "embedder")
      scorer = try engine.compile(WatText.assemble(WasmFuzz.scriptedScorer), name: "scorer")
      transform = try engine.compile(WatText.assemble(WasmFuzz.scriptedTransform), name: "transform")
    }
  }

  /// Nil only where there is no wasmtime to speak of.
  private static let guests = try? Guests()

  private static func check(module bytes: [UInt8], _ guests: Guests) {
    do throws(RoostError) {
      let module = try guests.engine.compile(bytes, name: "fuzz")
      switch module.kind {
      case .filter: _ = try evaluate(module.makeFilter(), payloadBytes: 3)
      case .embedder:
        if module.takesText { _ = try module.embed(["text", ""], deadlineMs: 100) }
        if module.takesBytes { _ = try module.embed([.bytes([1, 2])], deadlineMs: 100) }
      case .scorer: _ = try score(module.makeScorer())
      case .transform:
        _ = try module.makeTransform().apply(to: [Payload(["x": .int(1)]), Payload()]) { "\($0)" }
      }
    } catch {
      expect(error, among: [.invalidArgument, .limitExceeded, .moduleFailed, .deadlineExceeded])
    }
  }

  /// The script holds: buffer address (i32), status (i32), fields span (i64), message span (i64), verdict
  /// (u8, padded), pages to grow (i32), an address to write to (i32), bytes of a payload (u16).
  private static func checkFilter(script: [UInt8], _ guests: Guests) {
    let script = Array((script + [UInt8](repeating: 0, count: 40)).prefix(40))
    let payloadBytes = Int(script[36]) | Int(script[37]) << 8
    do throws(RoostError) {
      let filter = try guests.filter.makeFilter(parameters: Payload(["s": .bytes(script)]))
      let verdicts = try evaluate(filter, payloadBytes: payloadBytes)
      precondition(verdicts.allSatisfy { $0 == (script[24] == 1) }, "a verdict that the guest did not give")
    } catch {
      expect(error, among: [.moduleFailed, .invalidArgument])
    }
  }

  /// The script holds: the bits of every element (i32), status (i32), buffer address (i32), as letters.
  private static func checkEmbedder(script: [UInt8], _ guests: Guests) {
    let script = (script + [UInt8](repeating: 0, count: 12)).prefix(12)
    let text = String(
      decoding: script.flatMap { [UInt8(ascii: "a") + ($0 >> 4), UInt8(ascii: "a") + ($0 & 15)] },
      as: UTF8.self)
    let long = text + String(repeating: " ", count: 20_000)
    do throws(RoostError) {
      for texts in [[text], [text, text], [long]] {
        let vectors = try guests.embedder.embed(texts, deadlineMs: 100)
        precondition(vectors.joined().allSatisfy(\.isFinite), "a vector that is not finite")
      }
    } catch {
      expect(error, among: [.moduleFailed])
    }
  }

  /// The script holds: the bits of every score (i32), status (i32), buffer address (i32), the span of the vector's
  /// name (i64).
  private static func checkScorer(script: [UInt8], _ guests: Guests) {
    let script = Array((script + [UInt8](repeating: 0, count: 24)).prefix(24))
    do throws(RoostError) {
      let context = GuestContext(fields: [VectorField(dimension: 3)])
      let scorer = try guests.scorer.makeScorer(
        parameters: Payload(["s": .bytes(script)]), context: context)
      let scores = try score(scorer)
      precondition(scores.allSatisfy { $0 < .infinity }, "a score that cannot be ranked")
    } catch {
      expect(error, among: [.moduleFailed, .invalidArgument])
    }
  }

  private static func score(_ scorer: any CandidateScorer) throws(RoostError) -> [Float] {
    var scores: [Float] = [.nan, .nan]
    let distances: [Float] = [1, 2]
    let vector = IOBuffer(Vector([1, 2, 3] as [Float]).bytes)
    let vectors = [vector.bytes, UnsafeRawBufferPointer(start: nil, count: 0)]
    try withPayloads(3) { (payloads) throws(RoostError) in
      try distances.withUnsafeBufferPointer { (distances) throws(RoostError) in
        try vectors.withUnsafeBufferPointer { (vectors) throws(RoostError) in
          try scores.withUnsafeMutableBufferPointer { (scores) throws(RoostError) in
            try scorer.score(
              ScoreBatch(payloads: payloads, distances: distances, vectors: vectors, target: [1, 0, 0]),
              scores: scores)
          }
        }
      }
    }
    return withExtendedLifetime(vector) { scores }
  }

  /// The script holds: the answer for each of two records (three i32), status (i32), and then what lies at 2048.
  private static func checkTransform(script: [UInt8], _ guests: Guests) {
    let script = Array((script + [UInt8](repeating: 0, count: 64)).prefix(64))
    do throws(RoostError) {
      let run = try guests.transform.makeTransform(parameters: Payload(["s": .bytes(script)]))
      let results = try run.apply(to: [Payload(["x": .int(1)]), Payload()]) { "record \($0)" }
      for payload in results { try payload.validate() }
    } catch {
      expect(error, among: [.moduleFailed, .invalidArgument, .limitExceeded])
    }
  }

  private static func checkHealth(_ guests: Guests) {
    do throws(RoostError) {
      let verdicts = try evaluate(guests.good.makeFilter(), payloadBytes: 10)
      precondition(verdicts == [true, true], "a good filter gives wrong verdicts")
    } catch {
      preconditionFailure("the engine no longer serves: \(error)")
    }
    // The scripted embedder may keep instances for its next call.
    precondition(
      guests.engine.liveInstances <= guests.engine.limits.idleInstancesPerModuleMax, "instances leak")
  }

  private static func evaluate(_ filter: any CandidateFilter, payloadBytes: Int) throws(RoostError) -> [Bool]
  {
    var verdicts = [false, false]
    try withPayloads(payloadBytes) { (payloads) throws(RoostError) in
      try verdicts.withUnsafeMutableBufferPointer { (verdicts) throws(RoostError) in
        try filter.evaluate(payloads: payloads, verdicts: verdicts)
      }
    }
    return verdicts
  }

  /// Two candidates with a payload of some bytes.
  private static func withPayloads(
    _ count: Int, _ body: (UnsafeBufferPointer<UnsafeRawBufferPointer>) throws(RoostError) -> Void
  ) throws(RoostError) {
    let payload = Payload(["x": .bytes([UInt8](repeating: 7, count: count))]).encoded
    try payload.withUnsafeBufferPointer { (bytes) throws(RoostError) in
      let views = [UnsafeRawBufferPointer(bytes), UnsafeRawBufferPointer(bytes)]
      try views.withUnsafeBufferPointer { (views) throws(RoostError) in try body(views) }
    }
  }

  private static func expect(_ error: RoostError, among kinds: [RoostError.Kind]) {
    precondition(kinds.contains(error.kind), "unexpected: \(error)")
  }

  private static let goodFilter = #"""
    (module (memory (export "memory") 2) (global $top (mut i32) (i32.const 65536)) (table 2 funcref)
      (func (export "roost_abi") (result i32) (i32.const 1))
      (func (export "roost_buffer") (param i32) (result i32) (global.get $top))
      (func (export "roost_fields") (result i64) (i64.const 0x1000000001)) (data (i32.const 16) "x")
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (memory.fill (local.get $out) (i32.const 1) (local.get $n)) (local.get $n)))
    """#

  // The parameters are {"s": bytes}: one field, a name of one byte, a tag and a count before the script.
  private static let scriptedFilter = #"""
    (module (memory (export "memory") 3) (data (i32.const 1024) "\00\00\01\00")
      (func (export "roost_abi") (result i32) (i32.const 1))
      (func (export "roost_buffer") (param i32) (result i32) (i32.load (i32.const 1024)))
      (func (export "roost_configure") (param i32 i32) (result i32)
        (if (i32.gt_u (local.get 1) (i32.const 40)) (then
          (memory.copy (i32.const 1024) (i32.add (local.get 0) (i32.const 5)) (i32.const 40))))
        (i32.const 0))
      (func (export "roost_fields") (result i64) (i64.load (i32.const 1032)))
      (func (export "roost_message") (result i64) (i64.load (i32.const 1040)))
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (drop (memory.grow (i32.load (i32.const 1052))))
        (memory.fill (local.get $out) (i32.load8_u (i32.const 1048)) (local.get $n))
        (if (i32.load (i32.const 1056)) (then (i32.store8 (i32.load (i32.const 1056)) (i32.const 9))))
        (i32.load (i32.const 1028))))
    """#

  private static let scriptedEmbedder = #"""
    (module (memory (export "memory") 3) (global $buffer (mut i32) (i32.const 65536))
      (func (export "roost_abi") (result i32) (i32.const 1))
      (func (export "roost_buffer") (param i32) (result i32) (global.get $buffer))
      (func (export "roost_dimension") (result i32) (i32.const 3))
      (func $word (param $at i32) (result i32) (local $i i32) (local $byte i32)
        (loop $next
          (local.set $byte (i32.or
            (i32.shl (i32.sub (i32.load8_u (local.get $at)) (i32.const 97)) (i32.const 4))
            (i32.sub (i32.load8_u offset=1 (local.get $at)) (i32.const 97))))
          (i32.store8 (i32.add (i32.const 1024) (local.get $i)) (local.get $byte))
          (local.set $at (i32.add (local.get $at) (i32.const 2)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (i32.const 4))))
        (i32.load (i32.const 1024)))
      (func (export "roost_embed") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $text i32) (local $bits i32) (local $i i32)
        (local.set $text (i32.add (local.get $in) (i32.load (local.get $in))))
        (local.set $bits (call $word (local.get $text)))
        (global.set $buffer (call $word (i32.add (local.get $text) (i32.const 16))))
        (loop $next
          (i32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 2))) (local.get $bits))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (i32.mul (local.get $n) (i32.const 3)))))
        (call $word (i32.add (local.get $text) (i32.const 8)))))
    """#

  private static let scriptedScorer = #"""
    (module (memory (export "memory") 3) (data (i32.const 1032) "\00\00\01\00")
      (func (export "roost_abi") (result i32) (i32.const 1))
      (func (export "roost_buffer") (param i32) (result i32) (i32.load (i32.const 1032)))
      (func (export "roost_configure") (param i32 i32) (result i32)
        (if (i32.gt_u (local.get 1) (i32.const 24)) (then
          (memory.copy (i32.const 1024) (i32.add (local.get 0) (i32.const 5)) (i32.const 24))))
        (i32.const 0))
      (func (export "roost_vector") (result i64) (i64.load (i32.const 1036)))
      (func (export "roost_query") (param i32 i32 i32) (result i32) (i32.load (i32.const 1028)))
      (func (export "roost_score") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (i32.store (local.get $out) (i32.load (i32.const 1024)))
        (i32.store offset=4 (local.get $out) (i32.load (i32.const 1024)))
        (i32.load (i32.const 1028))))
    """#

  private static let scriptedTransform = #"""
    (module (memory (export "memory") 3)
      (func (export "roost_abi") (result i32) (i32.const 1))
      (func (export "roost_buffer") (param i32) (result i32) (i32.const 65536))
      (func (export "roost_configure") (param i32 i32) (result i32)
        (if (i32.gt_u (local.get 1) (i32.const 64)) (then
          (memory.copy (i32.const 1024) (i32.add (local.get 0) (i32.const 5)) (i32.const 64))
          (memory.copy (i32.const 2048) (i32.const 1052) (i32.const 36))))
        (i32.const 0))
      (func (export "roost_transform") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (memory.copy (local.get $out) (i32.const 1024) (i32.const 24))
        (i32.load (i32.const 1048))))
    """#
}
