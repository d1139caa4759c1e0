// What the host keeps for one running guest: where its imports find their state.

import CKernels
import CWasmtime

/// The state behind the imports of one instance; confined, like the instance, to one thread at a time.
final class GuestHost {
  let log: GuestLog
  let capabilities: WasmCapabilities
  let scratch = TensorScratch()
  /// The values published with the module.
  let state: GuestState
  /// The query's reading of the clock.
  var nowMicros: Int64
  /// Of the query's random numbers.
  let seed: UInt64

  init(
    log: GuestLog, capabilities: WasmCapabilities, state: GuestState, nowMicros: Int64, seed: UInt64
  ) {
    self.log = log
    self.capabilities = capabilities
    self.state = state
    self.nowMicros = nowMicros
    self.seed = seed
  }

  /// The host of the guest that is calling, and its memory; nil for a guest without one.
  @inline(__always)
  static func calling(_ caller: OpaquePointer) -> (host: GuestHost, memory: GuestMemory)? {
    let context = wasmtime_caller_context(caller)
    guard let data = wasmtime_context_get_data(context) else { return nil }
    var export = wasmtime_extern_t()
    guard wasmtime_caller_export_get(caller, GuestABI.memory, GuestABI.memory.utf8.count, &export) else {
      return nil
    }
    defer { wasmtime_extern_delete(&export) }
    guard export.kind == UInt8(WASMTIME_EXTERN_MEMORY) else { return nil }
    return (
      Unmanaged<GuestHost>.fromOpaque(data).takeUnretainedValue(), GuestMemory(context, &export.of.memory)
    )
  }
}

extension FunctionType {
  /// Makes wasmtime's description of this type and hands it to `body`.
  func withHandle(_ body: (OpaquePointer) -> Void) {
    func list(_ types: [ValueType]) -> wasm_valtype_vec_t {
      var kinds = types.map { wasm_valtype_new($0.wasmtimeKind) }
      var list = wasm_valtype_vec_t()
      wasm_valtype_vec_new(&list, kinds.count, &kinds)
      return list
    }
    var (parameters, results) = (list(parameters), list(results))
    guard let type = wasm_functype_new(&parameters, &results) else { return }
    defer { wasm_functype_delete(type) }
    body(type)
  }
}

extension FunctionType.ValueType {
  fileprivate var wasmtimeKind: UInt8 {
    switch self {
    case .i64: UInt8(WASM_I64)
    case .f32: UInt8(WASM_F32)
    case .f64: UInt8(WASM_F64)
    default: UInt8(WASM_I32)
    }
  }
}

/// Offers a function to guests; `data` is what the callback gets first. Where that fails, modules that import
/// the function are refused by name when they are compiled.
func defineImport(
  _ module: String, _ name: String, _ type: FunctionType, in linker: OpaquePointer,
  data: UnsafeMutableRawPointer? = nil, _ callback: wasmtime_func_unchecked_callback_t
) {
  type.withHandle { type in
    if let error = wasmtime_linker_define_func_unchecked(
      linker, module, module.utf8.count, name, name.utf8.count, type, callback, data, nil)
    {
      wasmtime_error_delete(error)
    }
  }
}
