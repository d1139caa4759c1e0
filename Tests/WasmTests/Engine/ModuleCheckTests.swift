// What the compiler of modules refuses before any guest code runs.

import Core
import Testing
import Wasm

@Suite struct ModuleCheckTests {
  let engine: WasmEngine

  init() throws { engine = try WasmEngine(limits: testLimits()) }

  private func expectRefused(
    _ parts: String..., at location: SourceLocation = #_sourceLocation, _ change: (inout GuestFixture) -> Void
  ) {
    var fixture = GuestFixture()
    change(&fixture)
    do throws(RoostError) {
      _ = try fixture.compile(engine)
      Issue.record("no error; expected \(parts)", sourceLocation: location)
    } catch {
      #expect(error.kind == .invalidArgument, "\(error)", sourceLocation: location)
      for part in parts { #expect(error.message.contains(part), "\(error)", sourceLocation: location) }
    }
  }

  @Test func goodModulesCompile() throws {
    let filter = try GuestFixture().compile(engine)
    #expect(filter.kind == .filter)
    #expect(filter.dimension == nil)
    #expect(filter.declaredFields == nil)
    let embedder = try GuestFixture.embedder(GuestFixture.goodEmbedding).compile(engine)
    #expect(embedder.kind == .embedder)
    #expect(embedder.dimension == 2)
    #expect(
      try embedder.embed(Array(repeating: "text", count: 200), deadlineMs: 1000)
        == Array(repeating: [1, 2], count: 200))
    #expect(try embedder.embed([String](), deadlineMs: 1000) == [])
  }

  @Test func missingExports() {
    expectRefused("memory") { $0.memory = "(memory 2)" }
    expectRefused("does not export 'roost_abi'") { $0.abi = "" }
    expectRefused("does not export 'roost_buffer'") { $0.buffer = "" }
    expectRefused("exports none of") { $0.kind = "" }
    expectRefused("but not 'roost_dimension'") {
      $0.kind = #"(func (export "roost_embed") (param i32 i32 i32) (result i32) (i32.const 0))"#
    }
    expectRefused("exports 'roost_filter' and 'roost_embed'") {
      $0.rest = #"(func (export "roost_embed") (param i32 i32 i32) (result i32) (i32.const 0))"#
    }
  }

  @Test func wrongSignatures() {
    expectRefused("'roost_abi' as () -> (i64)", "must be () -> (i32)") {
      $0.abi = #"(func (export "roost_abi") (result i64) (i64.const 1))"#
    }
    expectRefused("'roost_filter' as (i32, i32) -> (i32)") {
      $0.kind = #"(func (export "roost_filter") (param i32 i32) (result i32) (i32.const 0))"#
    }
    expectRefused("'roost_filter' as (v128, externref, f32) -> ()") {
      $0.kind = #"(func (export "roost_filter") (param v128 externref f32))"#
    }
    expectRefused("exports 'roost_buffer', but not as a function") {
      $0.buffer = #"(global (export "roost_buffer") i32 (i32.const 1))"#
    }
    expectRefused("memory") { $0.memory = #"(memory 1) (func (export "memory"))"# }
  }

  @Test func unknownImports() {
    expectRefused("imports 'wasi_snapshot_preview1.fd_write'") {
      $0.header = #"(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#
    }
    expectRefused("imports 'roost.log' as () -> ()") { $0.header = #"(import "roost" "log" (func))"# }
    expectRefused("imports 'roost.log' as something") { $0.header = #"(import "roost" "log" (global i32))"# }
    expectRefused("imports 'roost.table'") { $0.header = #"(import "roost" "table" (table 1 funcref))"# }
    expectRefused("imports 'roost.tag'") { $0.header = #"(import "roost" "tag" (tag))"# }
    expectRefused("imports 'env.memory'") {
      $0.header = #"(import "env" "memory" (memory 1))"#
      $0.memory = ""
    }
  }

  @Test func unsupportedFeatures() {
    expectRefused("64-bit") { $0.memory = #"(memory (export "memory") i64 2)"# }
    expectRefused("shared") { $0.memory = #"(memory (export "memory") 2 4 shared)"# }
    expectRefused("exactly one memory") { $0.rest = "(memory 1)" }
    expectRefused("unsupported") { $0.rest = "(type (struct (field i32)))" }
    expectRefused("not valid WebAssembly") { $0.rest = "(tag)" }
    expectRefused("not valid WebAssembly") { $0.rest = "(func (return_call 0))" }
    expectRefused("not valid WebAssembly") {
      $0.rest =
        "(func (param v128 v128 v128) (result v128) (f32x4.relaxed_madd (local.get 0) (local.get 1) (local.get 2)))"
    }
  }

  @Test func wrongVersion() {
    expectFailure(.moduleFailed, "has ABI version 2") { () throws(RoostError) in
      var fixture = GuestFixture()
      fixture.abi = #"(func (export "roost_abi") (result i32) (i32.const 2))"#
      _ = try fixture.compile(engine)
    }
  }

  @Test func limitsOnSize() throws {
    var limits = testLimits()
    limits.functionsMax = 2
    expectFailure(.limitExceeded, "a number of functions of 3, the limit is 2") { () throws(RoostError) in
      _ = try GuestFixture().compile(WasmEngine(limits: limits))
    }
    limits = testLimits()
    limits.functionBytesMax = 10
    expectFailure(.limitExceeded, "a function with a size") { () throws(RoostError) in
      _ = try GuestFixture().compile(WasmEngine(limits: limits))
    }
    limits = testLimits()
    limits.codeBytesMax = 10
    expectFailure(.limitExceeded, "code size") { () throws(RoostError) in
      _ = try GuestFixture().compile(WasmEngine(limits: limits))
    }
    limits = testLimits()
    limits.moduleBytesMax = 50
    expectFailure(.limitExceeded, "the limit is 50") { () throws(RoostError) in
      _ = try GuestFixture().compile(WasmEngine(limits: limits))
    }
  }

  @Test func garbageAndTruncation() throws {
    let good = try WatText.assemble(GuestFixture().text)
    for bytes: [UInt8] in [[], [0], Array("hello, world".utf8), [0, 0x61, 0x73, 0x6d, 13, 0, 1, 0]] {
      expectFailure(.invalidArgument, "not valid WebAssembly") { () throws(RoostError) in
        _ = try engine.compile(bytes, name: "garbage")
      }
    }
    // One cut is whole: the one just before the custom section with the names of locals.
    let accepted = (0..<good.count).filter { (try? engine.compile(Array(good[..<$0]), name: "cut")) != nil }
    #expect(accepted.count == 1 && accepted[0] > good.count / 2, "\(accepted)")
    _ = try engine.compile(good, name: "whole")
    #expect(throws: RoostError.self) { try engine.compile(good, name: "no/such name") }
  }

  @Test func flippedBytesNeverCrash() throws {
    let good = try WatText.assemble(GuestFixture().text)
    var survivors = 0
    for position in 0..<good.count {
      for bit in [0, 3, 7] {
        var bytes = good
        bytes[position] ^= 1 << UInt8(bit)
        do throws(RoostError) {
          let filter = try engine.compile(bytes, name: "flipped").makeFilter()
          _ = try verdicts(filter, [Payload(), Payload()])
          survivors += 1
        } catch {
          #expect([.invalidArgument, .moduleFailed, .limitExceeded].contains(error.kind), "\(error)")
        }
      }
    }
    #expect(survivors > 0)
    #expect(engine.liveInstances == 0)
  }
}
