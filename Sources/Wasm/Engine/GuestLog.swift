// The one import of guests: `roost.log`. Lines are capped in length and number, so that a guest can
// neither flood the log nor spend the host's time.

import CWasmtime
import Core

/// The log of one instance; confined, like the instance, to one thread at a time.
final class GuestLog {
  private let module: String
  private let sink: WasmLog
  private let lineBytesMax: Int
  /// Lines that the current call may still write.
  var linesLeft = 0

  init(module: String, sink: @escaping WasmLog, lineBytesMax: Int) {
    self.module = module
    self.sink = sink
    self.lineBytesMax = lineBytesMax
  }

  private func write(level: Int32, line: UnsafeRawBufferPointer) {
    guard linesLeft > 0 else { return }
    linesLeft -= 1
    sink(WasmLogLevel(rawValue: level) ?? .info, module, printable(line, atMost: lineBytesMax))
  }

  /// Defines `roost.log(level, address, length)`. Bytes outside the memory are ignored: a log line is
  /// not worth failing a query.
  static func define(in linker: OpaquePointer) {
    var kinds = [WASM_I32, WASM_I32, WASM_I32].map { wasm_valtype_new(UInt8($0)) }
    var parameters = wasm_valtype_vec_t()
    wasm_valtype_vec_new(&parameters, kinds.count, &kinds)
    var results = wasm_valtype_vec_t()
    wasm_valtype_vec_new(&results, 0, nil)
    guard let type = wasm_functype_new(&parameters, &results) else { return }
    defer { wasm_functype_delete(type) }

    let callback: wasmtime_func_unchecked_callback_t = { _, caller, slots, count in
      let context = wasmtime_caller_context(caller)
      guard count >= 3, let data = wasmtime_context_get_data(context) else { return nil }
      let log = Unmanaged<GuestLog>.fromOpaque(data).takeUnretainedValue()
      var export = wasmtime_extern_t()
      guard wasmtime_caller_export_get(caller, GuestABI.memory, GuestABI.memory.utf8.count, &export) else {
        return nil
      }
      defer { wasmtime_extern_delete(&export) }
      guard export.kind == UInt8(WASMTIME_EXTERN_MEMORY),
        let line = GuestMemory(context, &export.of.memory).bytes(
          at: UInt32(bitPattern: slots[1].i32), count: Int(UInt32(bitPattern: slots[2].i32)))
      else { return nil }
      log.write(level: slots[0].i32, line: UnsafeRawBufferPointer(line))
      return nil
    }
    if let error = wasmtime_linker_define_func_unchecked(
      linker, GuestABI.importModule, GuestABI.importModule.utf8.count, GuestABI.log, GuestABI.log.utf8.count,
      type,
      callback, nil, nil)
    {
      // Without it, modules that log are refused by name when they are compiled.
      wasmtime_error_delete(error)
    }
  }
}
