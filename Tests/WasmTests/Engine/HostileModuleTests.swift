// Modules written to do harm. Each ends in a clear error in bounded time, and the engine goes on serving.

import Core
import Glibc
import Testing
import Wasm

@Suite struct HostileModuleTests {
  let engine: WasmEngine

  init() throws { engine = try WasmEngine(limits: testLimits()) }

  /// The engine still works and has taken back every instance.
  private func expectHealthy(at location: SourceLocation = #_sourceLocation) throws {
    do {
      let filter = try GuestFixture().compile(engine).makeFilter()
      #expect(try verdicts(filter, [Payload(), Payload()]) == [true, true], sourceLocation: location)
    }
    #expect(engine.liveInstances == 0, sourceLocation: location)
  }

  private func expectFilterFails(
    _ fixture: GuestFixture, _ parts: String..., at location: SourceLocation = #_sourceLocation
  ) throws {
    do {
      let module = try fixture.compile(engine, name: "hostile")
      for _ in 0..<3 {
        do throws(RoostError) {
          _ = try verdicts(module.makeFilter(), [Payload(), Payload()])
          Issue.record("no error", sourceLocation: location)
        } catch {
          #expect(error.kind == .moduleFailed, "\(error)", sourceLocation: location)
          for part in parts + ["'hostile'"] {
            #expect(error.message.contains(part), "\(error)", sourceLocation: location)
          }
        }
      }
    }
    try expectHealthy(at: location)
  }

  @Test func endlessLoop() throws {
    try expectFilterFails(.filter("(loop $l (br $l)) (i32.const 0)"), "ran longer than 20 ms in roost_filter")
  }

  @Test func endlessLoopInStart() throws {
    var fixture = GuestFixture()
    fixture.rest = "(func $s (loop $l (br $l))) (start $s)"
    expectFailure(.moduleFailed, "ran longer than 20 ms while it started") { () throws(RoostError) in
      _ = try fixture.compile(engine)
    }
    try expectHealthy()
  }

  @Test func endlessRecursion() throws {
    try expectFilterFails(
      .filter("(call $r)", rest: "(func $r (result i32) (i32.add (call $r) (i32.const 1)))"),
      "overflowed its stack")
  }

  @Test func unreachable() throws {
    try expectFilterFails(.filter("(unreachable)"), "reached unreachable code")
  }

  @Test func divisionByZero() throws {
    try expectFilterFails(.filter("(i32.div_u (i32.const 1) (i32.const 0))"), "divided by zero")
  }

  @Test func outOfBoundsAccess() throws {
    try expectFilterFails(.filter("(i32.load (i32.const -4))"), "accessed memory out of bounds")
    try expectFilterFails(
      .filter("(memory.fill (local.get $out) (i32.const 0) (i32.const 0x7fffffff)) (i32.const 0)"),
      "accessed memory out of bounds")
  }

  @Test func memoryBomb() throws {
    // Grows until it is refused, then says how far it got: below the limit of 128 MiB, 2048 pages.
    try expectFilterFails(
      .filter(
        """
        (loop $l (br_if $l (i32.ne (memory.grow (i32.const 16)) (i32.const -1))))
        (if (i32.gt_u (memory.size) (i32.const 2048)) (then (return (local.get $n))))
        (i32.const -7)
        """), "status -7")
    expectFailure(.limitExceeded, "starts with a memory") { () throws(RoostError) in
      var fixture = GuestFixture()
      fixture.memory = #"(memory (export "memory") 4000)"#
      _ = try fixture.compile(engine)
    }
    try expectHealthy()
  }

  @Test func hugeDataSegment() throws {
    var fixture = GuestFixture()
    fixture.rest = "(data (i32.const 0) \"\(String(repeating: "x", count: 300_000))\")"
    expectFailure(.moduleFailed, "could not start") { () throws(RoostError) in _ = try fixture.compile(engine)
    }
    fixture.rest = "(data (i32.const -1) \"xx\")"
    expectFailure(.moduleFailed, "could not start") { () throws(RoostError) in _ = try fixture.compile(engine)
    }
    try expectHealthy()
  }

  @Test func hugeTable() throws {
    var fixture = GuestFixture()
    fixture.rest = "(table 1000000 funcref)"
    #expect(throws: RoostError.self) { try fixture.compile(engine) }
    try expectHealthy()
  }

  @Test func badBufferAddresses() throws {
    var fixture = GuestFixture()
    for (address, part) in [
      ("0", "has no memory for a buffer"), ("65537", "misaligned buffer address"),
      ("131072", "outside its memory"), ("-16", "outside its memory"), ("0x7ffffff0", "outside its memory"),
    ] {
      fixture.buffer = #"(func (export "roost_buffer") (param i32) (result i32) (i32.const \#(address)))"#
      try expectFilterFails(fixture, part)
    }
    fixture.buffer = #"(func (export "roost_buffer") (param i32) (result i32) (unreachable))"#
    try expectFilterFails(fixture, "failed in roost_buffer")
  }

  @Test func nonsenseCounts() throws {
    try expectFilterFails(.filter("(i32.const 1)"), "answered for 1 of 2 items")
    try expectFilterFails(.filter("(i32.const 0x7fffffff)"), "answered for 2147483647 of 2 items")
    try expectFilterFails(.filter("(i32.const -1)"), "status -1")
  }

  @Test func missingAndNonsenseVerdicts() throws {
    try expectFilterFails(.filter("(local.get $n)"), "gave verdict 255 for candidate 0 of 2")
    try expectFilterFails(
      .filter("(i32.store8 (local.get $out) (i32.const 1)) (local.get $n)"),
      "gave verdict 255 for candidate 1 of 2")
    try expectFilterFails(
      .filter("(memory.fill (local.get $out) (i32.const 2) (local.get $n)) (local.get $n)"), "gave verdict 2")
  }

  @Test func badMessages() throws {
    func message(_ value: String) -> GuestFixture {
      .filter(
        "(i32.const -1)",
        rest:
          #"(data (i32.const 16) "too\1bbad") (func (export "roost_message") (result i64) (i64.const \#(value)))"#
      )
    }
    try expectFilterFails(message("0x1000000007"), "too bad")
    try expectFilterFails(message("0"), "status -1")
    try expectFilterFails(message("0xffffffff00000010"), "from roost_message, outside its memory")
    try expectFilterFails(message("0x00000000ffffffff"), "from roost_message, outside its memory")
    try expectFilterFails(
      .filter(
        "(i32.const -1)",
        rest: #"(func (export "roost_message") (result i64) (loop $l (br $l)) (i64.const 0))"#),
      "ran longer than 20 ms in roost_message")
  }

  @Test func badFieldDeclarations() throws {
    func fields(_ value: String) -> GuestFixture {
      var fixture = GuestFixture()
      fixture.rest = #"""
        (data (i32.const 16) "a\ff\0a\0ab")
        (func (export "roost_fields") (result i64) (i64.const \#(value)))
        """#
      return fixture
    }
    for (value, part) in [
      ("0xfffffff000000010", "outside its memory"), ("0x1000001001", "the limit is 4096"),
      ("0x1000000002", "not valid UTF-8"), ("0x1200000003", "a field name of 0 bytes"),
      ("0x4000000100", "a field name of 256 bytes"),
    ] {
      expectFailure(.moduleFailed, part) { () throws(RoostError) in _ = try fields(value).compile(engine) }
    }
    try expectHealthy()
  }

  @Test func badVectors() throws {
    func expectFails(_ fixture: GuestFixture, _ part: String) throws {
      do {
        let module = try fixture.compile(engine)
        expectFailure(.moduleFailed, part) { () throws(RoostError) in
          _ = try module.embed(["a", "b"], deadlineMs: 1000)
        }
      }
      try expectHealthy()
    }
    try expectFails(.embedder("(local.get $n)"), "gave NaN as element 0 of vector 0 of 2")
    try expectFails(
      .embedder("(f32.store (local.get $out) (f32.const inf)) (local.get $n)"),
      "gave infinity as element 0 of vector 0")
    try expectFails(.embedder("(i32.const 3)"), "answered for 3 of 2 items")
    try expectFails(.embedder("(loop $l (br $l)) (i32.const 0)"), "ran longer than 20 ms in roost_embed")
    for (dimension, part) in [
      (0, "has dimension 0"), (4097, "has dimension 4097"), (0x7fff_ffff, "has dimension 2147483647"),
      (-1, "failed in roost_dimension: status -1"),
    ] {
      expectFailure(.moduleFailed, part) { () throws(RoostError) in
        _ = try GuestFixture.embedder("(local.get $n)", dimension: dimension).compile(engine)
      }
    }
    try expectHealthy()
  }

  @Test func callerDeadlineIsToldFromModuleLimit() throws {
    let module = try GuestFixture.embedder("(loop $l (br $l)) (i32.const 0)").compile(engine)
    expectFailure(.deadlineExceeded, "longer than 5 ms") { () throws(RoostError) in
      _ = try module.embed(["a"], deadlineMs: 5)
    }
    expectFailure(.deadlineExceeded, "longer than 0 ms") { () throws(RoostError) in
      _ = try module.embed(["a"], deadlineMs: 0)
    }
  }

  @Test func instancesAreLimited() throws {
    let module = try GuestFixture().compile(engine)
    var filters: [any CandidateFilter] = []
    for _ in 0..<16 { filters.append(try module.makeFilter()) }
    expectFailure(.overloaded, "16 guest instances") { () throws(RoostError) in _ = try module.makeFilter() }
    #expect(try verdicts(filters[3], [Payload()]) == [true])
    filters.removeAll()
    try expectHealthy()
  }

  @Test func idleEmbeddersMakeRoom() throws {
    // More modules than instances, each of which keeps one idle.
    var modules: [WasmModule] = []
    for index in 0..<20 {
      modules.append(try GuestFixture.embedder(GuestFixture.goodEmbedding).compile(engine, name: "e\(index)"))
    }
    #expect(engine.liveInstances == 16)
    for module in modules { #expect(try module.embed(["a"], deadlineMs: 1000) == [[1, 2]]) }
    modules.removeLast(18)
    #expect(engine.liveInstances <= 2)
    modules.removeAll()
    try expectHealthy()
  }

  @Test func deadlinesHoldAfterAnIdleTime() throws {
    // The ticker goes to sleep after 100 idle milliseconds and must wake for the next call.
    let module = try GuestFixture.filter("(loop $l (br $l)) (i32.const 0)").compile(engine)
    usleep(250_000)
    expectFailure(.moduleFailed, "ran longer than 20 ms") { () throws(RoostError) in
      _ = try verdicts(module.makeFilter(), [Payload()])
    }
  }

  @Test func enginesGoAwayWithTheirModules() throws {
    weak var gone: WasmEngine?
    do {
      let engine = try WasmEngine(limits: testLimits())
      gone = engine
      let module = try GuestFixture.embedder(GuestFixture.goodEmbedding).compile(engine)
      #expect(try module.embed(["a"], deadlineMs: 1000) == [[1, 2]])
    }
    #expect(gone == nil)
  }

  @Test func logIsCapped() throws {
    let lines = LineCollector()
    let engine = try WasmEngine(limits: testLimits()) { level, module, line in
      lines.append("\(level) \(module) \(line)")
    }
    var fixture = GuestFixture.filter(
      """
      (loop $l
        (call $log (i32.const 2) (i32.const 16) (i32.const 5))
        (call $log (i32.const 2) (i32.const -5) (i32.const 50))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $l (i32.lt_u (local.get $i) (i32.const 1000))))
      (memory.fill (local.get $out) (i32.const 1) (local.get $n))
      (local.get $n)
      """, rest: #"(data (i32.const 16) "hi\0d\0a!")"#)
    fixture.header = #"(import "roost" "log" (func $log (param i32 i32 i32)))"#
    let filter = try fixture.compile(engine).makeFilter()
    #expect(try verdicts(filter, [Payload()]) == [true])
    #expect(lines.lines == Array(repeating: "warning guest hi  !", count: 16))
  }
}
