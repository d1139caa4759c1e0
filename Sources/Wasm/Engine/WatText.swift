// WebAssembly's text format, for tests and fuzzing; nothing on the way of a query reads text.

import CWasmtime
import Core

package enum WatText {
  /// The binary of a module in text format. Throws `.invalidArgument` with the parser's words.
  package static func assemble(_ text: String) throws(RoostError) -> [UInt8] {
    var bytes = wasm_byte_vec_t()
    if let error = wasmtime_wat2wasm(text, text.utf8.count, &bytes) {
      throw RoostError(.invalidArgument, WasmtimeFailure(error: error).text, at: "WebAssembly text")
    }
    defer { wasm_byte_vec_delete(&bytes) }
    return bytes.data.map { Array(UnsafeRawBufferPointer(start: $0, count: bytes.size)) } ?? []
  }
}
