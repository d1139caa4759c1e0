// The import module `roost_tensor`: which functions there are and how a guest's call gets to them.

import CKernels
import CWasmtime
import Core

enum TensorImports {
  static let module = "roost_tensor"
  static let version: Int32 = 1

  /// The functions by name; those that return nothing fail by a trap.
  static let types: [String: FunctionType] = {
    func words(_ count: Int, _ results: [FunctionType.ValueType] = []) -> FunctionType {
      FunctionType(Array(repeating: .i32, count: count), results)
    }
    return [
      "version": words(0, [.i32]), "packed_bytes": words(3, [.i32]), "pack": words(6), "linear": words(1),
      "matmul": words(1), "convolve": words(1), "depthwise": words(1), "pool": words(1),
      "layer_norm": FunctionType([.i32, .i32, .i32, .i32, .i32, .f32, .i32]), "softmax": words(3),
      "activate": words(3), "add": words(3), "lookup": words(6),
    ]
  }()

  private static let level = roost_cpu_level()

  static func define(in linker: OpaquePointer) {
    define("version", linker) { _, caller, slots, _ in
      let granted = GuestHost.calling(caller)?.host.capabilities.contains(.tensor) ?? false
      slots[0].i32 = granted ? TensorImports.version : 0
      return nil
    }
    define("packed_bytes", linker) { _, caller, slots, _ in
      TensorImports.run("packed_bytes", caller, slots) { (call) throws(TensorFault) in
        let bytes = try call.packedBytes(
          try call.weights(call.count(0)), inputs: call.count(1), outputs: call.count(2))
        slots[0].i32 = Int32(truncatingIfNeeded: bytes)
      }
    }
    define("pack", linker) { _, caller, slots, _ in
      TensorImports.run("pack", caller, slots) { (call) throws(TensorFault) in try call.pack() }
    }
    define("linear", linker) { _, caller, slots, _ in
      TensorImports.run("linear", caller, slots) { (call) throws(TensorFault) in try call.linear() }
    }
    define("matmul", linker) { _, caller, slots, _ in
      TensorImports.run("matmul", caller, slots) { (call) throws(TensorFault) in try call.matmul() }
    }
    define("convolve", linker) { _, caller, slots, _ in
      TensorImports.run("convolve", caller, slots) { (call) throws(TensorFault) in try call.convolve() }
    }
    define("depthwise", linker) { _, caller, slots, _ in
      TensorImports.run("depthwise", caller, slots) { (call) throws(TensorFault) in try call.depthwise() }
    }
    define("pool", linker) { _, caller, slots, _ in
      TensorImports.run("pool", caller, slots) { (call) throws(TensorFault) in try call.pool() }
    }
    define("layer_norm", linker) { _, caller, slots, _ in
      TensorImports.run("layer_norm", caller, slots) { (call) throws(TensorFault) in try call.layerNorm() }
    }
    define("softmax", linker) { _, caller, slots, _ in
      TensorImports.run("softmax", caller, slots) { (call) throws(TensorFault) in try call.softmax() }
    }
    define("activate", linker) { _, caller, slots, _ in
      TensorImports.run("activate", caller, slots) { (call) throws(TensorFault) in try call.activate() }
    }
    define("add", linker) { _, caller, slots, _ in
      TensorImports.run("add", caller, slots) { (call) throws(TensorFault) in try call.add() }
    }
    define("lookup", linker) { _, caller, slots, _ in
      TensorImports.run("lookup", caller, slots) { (call) throws(TensorFault) in try call.lookup() }
    }
  }

  private static func define(
    _ name: String, _ linker: OpaquePointer,
    _ callback:
      @escaping @convention(c) (
        UnsafeMutableRawPointer?, OpaquePointer, UnsafeMutablePointer<wasmtime_val_raw_t>, Int
      ) -> OpaquePointer?
  ) {
    guard let type = types[name] else { return }
    defineImport(module, name, type, in: linker, callback)
  }

  /// Runs one call; a fault becomes a trap, which ends the guest.
  private static func run(
    _ name: String, _ caller: OpaquePointer, _ slots: UnsafeMutablePointer<wasmtime_val_raw_t>,
    _ body: (TensorCall) throws(TensorFault) -> Void
  ) -> OpaquePointer? {
    let fault: TensorFault
    if let (host, memory) = GuestHost.calling(caller), host.capabilities.contains(.tensor) {
      do throws(TensorFault) {
        try body(
          TensorCall(
            memory: memory, slots: slots, scratch: host.scratch, kernel: roost_tensor_kernel_at(level)))
        return nil
      } catch { fault = error }
    } else {
      fault = TensorFault("the tensor capability was not granted")
    }
    let text = "\(module).\(name): \(fault.text)"
    return wasmtime_trap_new(text, text.utf8.count)
  }
}
