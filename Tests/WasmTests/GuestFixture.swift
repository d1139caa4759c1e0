// Guests in text format, whole and broken, for the tests of the engine and the ABI.

import Core
import Testing
import Wasm

/// A module in text format that keeps the ABI, with parts that a test replaces.
struct GuestFixture {
  var header = ""
  var memory = #"(memory (export "memory") 2)"#
  var abi = #"(func (export "roost_abi") (result i32) (i32.const 1))"#
  var buffer = #"(func (export "roost_buffer") (param i32) (result i32) (i32.const 65536))"#
  /// Passes every candidate.
  var kind = #"""
    (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
      (memory.fill (local.get $out) (i32.const 1) (local.get $n))
      (local.get $n))
    """#
  var rest = ""

  var text: String { "(module \(header) \(memory) \(abi) \(buffer) \(kind) \(rest))" }

  /// A filter whose `roost_filter` has this body (parameters `$in`, `$n`, `$out`; leaves an i32).
  static func filter(_ body: String, rest: String = "") -> GuestFixture {
    var fixture = GuestFixture()
    fixture.kind = """
      (func (export "roost_filter") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32) (local $at i32) \(body))
      """
    fixture.rest = rest
    return fixture
  }

  /// A scorer whose `roost_score` has this body (parameters `$in`, `$n`, `$out`; leaves an i32).
  static func scorer(_ body: String) -> GuestFixture {
    var fixture = GuestFixture()
    fixture.kind = """
      (func (export "roost_score") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32) (local $at i32) \(body))
      """
    return fixture
  }

  /// An embedder of two dimensions whose `roost_embed` has this body.
  static func embedder(_ body: String, dimension: Int = 2) -> GuestFixture {
    var fixture = GuestFixture()
    fixture.kind = """
      (func (export "roost_dimension") (result i32) (i32.const \(dimension)))
      (func (export "roost_embed") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32) \(body))
      """
    return fixture
  }

  /// Writes (1, 2) for each text.
  static let goodEmbedding = """
    (loop $next
      (if (i32.lt_u (local.get $i) (local.get $n)) (then
        (f32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 3))) (f32.const 1))
        (f32.store offset=4 (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 3))) (f32.const 2))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br $next))))
    (local.get $n)
    """

  func compile(_ engine: WasmEngine, name: String = "guest") throws(RoostError) -> WasmModule {
    try engine.compile(WatText.assemble(text), name: name)
  }
}

/// Limits with short deadlines, so that runaway guests do not make the tests slow.
func testLimits() -> WasmLimits {
  var limits = WasmLimits()
  limits.setupDeadlineMs = 20
  limits.filterDeadlineMs = 20
  limits.embedDeadlineMs = 20
  limits.instancesMax = 16
  return limits
}

/// The verdicts of a filter over payloads.
func verdicts(_ filter: any CandidateFilter, _ payloads: [Payload]) throws(RoostError) -> [Bool] {
  try verdicts(filter, encoded: payloads.map(\.encoded))
}

func verdicts(_ filter: any CandidateFilter, encoded: [[UInt8]]) throws(RoostError) -> [Bool] {
  let storage = UnsafeMutableRawBufferPointer.allocate(
    byteCount: max(1, encoded.joined().count), alignment: 1)
  defer { storage.deallocate() }
  var views: [UnsafeRawBufferPointer] = []
  var offset = 0
  for bytes in encoded {
    let place = UnsafeMutableRawBufferPointer(rebasing: storage[offset..<offset + bytes.count])
    place.copyBytes(from: bytes)
    views.append(UnsafeRawBufferPointer(place))
    offset += bytes.count
  }
  let results = UnsafeMutableBufferPointer<Bool>.allocate(capacity: encoded.count)
  results.initialize(repeating: false)
  defer { results.deallocate() }
  try views.withUnsafeBufferPointer { (views) throws(RoostError) in
    try filter.evaluate(payloads: views, verdicts: results)
  }
  return Array(results)
}

/// Runs `body`, which must fail with `kind` and a message that contains each of `parts`.
func expectFailure(
  _ kind: RoostError.Kind, _ parts: String..., at location: SourceLocation = #_sourceLocation,
  _ body: () throws(RoostError) -> Void
) {
  do throws(RoostError) {
    try body()
    Issue.record("no error; expected \(kind) with \(parts)", sourceLocation: location)
  } catch {
    #expect(error.kind == kind, "\(error)", sourceLocation: location)
    for part in parts { #expect(error.message.contains(part), "\(error)", sourceLocation: location) }
  }
}
