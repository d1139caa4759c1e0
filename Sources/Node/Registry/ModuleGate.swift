// What a module may take of the node, all its versions together: calls at a time and processor time. Requests
// beyond it are refused early, so that one module cannot hold up what does not use it.

import Core
import Synchronization
import Wasm
import Wire

final class ModuleGate: Sendable {
  let name: String
  /// Shared by the meters of all versions.
  let budget = WasmBudget()
  private let using = Atomic<Int>(0)
  private let callsMax = Atomic<Int>(0)
  private let refused = Atomic<UInt64>(0)

  init(name: String) { self.name = name }

  func set(_ quota: ModuleQuota, cores: Int) {
    callsMax.store(Int(quota.calls), ordering: .relaxed)
    budget.set(percent: Int(quota.cpuPercent), cores: cores)
  }

  /// Counts a user in; throws `.overloaded` when there are as many as the quota allows. `leave` must follow.
  func enter() throws(RoostError) {
    let limit = callsMax.load(ordering: .relaxed)
    let users = using.add(1, ordering: .relaxed).newValue
    guard limit == 0 || users <= limit else {
      using.subtract(1, ordering: .relaxed)
      refused.add(1, ordering: .relaxed)
      throw RoostError(
        .overloaded, "module '\(name)' is used by \(users - 1) requests, its limit is \(limit)",
        at: "module \(name)", remedy: "try again shortly, or raise its limit with `roost module quota`")
    }
  }

  func leave() { using.subtract(1, ordering: .relaxed) }

  /// Figures of the module as a whole.
  var metrics: [String: Value] {
    [
      "in_use": .int(Int64(using.load(ordering: .relaxed))),
      "refused_calls": .int(Int64(clamping: refused.load(ordering: .relaxed))),
      "refused_cpu": .int(Int64(clamping: budget.refused.load(ordering: .relaxed))),
    ]
  }
}

/// The modules that one request uses: counted in one by one, counted out together. What it got for a selector once
/// it gets again, so that all its queries are served by one version.
final class ModuleUse {
  private var gates: [ModuleGate] = []
  private var chosen: [(selector: ModuleSelector, version: ModuleVersion, module: WasmModule)] = []

  deinit { for gate in gates { gate.leave() } }

  /// Counts the request in, once for each module.
  func enter(_ gate: ModuleGate) throws(RoostError) {
    guard !gates.contains(where: { $0 === gate }) else { return }
    try gate.enter()
    gates.append(gate)
  }

  func choice(_ selector: ModuleSelector) -> (version: ModuleVersion, module: WasmModule)? {
    chosen.first { $0.selector == selector }.map { ($0.version, $0.module) }
  }

  func keep(_ version: ModuleVersion, _ module: WasmModule, for selector: ModuleSelector) {
    chosen.append((selector, version, module))
  }
}

extension WasmMeter {
  /// Figures of one version.
  var metrics: Value {
    func figure(_ counter: borrowing Atomic<UInt64>) -> Value {
      .int(Int64(clamping: counter.load(ordering: .relaxed)))
    }
    return .map([
      "calls": figure(calls), "items": figure(items), "guest_ns": figure(nanos), "failures": figure(failures),
      "deadline_misses": figure(deadlineMisses),
    ])
  }
}
