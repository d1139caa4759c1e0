// What wasmtime says went wrong, turned into words; frees wasmtime's objects on the way.

import CWasmtime

/// How a guest call, an instantiation or a compilation failed.
struct WasmtimeFailure: Error {
  var text: String
  /// The guest ran until its epoch deadline.
  var isDeadline = false

  /// Takes ownership of `error`.
  init(error: OpaquePointer, isDeadline: Bool = false) {
    self.isDeadline = isDeadline
    var message = wasm_byte_vec_t()
    wasmtime_error_message(error, &message)
    text = WasmtimeFailure.take(&message)
    wasmtime_error_delete(error)
  }

  /// Takes ownership of `trap`.
  init(trap: OpaquePointer) {
    var code: UInt8 = 0
    if wasmtime_trap_code(trap, &code), Int(code) < WasmtimeFailure.trapTexts.count {
      text = WasmtimeFailure.trapTexts[Int(code)]
    } else {
      var message = wasm_byte_vec_t()
      wasm_trap_message(trap, &message)
      text = WasmtimeFailure.take(&message)
    }
    wasm_trap_delete(trap)
  }

  /// By `wasmtime_trap_code`.
  private static let trapTexts = [
    "overflowed its stack", "accessed memory out of bounds", "made a misaligned atomic access",
    "accessed a table out of bounds", "called a null table entry",
    "called a function with the wrong signature",
    "overflowed an integer", "divided by zero", "converted a float that does not fit an integer",
    "reached unreachable code",
  ]

  private static func take(_ message: inout wasm_byte_vec_t) -> String {
    defer { wasm_byte_vec_delete(&message) }
    guard let data = message.data else { return "unknown failure" }
    let raw = UnsafeRawBufferPointer(start: data, count: message.size)
    return printable(raw, atMost: 2_048)
  }
}

/// Bytes from a guest as text that is safe to print: repaired UTF-8, control characters as spaces.
func printable(_ bytes: UnsafeRawBufferPointer, atMost limit: Int) -> String {
  let text = String(decoding: bytes.prefix(limit), as: UTF8.self)
  var scalars = String.UnicodeScalarView()
  for scalar in text.unicodeScalars {
    switch scalar.properties.generalCategory {
    case .control, .format, .lineSeparator, .paragraphSeparator: scalars.append(" ")
    default: scalars.append(scalar)
    }
  }
  return String(scalars)
}
