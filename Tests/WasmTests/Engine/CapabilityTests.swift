// The capabilities clock, random and key-value: granted, withheld and abused.

import Core
import Testing
import Wasm

@Suite struct CapabilityTests {
  private let engine: WasmEngine

  init() throws { engine = try WasmEngine(limits: testLimits()) }

  /// A scorer whose every score is the i32 that `body` leaves.
  private func scorer(_ imports: String, _ body: String, rest: String = "") -> GuestFixture {
    var fixture = GuestFixture.scorer(
      """
      (loop $next
        (f32.store (i32.add (local.get $out) (i32.shl (local.get $i) (i32.const 2)))
          (f32.convert_i32_s \(body)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
      (local.get $n)
      """)
    fixture.header = imports
    fixture.rest = rest
    return fixture
  }

  private func scores(
    _ fixture: GuestFixture, _ capabilities: WasmCapabilities, state: Payload = Payload(),
    parameters: Payload = Payload(), now: Int64 = 0, count: Int = 3
  ) throws(RoostError) -> [Float] {
    let module = try engine.compile(
      WatText.assemble(fixture.text), name: "guest", capabilities: capabilities, state: state)
    return try WasmTests.scores(
      module.makeScorer(parameters: parameters, context: GuestContext(nowMicros: now)),
      Array(repeating: Payload(), count: count), distances: Array(repeating: 0, count: count))
  }

  @Test func theClockIsReadOncePerQuery() throws {
    let fixture = scorer(
      #"(import "roost" "clock" (func $clock (result i64)))"#, "(i32.wrap_i64 (call $clock))")
    #expect(try scores(fixture, .clock, now: 1_234) == [1_234, 1_234, 1_234])
    expectFailure(.moduleFailed, "called roost.clock, which the module was not granted") {
      () throws(RoostError) in _ = try scores(fixture, .usual, now: 1_234)
    }
  }

  @Test func randomNumbersRepeat() throws {
    let fixture = scorer(
      #"(import "roost" "random" (func $random (param i64) (result i64)))"#,
      "(i32.wrap_i64 (i64.shr_u (call $random (i64.extend_i32_u (local.get $i))) (i64.const 44)))",
      rest: #"(func (export "roost_configure") (param i32 i32) (result i32) (i32.const 0))"#)
    let parameters = Payload(["seed": .int(1)])
    let first = try scores(fixture, .random, parameters: parameters, count: 200)
    #expect(Set(first).count > 190)
    #expect(try scores(fixture, .random, parameters: parameters, count: 200) == first)
    #expect(try scores(fixture, .random, parameters: Payload(["seed": .int(2)]), count: 200) != first)
    expectFailure(.moduleFailed, "called roost.random, which the module was not granted") {
      () throws(RoostError) in _ = try scores(fixture, [.log, .clock], parameters: parameters)
    }
    // As spec/wasm-abi.md says: the seed is FNV-1a of the encoded parameters.
    var seed: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in parameters.encoded { seed = (seed ^ UInt64(byte)) &* 0x100_0000_01b3 }
    for key in 0..<3 {
      var z = seed &+ (UInt64(key) + 1) &* 0x9e37_79b9_7f4a_7c15
      z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
      z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
      #expect(first[key] == Float((z ^ (z >> 31)) >> 44))
    }
  }

  @Test func keysFindTheirValues() throws {
    func fixture(_ key: String, target: Int = 4_096, capacity: Int = 64, then: String) -> GuestFixture {
      scorer(
        #"(import "roost" "kv_get" (func $get (param i32 i32 i32 i32) (result i32)))"#,
        """
        (block (result i32)
          (drop (call $get (i32.const 2048) (i32.const \(key.utf8.count)) (i32.const \(target)) (i32.const \(capacity))))
          \(then))
        """, rest: "(data (i32.const 2048) \"\(key)\")")
    }
    let again = "(call $get (i32.const 2048) (i32.const KEY) (i32.const 4096) (i32.const 64))"
    func length(_ key: String) -> String { again.replacing("KEY", with: "\(key.utf8.count)") }
    var fields: [String: Value] = ["quota": .int(41), "name": .string("Ada"), "ä": .bool(true)]
    for index in 0..<100 { fields["k\(index)"] = .int(Int64(index)) }
    let state = Payload(fields)
    // The value is a tag and its content.
    let content = "(i32.load offset=4097 (i32.const 0))"
    #expect(try scores(fixture("quota", then: content), .keyValue, state: state, count: 1) == [41])
    for index in [0, 1, 50, 99] {
      #expect(
        try scores(fixture("k\(index)", then: content), .keyValue, state: state, count: 1) == [Float(index)])
    }
    #expect(try scores(fixture("name", then: length("name")), .keyValue, state: state, count: 1) == [5])
    #expect(try scores(fixture("nobody", then: length("nobody")), .keyValue, state: state, count: 1) == [-1])
    #expect(try scores(fixture("quota", then: length("quota")), .keyValue, count: 1) == [-1])
    // Not granted: there are no keys.
    #expect(try scores(fixture("quota", then: length("quota")), .usual, state: state, count: 1) == [-1])
    // Less room than the value takes: what fits is written, nothing behind it.
    #expect(
      try scores(fixture("quota", capacity: 1, then: content), .keyValue, state: state, count: 1) == [0])
    for wrong in [
      fixture("quota", target: 131_070, then: content), fixture("quota", capacity: -1, then: content),
    ] {
      expectFailure(.moduleFailed, "roost.kv_get with addresses outside its memory") {
        () throws(RoostError) in _ = try scores(wrong, .keyValue, state: state)
      }
    }
  }

  @Test func capabilitiesHaveNames() throws {
    #expect(WasmCapabilities.all.names == ["log", "tensor", "random", "clock", "kv"])
    #expect(try WasmCapabilities(names: ["kv", "log"]) == [.log, .keyValue])
    #expect(try WasmCapabilities(names: WasmCapabilities.all.names) == .all)
    expectFailure(.invalidArgument, "no capability 'files'") { () throws(RoostError) in
      _ = try WasmCapabilities(names: ["log", "files"])
    }
  }
}
