// The import module `roost_tensor`: which functions there are and how a guest's call gets to them.

import CKernels
import CWasmtime
import Core

enum TensorImports {
  static let module = "roost_tensor"
  static let version: Int32 = 1

  /// A function that does arithmetic; it fails by a trap.
  private struct Function: Sendable {
    var name: String
    var type: FunctionType
    var body: @Sendable (TensorCall) throws(TensorFault) -> Void
  }

  private static let versionName = "version"
  private static let versionType = FunctionType([], [.i32])

  private static let functions: [Function] = {
    func words(_ count: Int, _ results: [FunctionType.ValueType] = []) -> FunctionType {
      FunctionType(Array(repeating: .i32, count: count), results)
    }
    let layerNorm = FunctionType([.i32, .i32, .i32, .i32, .i32, .f32, .i32])
    return [
      Function(name: "packed_bytes", type: words(3, [.i32])) { (call) throws(TensorFault) in
        try call.packedBytes()
      },
      Function(name: "pack", type: words(6)) { (call) throws(TensorFault) in try call.pack() },
      Function(name: "linear", type: words(1)) { (call) throws(TensorFault) in try call.linear() },
      Function(name: "matmul", type: words(1)) { (call) throws(TensorFault) in try call.matmul() },
      Function(name: "convolve", type: words(1)) { (call) throws(TensorFault) in try call.convolve() },
      Function(name: "depthwise", type: words(1)) { (call) throws(TensorFault) in try call.depthwise() },
      Function(name: "pool", type: words(1)) { (call) throws(TensorFault) in try call.pool() },
      Function(name: "layer_norm", type: layerNorm) { (call) throws(TensorFault) in try call.layerNorm() },
      Function(name: "softmax", type: words(3)) { (call) throws(TensorFault) in try call.softmax() },
      Function(name: "activate", type: words(3)) { (call) throws(TensorFault) in try call.activate() },
      Function(name: "add", type: words(3)) { (call) throws(TensorFault) in try call.add() },
      Function(name: "lookup", type: words(6)) { (call) throws(TensorFault) in try call.lookup() },
    ]
  }()

  /// The type of each function by its name.
  static let types: [String: FunctionType] = {
    var types = [versionName: versionType]
    for function in functions { types[function.name] = function.type }
    return types
  }()

  /// Constant tables of the kernels that this CPU can run.
  nonisolated(unsafe) private static let kernel = roost_tensor_kernel_at(roost_cpu_level())

  static func define(in linker: OpaquePointer) {
    defineImport(module, versionName, versionType, in: linker) { _, caller, slots, _ in
      let granted = GuestHost.calling(caller)?.host.capabilities.contains(.tensor) ?? false
      slots[0].i32 = granted ? TensorImports.version : 0
      return nil
    }
    for (index, function) in functions.enumerated() {
      // The callback is one for all; its data says which function was called.
      let data = UnsafeMutableRawPointer(bitPattern: index)
      defineImport(module, function.name, function.type, in: linker, data: data) { data, caller, slots, _ in
        TensorImports.run(TensorImports.functions[Int(bitPattern: data)], caller, slots)
      }
    }
  }

  /// Runs one call; a fault becomes a trap, which ends the guest.
  private static func run(
    _ function: Function, _ caller: OpaquePointer, _ slots: UnsafeMutablePointer<wasmtime_val_raw_t>
  ) -> OpaquePointer? {
    let fault: TensorFault
    if let (host, memory) = GuestHost.calling(caller), host.capabilities.contains(.tensor) {
      do throws(TensorFault) {
        try function.body(TensorCall(memory: memory, slots: slots, scratch: host.scratch, kernel: kernel))
        return nil
      } catch { fault = error }
    } else {
      fault = TensorFault("the tensor capability was not granted")
    }
    let text = "\(module).\(function.name): \(fault.text)"
    return wasmtime_trap_new(text, text.utf8.count)
  }
}
