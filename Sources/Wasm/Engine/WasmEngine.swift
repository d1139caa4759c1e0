// The WebAssembly engine of a process: compiles modules and sets the limits under which they run.
// No WASI, no threads, no features whose results differ between machines.

import CWasmtime
import Core
import Glibc
import Synchronization

public enum WasmLogLevel: Int32, Sendable, CaseIterable {
  case debug = 0
  case info = 1
  case warning = 2
  case error = 3
}

/// Receives what guests log: level, module and a printable line. Called on the thread of the query.
public typealias WasmLog = @Sendable (_ level: WasmLogLevel, _ module: String, _ line: String) -> Void

/// Compiles modules; one per process. It lives as long as any module made by it.
///
/// Safety of `@unchecked Sendable`: the two wasmtime objects are constant and wasmtime makes engines and
/// linkers usable from any thread as long as they are not changed, which nothing does after `init`.
public final class WasmEngine: @unchecked Sendable {
  public let limits: WasmLimits
  let engine: OpaquePointer
  let linker: OpaquePointer
  let ticker: EpochTicker
  let log: WasmLog
  /// Address space of each guest memory, in bytes; compiled code relies on it.
  let memoryReservation: UInt64
  /// Idle embedders of all modules; each `WasmModule` takes its own out when it goes away.
  let embedders: InstancePool
  private let instances = Atomic<Int>(0)

  /// Throws `.unavailable` when the process cannot get the address space or the thread that it needs.
  public init(limits: WasmLimits = WasmLimits(), log: @escaping WasmLog = { _, _, _ in }) throws(RoostError) {
    self.limits = limits
    self.log = log
    embedders = InstancePool(idlePerModuleMax: limits.idleInstancesPerModuleMax)
    guard let config = wasm_config_new(), let pool = wasmtime_pooling_allocation_config_new() else {
      throw RoostError(.unavailable, "wasmtime could not be set up", at: "wasm engine")
    }
    WasmEngine.configure(config, limits: limits)
    WasmEngine.configurePool(pool, limits: limits)
    memoryReservation = try WasmEngine.reservation(limits: limits)
    wasmtime_config_memory_reservation_set(config, memoryReservation)
    wasmtime_config_memory_guard_size_set(config, WasmEngine.guardBytes)
    wasmtime_pooling_allocation_strategy_set(config, pool)
    wasmtime_pooling_allocation_config_delete(pool)

    guard let engine = wasm_engine_new_with_config(config) else {
      throw RoostError(.unavailable, "wasmtime could not be set up", at: "wasm engine")
    }
    self.engine = engine
    linker = wasmtime_linker_new(engine)
    guard let ticker = EpochTicker(engine: engine) else {
      wasmtime_linker_delete(linker)
      wasm_engine_delete(engine)
      throw RoostError(.unavailable, "the thread for guest deadlines did not start", at: "wasm engine")
    }
    self.ticker = ticker
    GuestLog.define(in: linker)
    QueryImports.define(in: linker)
    TensorImports.define(in: linker)
  }

  deinit {
    ticker.stop()
    wasmtime_linker_delete(linker)
    wasm_engine_delete(engine)
  }

  private static func configure(_ config: OpaquePointer, limits: WasmLimits) {
    wasmtime_config_epoch_interruption_set(config, true)
    wasmtime_config_max_wasm_stack_set(config, limits.stackBytesMax)
    wasmtime_config_cranelift_opt_level_set(config, UInt8(WASMTIME_OPT_LEVEL_SPEED))
    // Compilation stays on the thread that asked for it and leaves the other cores to queries.
    wasmtime_config_parallel_compilation_set(config, false)
    wasmtime_config_wasm_threads_set(config, false)
    wasmtime_config_wasm_tail_call_set(config, false)
    wasmtime_config_wasm_function_references_set(config, false)
    wasmtime_config_wasm_gc_set(config, false)
    wasmtime_config_wasm_relaxed_simd_set(config, false)
    wasmtime_config_wasm_multi_memory_set(config, false)
    wasmtime_config_wasm_memory64_set(config, false)
    wasmtime_config_wasm_exceptions_set(config, false)
  }

  private static func configurePool(_ pool: OpaquePointer, limits: WasmLimits) {
    let instances = UInt32(limits.instancesMax)
    wasmtime_pooling_allocation_config_total_core_instances_set(pool, instances)
    wasmtime_pooling_allocation_config_total_memories_set(pool, instances)
    wasmtime_pooling_allocation_config_total_tables_set(pool, instances)
    // Guests run on our own stacks; a thousand unused ones would take two mappings each of the 65,530 that
    // Linux gives a process, and running out of them aborts it.
    wasmtime_pooling_allocation_config_total_stacks_set(pool, 1)
    wasmtime_pooling_allocation_config_table_elements_set(pool, limits.tableElementsMax)
    wasmtime_pooling_allocation_config_max_memory_size_set(pool, limits.memoryBytesMax)
    wasmtime_pooling_allocation_config_max_core_instance_size_set(pool, 1 << 20)
    // A reused slot keeps this much and is cleared by memset, which is cheaper than page faults.
    wasmtime_pooling_allocation_config_linear_memory_keep_resident_set(pool, 256 * 1024)
    wasmtime_pooling_allocation_config_max_unused_warm_slots_set(pool, min(instances, 16))
  }

  static let guardBytes: UInt64 = 32 << 20

  /// Address space per memory. With 4 GiB and guards, compiled code needs no bounds checks; where the
  /// process cannot have that (39-bit kernels, `ulimit -v`), it takes just the memory limit, with checks.
  /// Asked beforehand, since wasmtime's C API aborts when its own reservation fails.
  private static func reservation(limits: WasmLimits) throws(RoostError) -> UInt64 {
    for bytes in [4 << 30, UInt64(limits.memoryBytesMax)] {
      let total = (bytes + 2 * guardBytes) * UInt64(limits.instancesMax + 1)
      let address = mmap(nil, Int(total), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
      if let address, address != MAP_FAILED {
        munmap(address, Int(total))
        return bytes
      }
    }
    throw RoostError(
      .unavailable, "no address space for \(limits.instancesMax) guest memories", at: "wasm engine",
      remedy: "raise `ulimit -v`, or lower the number of instances or their memory")
  }

  /// Counts an instance in, at the cost of an idle one if need be; throws `.overloaded` when there are as
  /// many in use as the limit allows.
  func admitInstance(of module: String) throws(RoostError) {
    while instances.add(1, ordering: .relaxed).newValue > limits.instancesMax {
      releaseInstance()
      if embedders.evictOldest() { continue }
      throw RoostError(
        .overloaded, "\(limits.instancesMax) guest instances are in use", at: "module \(module)",
        remedy: "retry in a few milliseconds")
    }
  }

  func releaseInstance() { instances.subtract(1, ordering: .relaxed) }

  /// Instances alive now, idle ones included.
  public var liveInstances: Int { instances.load(ordering: .relaxed) }
}
