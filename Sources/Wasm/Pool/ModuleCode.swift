// Compiled code and what is known about it: the part of a module that its instances share.

import CWasmtime
import Core

/// Safety of `@unchecked Sendable`: `template` (a `wasmtime_instance_pre_t`) is constant and may be
/// instantiated from any thread; everything else is an immutable value.
final class ModuleCode: @unchecked Sendable {
  let engine: WasmEngine
  let template: OpaquePointer
  let name: String
  let kind: WasmModuleKind
  /// The exports of the ABI that this module has.
  let exports: Set<String>
  let capabilities: WasmCapabilities
  let state: GuestState
  let meter: WasmMeter

  /// Takes ownership of `template`.
  init(
    engine: WasmEngine, template: OpaquePointer, name: String, kind: WasmModuleKind, exports: Set<String>,
    capabilities: WasmCapabilities, state: GuestState, meter: WasmMeter
  ) {
    self.engine = engine
    self.template = template
    self.name = name
    self.kind = kind
    self.exports = exports
    self.capabilities = capabilities
    self.state = state
    self.meter = meter
  }

  deinit { wasmtime_instance_pre_delete(template) }

  func failure(_ message: String, remedy: String = "") -> RoostError {
    meter.failures.add(1, ordering: .relaxed)
    return RoostError(.moduleFailed, "module '\(name)' \(message)", at: "module \(name)", remedy: remedy)
  }
}
