// The modules of a node: which versions there are (`RegistryTable`), their files (`RegistryFiles`), and their
// compiled code. A query keeps the version that it started with; publishing swaps what the next one gets.

import Core
import Storage
import Synchronization
import Wasm
import Wire

final class ModuleRegistry: Sendable {
  /// Refuses a module that is about to become current.
  typealias Approval = @Sendable (WasmModule) throws(RoostError) -> Void

  private struct State: Sendable {
    var table = RegistryTable()
    /// By name and number.
    var live: [String: [UInt32: LiveModule]] = [:]
    var gates: [String: ModuleGate] = [:]
  }

  private let files: RegistryFiles
  private let cache: ArtefactCache
  private let engine: WasmEngine
  private let runtime: Runtime
  private let policy: SignaturePolicy
  private let defaultGrants: WasmCapabilities
  private let clock: HybridClock
  private let state: Mutex<State>
  /// Held while the table changes.
  private let changing = AsyncLock()
  /// Modules that were compiled, and that the cache had, since the start.
  let compiled = Atomic<UInt64>(0)
  let loaded = Atomic<UInt64>(0)
  /// One compilation at a time: a module that takes long to compile keeps one worker busy, not all.
  private let compiling = AsyncLock()

  private init(
    files: RegistryFiles, cache: ArtefactCache, engine: WasmEngine, runtime: Runtime,
    configuration: NodeConfiguration, clock: HybridClock, state: State
  ) {
    self.files = files
    self.cache = cache
    self.engine = engine
    self.runtime = runtime
    policy = configuration.signatures
    defaultGrants = configuration.moduleGrants
    self.clock = clock
    self.state = Mutex(state)
  }

  /// Opens the registry and checks every module in it: its content against its digest, its signature against the
  /// policy. One that fails stays in the list, is refused to whoever asks for it, and `report` hears of it.
  static func open(
    _ path: String, engine: WasmEngine, configuration: NodeConfiguration, nodeID: UInt32, runtime: Runtime,
    report: @Sendable (_ name: String, _ error: RoostError) -> Void
  ) async throws(RoostError) -> ModuleRegistry {
    let files = RegistryFiles(path: path, files: runtime.files)
    let table = try await files.load()
    let cache = try await ArtefactCache.open(
      path + "/cache", fingerprint: engine.fingerprint, files: runtime.files, random: runtime.random)
    var live: [String: [UInt32: LiveModule]] = [:]
    var gates: [String: ModuleGate] = [:]
    var latest = Version.zero
    for (name, entry) in table.entries.sorted(by: { $0.key < $1.key }) {
      latest = max(latest, entry.changed)
      let gate = ModuleGate(name: name)
      gate.set(entry.quota, cores: runtime.executors.count)
      gates[name] = gate
      for release in entry.releases {
        var failure: RoostError?
        do throws(RoostError) {
          try configuration.signatures.check(release.statement(name: name), release.signature)
          _ = try await files.read(release.digest, byteCount: release.byteCount, workers: runtime.workers)
        } catch {
          failure = named(error, name, release)
          report(name, failure ?? error)
        }
        live[name, default: [:]][release.number] = LiveModule(
          name: name, release: release, grants: WasmCapabilities(bits: entry.grants),
          values: entry.state, gate: gate,
          failure: failure)
      }
    }
    let clock = HybridClock(clock: runtime.clock, node: nodeID, startingAfter: latest)
    let registry = ModuleRegistry(
      files: files, cache: cache, engine: engine, runtime: runtime, configuration: configuration,
      clock: clock, state: State(table: table, live: live, gates: gates))
    try await registry.sweep()
    return registry
  }

  /// What is wrong with a file, with the module that it belongs to.
  private static func named(_ error: RoostError, _ name: String, _ release: ModuleRelease) -> RoostError {
    guard error.kind == .corrupted else { return error }
    return RoostError(
      error.kind, "module '\(name)', version \(release.number): \(error.message)", at: error.place,
      remedy: error.remedy)
  }

  // MARK: Use

  /// The version that a request gets, compiled. A query that keeps it is not touched by what happens to the module.
  /// - Parameter use: the request, which is counted against the module's quota for as long as that lives.
  func use(
    _ selector: ModuleSelector, share: Int = 99, by use: ModuleUse? = nil
  ) async throws(RoostError) -> (version: ModuleVersion, module: WasmModule) {
    if let choice = use?.choice(selector) { return choice }
    while true {
      let live = try find(selector, share: share)
      try use?.enter(live.gate)
      do throws(RoostError) {
        let module = try await live.module { () async throws(RoostError) in try await self.load(live) }
        use?.keep(live.version, module, for: selector)
        return (live.version, module)
      } catch {
        // Another version may have taken its place in between, and its file be gone; then that one serves.
        guard try find(selector, share: share) !== live else { throw error }
      }
    }
  }

  private func find(_ selector: ModuleSelector, share: Int) throws(RoostError) -> LiveModule {
    try state.withLock { (state) throws(RoostError) in
      let release = try state.table.find(selector, share: share)
      guard let live = state.live[selector.name]?[release.number] else {
        throw RoostError(
          .internalFailure, "version \(release.number) is in the list alone", at: "module \(selector.name)")
      }
      return live
    }
  }

  /// Reads a module back, checks it as at the start, and loads or compiles it.
  private func load(_ live: LiveModule) async throws(RoostError) -> WasmModule {
    let release = live.release
    try policy.check(release.statement(name: live.name), release.signature)
    do throws(RoostError) {
      let bytes = try await files.read(
        release.digest, byteCount: release.byteCount, workers: runtime.workers)
      return try await compile(
        bytes, release.digest, name: live.name, grants: live.grants, values: live.values, meter: live.meter)
    } catch {
      throw ModuleRegistry.named(error, live.name, release)
    }
  }

  private func compile(
    _ bytes: [UInt8], _ digest: Digest, name: String, grants: WasmCapabilities, values: Payload,
    meter: WasmMeter
  ) async throws(RoostError) -> WasmModule {
    if let artefact = await cache.load(digest, workers: runtime.workers),
      let module = try await onWorker({ [engine] () throws(RoostError) in
        try engine.load(artefact, of: bytes, name: name, capabilities: grants, state: values, meter: meter)
      })
    {
      loaded.add(1, ordering: .relaxed)
      return module
    }
    await compiling.acquire()
    defer { compiling.release() }
    let (module, artefact) = try await onWorker { [engine] () throws(RoostError) in
      try engine.compileForCache(bytes, name: name, capabilities: grants, state: values, meter: meter)
    }
    compiled.add(1, ordering: .relaxed)
    // Without it the next start compiles again, which is no reason to fail now.
    do throws(RoostError) { try await cache.store(artefact, of: digest, workers: runtime.workers) } catch {}
    return module
  }

  private func onWorker<T: Sendable>(
    _ body: @escaping @Sendable () throws(RoostError) -> T
  ) async throws(RoostError) -> T {
    let result: Result<T, RoostError> = await runtime.workers.run {
      do throws(RoostError) { return .success(try body()) } catch { return .failure(error) }
    }
    return try result.get()
  }

  // MARK: Publish

  /// Checks a module and its signature, compiles and stores it as the next version of its name, and places it.
  /// `approve` may refuse one that becomes current; no version in `used` goes to make room. Publishing what is there
  /// already changes its place alone.
  func publish(
    _ request: PublishModuleRequest, keeping used: Set<Digest> = [], approve: @escaping Approval
  ) async throws(RoostError) -> ModuleDescription {
    let (name, bytes) = (request.name, request.bytes)
    try validateName(name, what: "module")
    let limits = engine.limits
    let (digest, summary) = try await onWorker { () throws(RoostError) in
      (Digest(of: bytes), try WasmEngine.inspect(bytes, name: name, limits: limits))
    }
    let release = ModuleRelease(
      number: 0, kind: ModuleKind(summary.kind), byteCount: UInt64(bytes.count), digest: digest,
      model: summary.modelDigest.flatMap { Digest(bytes: $0) }, exports: summary.exports,
      signature: request.signature, published: clock.next())
    // Before any of it is compiled.
    try policy.check(release.statement(name: name), release.signature)
    let gate = gate(of: name)
    let meter = WasmMeter(budget: gate.budget)
    let (grants, values) = settings(of: name)
    let module = try await compile(
      bytes, digest, name: name, grants: grants, values: values, meter: meter)

    await changing.acquire()
    defer { changing.release() }
    let before = state.withLock { $0 }
    var table = before.table
    let number = try table.publish(
      name, release, placement: request.placement, grants: UInt16(defaultGrants.rawValue), keeping: used)
    if table.entries[name]?.current == number, before.table.entries[name]?.current != number {
      try approve(module)
    }
    let existing = before.live[name]?[number]
    let isSound =
      existing.map { $0.failure == nil && $0.release == table.entries[name]?.release(number) } ?? false
    if table != before.table || !isSound {
      try await files.store(bytes, as: digest)
      try await files.save(table)
      adopt(
        table,
        fresh: isSound ? nil : Fresh(name: name, number: number, module: module, meter: meter, gate: gate))
      try await sweep()
    }
    return try find(ModuleSelector(name: name, choice: .number(number)), share: 0).description
  }

  /// The gate of a module, or a new one for the first version.
  private func gate(of name: String) -> ModuleGate {
    state.withLock { $0.gates[name] } ?? ModuleGate(name: name)
  }

  private func settings(of name: String) -> (grants: WasmCapabilities, values: Payload) {
    guard let entry = state.withLock({ $0.table.entries[name] }) else { return (defaultGrants, Payload()) }
    return (WasmCapabilities(bits: entry.grants), entry.state)
  }

  /// A version that has just been compiled.
  private struct Fresh {
    var name: String
    var number: UInt32
    var module: WasmModule
    var meter: WasmMeter
    var gate: ModuleGate
  }

  /// Makes a saved table the one that is served from. What is unchanged keeps its compiled code, and whatever stays
  /// keeps its figures.
  private func adopt(_ table: RegistryTable, fresh: Fresh? = nil) {
    state.withLock { state in
      var next = State(table: table)
      for (name, entry) in table.entries {
        let isNew = fresh?.name == name
        let gate = state.gates[name] ?? (isNew ? fresh?.gate : nil) ?? ModuleGate(name: name)
        gate.set(entry.quota, cores: runtime.executors.count)
        next.gates[name] = gate
        let grants = WasmCapabilities(bits: entry.grants)
        for release in entry.releases {
          let old = state.live[name]?[release.number]
          let isFresh = fresh.map { $0.name == name && $0.number == release.number } ?? false
          if !isFresh, let old, old.release == release, old.grants == grants, old.values == entry.state {
            next.live[name, default: [:]][release.number] = old
          } else {
            next.live[name, default: [:]][release.number] = LiveModule(
              name: name, release: release, grants: grants, values: entry.state, gate: gate,
              meter: isFresh ? fresh?.meter : old?.meter, compiled: isFresh ? fresh?.module : nil)
          }
        }
      }
      state = next
    }
  }

  // MARK: Change

  /// Throws `.notFound` for what is not there and `.invalidArgument` for what makes no sense; nothing has changed
  /// then. `approve` may refuse what becomes current; no version in `used` is deleted.
  func change(
    _ name: String, _ change: ModuleChange, keeping used: Set<Digest> = [], approve: @escaping Approval
  ) async throws(RoostError) -> ModuleStatus? {
    await changing.acquire()
    defer { changing.release() }
    let before = state.withLock { $0.table }
    var table = before
    if case .grant(let names) = change {
      try table.grant(UInt16(try WasmCapabilities(names: names).rawValue), to: name, at: clock.next())
    } else {
      try table.change(name, change, at: clock.next(), keeping: used)
    }
    if let current = table.entries[name]?.current, current != before.entries[name]?.current {
      try approve(try await use(ModuleSelector(name: name, choice: .number(current))).module)
    }
    try await files.save(table)
    adopt(table)
    try await sweep()
    return table.entries[name] == nil ? nil : try status(of: name)
  }

  private func sweep() async throws(RoostError) {
    let digests = state.withLock { $0.table.digests }
    try await files.sweep(keeping: digests)
    try await cache.sweep(keeping: digests)
  }

  // MARK: Questions

  /// The current version of a module; nil when there is none.
  func currentVersion(of name: String) -> EmbedderVersion? {
    do throws(RoostError) { return try requireCurrentVersion(of: name) } catch { return nil }
  }

  /// Throws `.notFound` when there is none.
  func requireCurrentVersion(of name: String) throws(RoostError) -> EmbedderVersion {
    let release = try find(ModuleSelector(name: name, choice: .current), share: 0).release
    return EmbedderVersion(number: release.number, digest: release.digest)
  }

  var count: Int { state.withLock { $0.table.entries.count } }

  /// All modules by name.
  var list: [ModuleStatus] {
    state.withLock { state in
      state.table.entries.sorted { $0.key < $1.key }.map {
        ModuleRegistry.status(of: $0.key, $0.value, state)
      }
    }
  }

  /// With its metrics. Throws `.notFound`.
  func status(of name: String) throws(RoostError) -> ModuleStatus {
    try state.withLock { (state) throws(RoostError) in
      var status = ModuleRegistry.status(of: name, try state.table.entry(name), state)
      var metrics = state.gates[name]?.metrics ?? [:]
      metrics["versions"] = .map(
        Dictionary(
          uniqueKeysWithValues: (state.live[name] ?? [:]).map { ("\($0.key)", $0.value.meter.metrics) }))
      status.metrics = Payload(metrics)
      return status
    }
  }

  /// Figures of all modules together, for the statistics of the node.
  var totals: (calls: UInt64, nanos: UInt64, failures: UInt64, deadlineMisses: UInt64) {
    state.withLock { state in
      var totals = (
        calls: 0 as UInt64, nanos: 0 as UInt64, failures: 0 as UInt64, deadlineMisses: 0 as UInt64
      )
      for live in state.live.values.flatMap(\.values) {
        totals.calls += live.meter.calls.load(ordering: .relaxed)
        totals.nanos += live.meter.nanos.load(ordering: .relaxed)
        totals.failures += live.meter.failures.load(ordering: .relaxed)
        totals.deadlineMisses += live.meter.deadlineMisses.load(ordering: .relaxed)
      }
      return totals
    }
  }

  private static func status(of name: String, _ entry: ModuleEntry, _ state: State) -> ModuleStatus {
    ModuleStatus(
      name: name, versions: entry.releases.compactMap { state.live[name]?[$0.number]?.description },
      current: entry.current, previous: entry.previous, canary: entry.canary, isPinned: entry.isPinned,
      grants: WasmCapabilities(bits: entry.grants).names, quota: entry.quota, state: entry.state)
  }
}

extension ModuleKind {
  public init(_ kind: WasmModuleKind) {
    switch kind {
    case .filter: self = .filter
    case .embedder: self = .embedder
    case .scorer: self = .scorer
    case .transform: self = .transform
    }
  }
}

extension WasmCapabilities {
  /// From the registry's bits; those that this version of Roost does not know grant nothing.
  init(bits: UInt16) { self.init(rawValue: UInt8(truncatingIfNeeded: bits)) }
}
