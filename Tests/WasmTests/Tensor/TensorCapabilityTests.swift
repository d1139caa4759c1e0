// The tensor capability as a guest sees it: the host's arithmetic equals the guest's own, what is wrong ends
// in an error that names the function, and withheld it says so.

import Core
import Testing
import Wasm

@Suite struct TensorCapabilityTests {
  /// A guest that embeds by calling one function with constant arguments, then gives version and 0.
  private func guest(_ name: String, _ type: String, _ arguments: String, data: String = "") -> GuestFixture {
    var fixture = GuestFixture.embedder(
      """
      (call $f \(arguments))
      (f32.store (local.get $out) (f32.convert_i32_s (call $version)))
      (f32.store offset=4 (local.get $out) (f32.load (i32.const 2048)))
      (local.get $n)
      """)
    fixture.header = """
      (import "roost_tensor" "version" (func $version (result i32)))
      (import "roost_tensor" "\(name)" (func $f (param \(type))))
      """
    fixture.rest = data
    return fixture
  }

  private func words(_ words: [Int]) -> String {
    let bytes = words.flatMap { word in
      (0..<4).map { UInt32(truncatingIfNeeded: word) >> (8 * UInt32($0)) & 0xff }
    }
    let text = bytes.map { "\\" + String(UInt32(0x100) + $0, radix: 16).dropFirst() }.joined()
    return "(data (i32.const 1024) \"\(text)\")"
  }

  @Test func aGrantedFunctionWorks() throws {
    // 2048: 1 + 1 at y after y += x, both at 2048.
    let module = try guest(
      "add", "i32 i32 i32", "(i32.const 2048) (i32.const 2048) (i32.const 1)",
      data: #"(data (i32.const 2048) "\00\00\80\3f")"#
    ).compile(WasmEngine(limits: testLimits()))
    #expect(try module.embed(["a"], deadlineMs: 1_000) == [[1, 2]])
  }

  @Test func withheldItHasVersionZeroAndItsFunctionsTrap() throws {
    let engine = try WasmEngine(limits: testLimits())
    let bytes = try WatText.assemble(
      guest("add", "i32 i32 i32", "(i32.const 0) (i32.const 0) (i32.const 0)").text)
    let module = try engine.compile(bytes, name: "guest", capabilities: [])
    expectFailure(.moduleFailed, "roost_tensor.add", "not granted") { () throws(RoostError) in
      _ = try module.embed(["a"], deadlineMs: 1_000)
    }
    var fixture = GuestFixture.embedder(
      "(f32.store (local.get $out) (f32.convert_i32_s (call $version))) (f32.store offset=4 (local.get $out) (f32.const 1)) (local.get $n)"
    )
    fixture.header = #"(import "roost_tensor" "version" (func $version (result i32)))"#
    let asking = try engine.compile(WatText.assemble(fixture.text), name: "guest", capabilities: [.log])
    #expect(try asking.embed(["a"], deadlineMs: 1_000) == [[0, 1]])
  }

  private static let huge = 0xffff_fffc
  @Test(arguments: [
    ("linear", [1, 0, 1, 1, 1, huge, 1, 2048, 0, 2048, 1], "outside the memory"),
    ("linear", [1, 0, 1, 1, 1, 2049, 1, 2048, 0, 2048, 1], "multiple of 4"),
    ("linear", [9, 0, 1, 1, 1, 2048, 1, 2048, 0, 2048, 1], "unknown weights 9"),
    ("linear", [1, 9, 1, 1, 1, 2048, 1, 2048, 0, 2048, 1], "unknown activation 9"),
    ("linear", [1, 0, 2, 8, 1, 2048, 1, 2048, 0, 2048, 1], "stride"),
    ("linear", [1, 0, 1 << 20, 1 << 10, 1 << 10, 2048, 1 << 10, 2048, 0, 2048, 1 << 10], "operations"),
    ("linear", [1, 0, huge, huge, huge, 2048, huge, 2048, 0, 2048, huge], "too large"),
    ("linear", [3, 0, 0, 70_000, 1, 2048, 70_000, 2048, 0, 2048, 1], "too large"),
    ("matmul", [1, 1, 1, 1, 0, 7, 2048, 1, 0, 2048, 1, 0, 2048, 1, 0], "unknown layout 7"),
    ("matmul", [2, 1, 1, 1, 0, 0, 2048, 1, huge, 2048, 1, 0, 2048, 1, 0], "outside the memory"),
    ("convolve", [1, 0, 4, 4, 1, 0, 3, 1, 1, 1, 4, 4, 1, 2048, 2048, 0, 2048], "filter of 0 x 3"),
    ("convolve", [1, 0, 70_000, 4, 1, 3, 3, 1, 1, 1, 4, 4, 1, 2048, 2048, 0, 2048], "a side of 70000"),
    // Windows that lie far outside the image.
    (
      "convolve", [1, 0, 4, 4, 1, 3, 3, 60_000, 60_000, 60_000, 4_000, 4_000, 1, 2048, 2048, 0, 2048],
      "outside the memory"
    ),
    ("convolve", [1, 0, 4, 4, 1, 3, 3, 9_000, 1, 1, 2, 2, 1, 2048, 2048, 0, 2048], "scratch"),
    ("depthwise", [0, 200, 200, 8, 3, 3, 1, 1, 1, 200, 200, 2048, 2048, 0, 2048], "outside the memory"),
    ("pool", [5, 4, 4, 1, 2, 2, 2, 0, 0, 2, 2, 2048, 2048], "unknown kind of pooling 5"),
  ])
  func whatIsWrongIsNamed(name: String, call: [Int], words text: String) throws {
    let module = try guest(name, "i32", "(i32.const 1024)", data: words(call)).compile(
      WasmEngine(limits: testLimits()))
    expectFailure(.moduleFailed, "roost_tensor.\(name)", text) { () throws(RoostError) in
      _ = try module.embed(["a"], deadlineMs: 1_000)
    }
  }

  @Test func aDescriptionOutsideTheMemoryIsRefused() throws {
    let module = try guest("linear", "i32", "(i32.const -4)").compile(WasmEngine(limits: testLimits()))
    expectFailure(.moduleFailed, "description") { () throws(RoostError) in
      _ = try module.embed(["a"], deadlineMs: 1_000)
    }
  }

  @Test func anIDOutsideItsTableIsRefused() throws {
    let module = try guest(
      "lookup", "i32 i32 i32 i32 i32 i32",
      "(i32.const 4096) (i32.const 3) (i32.const 4) (i32.const 1024) (i32.const 1) (i32.const 2048)",
      data: words([3])
    ).compile(WasmEngine(limits: testLimits()))
    expectFailure(.moduleFailed, "id 3 is outside a table of 3 rows") { () throws(RoostError) in
      _ = try module.embed(["a"], deadlineMs: 1_000)
    }
  }

  /// `tensor-check` does everything twice, with the host and by itself, and returns the largest differences.
  @Test func theHostsArithmeticEqualsTheGuests() throws {
    let sdk = GuestModuleTests.guests + "/sdk"
    let source = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast().joined(
      separator: "/")
    let bytes = try ModuleBuilder(sdkPath: sdk).build(source + "/TensorCheck.guest")
    let module = try WasmEngine().compile(bytes, name: "tensor-check")
    let differences = try module.embed(["a"], deadlineMs: 10_000)[0]
    #expect(differences[0] == 1, "the capability is granted")
    for (index, difference) in differences.dropFirst().enumerated() {
      #expect(difference >= 0 && difference < 2e-2, "function \(index) differs by \(difference)")
    }
  }
}
