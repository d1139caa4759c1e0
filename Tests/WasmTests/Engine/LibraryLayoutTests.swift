// Our declarations of wasmtime's C structs against the library that is installed: what it writes must be
// exactly as large as we say, and mean what we think.

import CWasmtime
import Core
import Testing
import Wasm

@Suite struct LibraryLayoutTests {
  /// Memory with a pattern around a value, to see what a call writes.
  private func written<T>(_ type: T.Type, _ body: (UnsafeMutablePointer<T>) -> Void) -> (
    value: T, bytesTouched: Range<Int>
  ) {
    func run(_ pattern: UInt8) -> [UInt8] {
      let raw = UnsafeMutableRawBufferPointer.allocate(byteCount: 256, alignment: 16)
      defer { raw.deallocate() }
      raw.initializeMemory(as: UInt8.self, repeating: pattern)
      body(raw.baseAddress!.advanced(by: 64).assumingMemoryBound(to: T.self))
      return Array(raw)
    }
    let zeros = run(0)
    let ones = run(0xff)
    let touched = (0..<256).filter { zeros[$0] != 0 || ones[$0] != 0xff }
    let value = zeros.withUnsafeBytes { $0.load(fromByteOffset: 64, as: T.self) }
    return (value, (touched.first ?? 64) - 64..<(touched.last ?? 63) + 1 - 64)
  }

  @Test func structsHaveTheSizesOfTheLibrary() throws {
    let bytes = try WatText.assemble(
      #"""
      (module (memory (export "m") 1) (data (i32.const 7) "\2a")
        (global (export "g") i32 (i32.const 1))
        (func (export "f") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
          (local.get 3) (local.get 2) (local.get 1) (local.get 0))
        (func (export "v") (param v128 i32) (result i32 v128)
          (local.get 1) (i32x4.add (local.get 0) (local.get 0))))
      """#)
    let config = try #require(wasm_config_new())
    let engine = try #require(wasm_engine_new_with_config(config))
    defer { wasm_engine_delete(engine) }
    var module: OpaquePointer?
    #expect(wasmtime_module_new(engine, bytes, bytes.count, &module) == nil)
    let compiled = try #require(module)
    defer { wasmtime_module_delete(compiled) }
    let linker = wasmtime_linker_new(engine)
    defer { wasmtime_linker_delete(linker) }
    var template: OpaquePointer?
    #expect(wasmtime_linker_instantiate_pre(linker, compiled, &template) == nil)
    let pre = try #require(template)
    defer { wasmtime_instance_pre_delete(pre) }

    let store = try #require(wasmtime_store_new(engine, nil, nil))
    defer { wasmtime_store_delete(store) }
    let context = wasmtime_store_context(store)
    var trap: OpaquePointer?
    var instance = written(wasmtime_instance_t.self) {
      #expect(wasmtime_instance_pre_instantiate(pre, context, $0, &trap) == nil)
    }
    #expect(trap == nil)
    #expect(instance.value.store_id != 0)
    #expect(
      instance.bytesTouched.lowerBound >= 0
        && instance.bytesTouched.upperBound <= MemoryLayout<wasmtime_instance_t>.size)

    func export(_ name: String) -> wasmtime_extern_t {
      let item = written(wasmtime_extern_t.self) { place in
        #expect(wasmtime_instance_export_get(context, &instance.value, name, name.utf8.count, place))
      }
      #expect(
        item.bytesTouched.lowerBound >= 0
          && item.bytesTouched.upperBound <= MemoryLayout<wasmtime_extern_t>.size)
      return item.value
    }
    var memory = export("m")
    #expect(memory.kind == UInt8(WASMTIME_EXTERN_MEMORY))
    #expect(memory.of.memory.part.store_id == instance.value.store_id)
    #expect(wasmtime_memory_data_size(context, &memory.of.memory) == 65_536)
    #expect(wasmtime_memory_data(context, &memory.of.memory)?[7] == 42)
    #expect(export("g").of.global.store_id == instance.value.store_id)

    // Arguments and results share the slots: their stride and places must agree.
    var function = export("f")
    #expect(function.kind == UInt8(WASMTIME_EXTERN_FUNC))
    #expect(function.of.func.store_id == instance.value.store_id)
    var slots = [wasmtime_val_raw_t](repeating: wasmtime_val_raw_t(), count: 4)
    slots[0].i32 = -7
    slots[1].i64 = 1 << 40
    slots[2].f32 = 0.5
    slots[3].f64 = -1e300
    #expect(wasmtime_func_call_unchecked(context, &function.of.func, &slots, 4, &trap) == nil)
    #expect(slots[0].f64 == -1e300 && slots[1].f32 == 0.5 && slots[2].i64 == 1 << 40 && slots[3].i32 == -7)

    var vector = export("v")
    slots[0].v128 = (1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0)
    slots[1].i32 = 9
    #expect(wasmtime_func_call_unchecked(context, &vector.of.func, &slots, 2, &trap) == nil)
    #expect(slots[0].i32 == 9)
    withUnsafeBytes(of: slots[1].v128) { #expect($0.load(as: SIMD4<UInt32>.self) == [2, 4, 6, 8]) }
  }
}
