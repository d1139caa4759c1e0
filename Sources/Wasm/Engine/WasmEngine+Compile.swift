// From bytes to a module that runs: checked, then compiled or, when it has been compiled here before, loaded.

import CWasmtime
import Core
import Glibc

/// What a module's bytes say about it before they are compiled.
public struct WasmModuleSummary: Sendable {
  public var kind: WasmModuleKind
  /// The functions of the guest ABI that it exports, sorted.
  public var exports: [String]
  /// SHA-256 of the model that it carries, 32 bytes.
  public var modelDigest: [UInt8]?
}

extension WasmEngine {
  /// Checks a module's form, its limits and that it keeps the guest ABI, without compiling it.
  ///
  /// Throws `.invalidArgument` when it is not a module that keeps the guest ABI, `.limitExceeded` when it is too
  /// big.
  public static func inspect(
    _ bytes: [UInt8], name: String, limits: WasmLimits = WasmLimits()
  ) throws(RoostError) -> WasmModuleSummary {
    try validateName(name, what: "module")
    guard bytes.count <= limits.moduleBytesMax else {
      throw RoostError(
        .limitExceeded, "module '\(name)' has \(bytes.count) bytes, the limit is \(limits.moduleBytesMax)",
        at: "module \(name)")
    }
    let binary: ModuleBinary
    do {
      binary = try ModuleBinary(bytes)
    } catch {
      throw invalid(name, error.message, error.place)
    }
    let (kind, exports) = try GuestABI.check(binary, module: name, limits: limits)
    return WasmModuleSummary(kind: kind, exports: exports.sorted(), modelDigest: binary.modelDigest)
  }

  private static func invalid(_ name: String, _ text: String, _ place: String) -> RoostError {
    RoostError(
      .invalidArgument, "module '\(name)' is not valid WebAssembly: \(text)", at: place,
      remedy: "build it with `roost module build`, see spec/wasm-abi.md")
  }

  /// Compiles and checks a module; takes about a second per megabyte of code, on the calling thread.
  ///
  /// - Parameter state: what guests with the key-value capability find by key; as limited as a payload.
  ///
  /// Throws `.invalidArgument` when the bytes are not a module that keeps the guest ABI, `.limitExceeded`
  /// when it is too big, `.moduleFailed` when its own start-up code fails, `.overloaded` when too many
  /// instances are alive.
  public func compile(
    _ bytes: [UInt8], name: String, capabilities: WasmCapabilities = .usual, state: Payload = Payload(),
    meter: WasmMeter = WasmMeter()
  ) throws(RoostError) -> WasmModule {
    let module = try translate(bytes, name: name)
    defer { wasmtime_module_delete(module.handle) }
    return try link(
      module.handle, module.summary, name: name, capabilities: capabilities, state: state, meter: meter)
  }

  /// As `compile`, and gives the machine code, too, for `load`.
  public func compileForCache(
    _ bytes: [UInt8], name: String, capabilities: WasmCapabilities, state: Payload = Payload(),
    meter: WasmMeter = WasmMeter()
  ) throws(RoostError) -> (module: WasmModule, artefact: [UInt8]) {
    let module = try translate(bytes, name: name)
    defer { wasmtime_module_delete(module.handle) }
    var artefact = wasm_byte_vec_t()
    if let error = wasmtime_module_serialize(module.handle, &artefact) {
      throw RoostError(
        .internalFailure, "module '\(name)' cannot be kept compiled: \(WasmtimeFailure(error: error).text)",
        at: "module \(name)")
    }
    defer { wasm_byte_vec_delete(&artefact) }
    let bytes = Array(UnsafeRawBufferPointer(start: artefact.data, count: artefact.size))
    let linked = try link(
      module.handle, module.summary, name: name, capabilities: capabilities, state: state, meter: meter)
    return (linked, bytes)
  }

  /// The module of `bytes` from the machine code that `compileForCache` made of them; nil when that is of another
  /// engine or processor.
  ///
  /// The caller must know that the artefact is the one of these bytes and that nobody has changed it: machine code
  /// is run as it is. Throws what `compile` throws.
  public func load(
    _ artefact: ArraySlice<UInt8>, of bytes: [UInt8], name: String, capabilities: WasmCapabilities,
    state: Payload = Payload(), meter: WasmMeter = WasmMeter()
  ) throws(RoostError) -> WasmModule? {
    let summary = try WasmEngine.inspect(bytes, name: name, limits: limits)
    var module: OpaquePointer?
    let error = artefact.withUnsafeBufferPointer { raw in
      raw.baseAddress.flatMap { wasmtime_module_deserialize(engine, $0, raw.count, &module) }
    }
    if let error {
      wasmtime_error_delete(error)
      return nil
    }
    guard let module else { return nil }
    defer { wasmtime_module_delete(module) }
    return try link(module, summary, name: name, capabilities: capabilities, state: state, meter: meter)
  }

  private func translate(
    _ bytes: [UInt8], name: String
  ) throws(RoostError) -> (handle: OpaquePointer, summary: WasmModuleSummary) {
    let summary = try WasmEngine.inspect(bytes, name: name, limits: limits)
    var module: OpaquePointer?
    let error = bytes.withUnsafeBufferPointer { raw in
      raw.baseAddress.flatMap { wasmtime_module_new(engine, $0, raw.count, &module) }
    }
    if let error { throw WasmEngine.invalid(name, WasmtimeFailure(error: error).text, "module \(name)") }
    guard let module else { throw WasmEngine.invalid(name, "no bytes", "module \(name)") }
    return (module, summary)
  }

  private func link(
    _ module: OpaquePointer, _ summary: WasmModuleSummary, name: String, capabilities: WasmCapabilities,
    state: Payload = Payload(), meter: WasmMeter
  ) throws(RoostError) -> WasmModule {
    var template: OpaquePointer?
    if let error = wasmtime_linker_instantiate_pre(linker, module, &template) {
      throw WasmEngine.invalid(name, WasmtimeFailure(error: error).text, "module \(name)")
    }
    guard let template else { throw WasmEngine.invalid(name, "it cannot be linked", "module \(name)") }
    return try WasmModule(
      code: ModuleCode(
        engine: self, template: template, name: name, kind: summary.kind, exports: Set(summary.exports),
        capabilities: capabilities, state: state.fields.isEmpty ? .empty : GuestState(state), meter: meter))
  }

  /// What machine code depends on besides the module: wasmtime, its settings and the processor. wasmtime looks at
  /// these itself; with this, artefacts of another machine are not even tried.
  public var fingerprint: String {
    "wasmtime \(ROOST_WASMTIME_VERSION) memory \(memoryReservation) guard \(WasmEngine.guardBytes) "
      + "stack \(limits.stackBytesMax) cpu \(WasmEngine.processor)"
  }

  /// The features of the processor, as Linux names them.
  private static let processor: String = {
    guard let file = fopen("/proc/cpuinfo", "r") else { return "unknown" }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 16 * 1024)
    while fgets(&line, Int32(line.count), file) != nil {
      let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
      if text.hasPrefix("flags") || text.hasPrefix("Features") {
        return text.split(separator: ":").last.map { $0.trimmingPrefix(" ") }.map(String.init) ?? "unknown"
      }
    }
    return "unknown"
  }()
}
