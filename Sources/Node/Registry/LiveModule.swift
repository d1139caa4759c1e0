// One version of a module in memory: compiled when it is first needed, and kept by the queries that use it.

import Core
import Storage
import Synchronization
import Wasm
import Wire

final class LiveModule: Sendable {
  let name: String
  let release: ModuleRelease
  let grants: WasmCapabilities
  let values: Payload
  let gate: ModuleGate
  let meter: WasmMeter
  private let state: Mutex<State>
  private let loading = AsyncLock()

  private struct State: Sendable {
    var compiled: WasmModule?
    var failure: RoostError?
  }

  init(
    name: String, release: ModuleRelease, grants: WasmCapabilities, values: Payload, gate: ModuleGate,
    meter: WasmMeter? = nil, compiled: WasmModule? = nil, failure: RoostError? = nil
  ) {
    self.name = name
    self.release = release
    self.grants = grants
    self.values = values
    self.gate = gate
    self.meter = meter ?? WasmMeter(budget: gate.budget)
    state = Mutex(State(compiled: compiled, failure: failure))
  }

  var version: ModuleVersion {
    ModuleVersion(name: name, version: release.number, sha256: release.digest.text)
  }

  /// Why it cannot be used, as far as is known.
  var failure: RoostError? { state.withLock { $0.failure } }

  /// The compiled module, if it has been needed before.
  private var ready: WasmModule? { state.withLock { $0.compiled } }

  /// The compiled module; `load` makes it the first time. One that was damaged or refused stays so.
  func module(
    _ load: @Sendable () async throws(RoostError) -> WasmModule
  ) async throws(RoostError) -> WasmModule {
    if let module = ready { return module }
    await loading.acquire()
    defer { loading.release() }
    if let module = ready { return module }
    if let failure { throw failure }
    do throws(RoostError) {
      let module = try await load()
      state.withLock { $0.compiled = module }
      return module
    } catch {
      // A disk or an overload may be better the next time.
      if error.kind == .corrupted || error.kind == .permissionDenied { state.withLock { $0.failure = error } }
      throw error
    }
  }

  /// As the answer to whoever asks about it.
  var description: ModuleDescription {
    ModuleDescription(
      name: name, version: release.number, kind: release.kind, byteCount: release.byteCount,
      sha256: release.digest.text, modelSHA256: release.model?.text, exports: release.exports,
      signer: release.signature.flatMap { PublicKey(bytes: $0.key) }?.description,
      publishedMs: release.published.time >> 16, failure: failure?.description)
  }
}
