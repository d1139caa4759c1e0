// Transforms: answers that are merged into payloads, refusals, and nonsense.

import Core
import Testing
import Wasm

@Suite struct TransformTests {
  private let engine: WasmEngine

  init() throws { engine = try WasmEngine(limits: testLimits()) }

  /// The encoded payload as the bytes of a data segment.
  private static func data(_ payload: Payload) -> String {
    payload.encoded.map { "\\" + (String($0 / 16, radix: 16)) + String($0 % 16, radix: 16) }.joined()
  }

  /// Answers every item with `status` and the bytes of `data`.
  private static func answering(_ data: String, size: Int, status: Int = 0, at address: Int = 2_048)
    -> GuestFixture
  {
    var fixture = GuestFixture()
    fixture.memory = #"(memory (export "memory") 16)"#
    fixture.kind = """
      (func (export "roost_transform") (param $in i32) (param $n i32) (param $out i32) (result i32)
        (local $i i32)
        (loop $next
          (i32.store (local.get $out) (i32.const \(status)))
          (i32.store offset=4 (local.get $out) (i32.const \(address)))
          (i32.store offset=8 (local.get $out) (i32.const \(size)))
          (local.set $out (i32.add (local.get $out) (i32.const 12)))
          (local.set $i (i32.add (local.get $i) (i32.const 1)))
          (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
        (local.get $n))
      """
    fixture.rest = "(data (i32.const 2048) \"\(data)\")"
    return fixture
  }

  private func run(_ fixture: GuestFixture, _ payloads: [Payload]) throws(RoostError) -> [Payload] {
    try fixture.compile(engine).makeTransform().apply(to: payloads) { "record \($0)" }
  }

  @Test func answersAreMerged() throws {
    let change = Payload(["a": .int(7), "b": .null, "c": .string("new")])
    let fixture = Self.answering(Self.data(change), size: change.encoded.count)
    let given = [
      Payload(["a": .double(0.5), "b": .bool(true), "d": .int(1)]), Payload(), Payload(["b": .null]),
    ]
    #expect(
      try run(fixture, given) == [
        Payload(["a": .int(7), "c": .string("new"), "d": .int(1)]),
        Payload(["a": .int(7), "c": .string("new")]), Payload(["a": .int(7), "c": .string("new")]),
      ])
    // More than one batch.
    let many = Array(repeating: Payload(["x": .string(String(repeating: "x", count: 999))]), count: 1_000)
    let results = try run(fixture, many)
    #expect(results.count == 1_000 && results.allSatisfy { $0["a"] == .int(7) && $0["x"] != nil })
    #expect(try run(fixture, []).isEmpty)
  }

  @Test func refusalsNameTheRecord() throws {
    do {
      _ = try run(Self.answering("no price\\0a!", size: 10, status: 1), [Payload()])
      Issue.record("nothing was refused")
    } catch {
      #expect(error.kind == .invalidArgument)
      #expect(error.place == "record 0")
      #expect(error.message == "module 'guest' refused the record: no price !")
    }
  }

  @Test func nonsenseIsRefused() throws {
    let cases: [(GuestFixture, String)] = [
      (Self.answering("", size: 0, status: 2), "gave status 2 for item 0 of 1"),
      (Self.answering("", size: 0), "malformed payload"),
      (Self.answering("\\01\\01x", size: 3), "malformed payload"),
      (Self.answering("\\00\\00", size: 2), "malformed payload"),
      (Self.answering("", size: 9, at: 1_048_575), "outside its memory"),
      (Self.answering("", size: -1, at: 16), "outside its memory"),
    ]
    for (fixture, part) in cases {
      expectFailure(.moduleFailed, part) { () throws(RoostError) in _ = try run(fixture, [Payload()]) }
    }
    // What nobody could store.
    let nan = Payload(["x": .double(.nan)])
    expectFailure(.invalidArgument, "after module 'guest'", "NaN") { () throws(RoostError) in
      _ = try run(Self.answering(Self.data(nan), size: nan.encoded.count), [Payload()])
    }
    expectFailure(.invalidArgument, "is a transform, not a scorer") { () throws(RoostError) in
      _ = try Self.answering("", size: 0).compile(engine).makeScorer()
    }
  }
}
