// Published modules: content-addressed files, one checksummed list of names, and compiled code that is
// made when first needed. A query keeps the version that it started with; publishing swaps the name.

import Core
import Storage
import Synchronization
import Wasm
import Wire

/// One version of a module that a name may point to.
final class PublishedModule: Sendable {
  let description: ModuleDescription
  private let compiled: Mutex<WasmModule?>
  private let compiling = AsyncLock()

  init(description: ModuleDescription, compiled: WasmModule?) {
    self.description = description
    self.compiled = Mutex(compiled)
  }

  var version: ModuleVersion { ModuleVersion(name: description.name, sha256: description.sha256) }

  /// The compiled module, if it has been needed before.
  var ready: WasmModule? { compiled.withLock { $0 } }

  /// The compiled module; compiles it on a worker the first time.
  func module(
    _ load: @Sendable () async throws(RoostError) -> WasmModule
  ) async throws(RoostError) -> WasmModule {
    if let module = ready { return module }
    await compiling.acquire()
    defer { compiling.release() }
    if let module = ready { return module }
    let module = try await load()
    compiled.withLock { $0 = module }
    return module
  }
}

/// The registry of a node, kept in `<data>/modules`.
final class ModuleRegistry: Sendable {
  static let modulesMax = 256

  private static let listName = "REGISTRY"
  private static let listTitle = "roost-modules 1"

  private let path: String
  private let engine: WasmEngine
  private let runtime: Runtime
  private let names: Mutex<[String: PublishedModule]>
  private let publishing = AsyncLock()

  private init(path: String, engine: WasmEngine, runtime: Runtime, names: [String: PublishedModule]) {
    self.path = path
    self.engine = engine
    self.runtime = runtime
    self.names = Mutex(names)
  }

  static func open(_ path: String, engine: WasmEngine, runtime: Runtime) async throws(RoostError)
    -> ModuleRegistry
  {
    let list = path + "/" + listName
    var names: [String: PublishedModule] = [:]
    if try await runtime.files.exists(list) {
      for line in try await SmallFile.read(list, title: listTitle, files: runtime.files) {
        guard let description = parse(line) else {
          throw .corrupted("line '\(line.prefix(80))' is not understood", file: list, offset: 0)
        }
        names[description.name] = PublishedModule(description: description, compiled: nil)
      }
    }
    let registry = ModuleRegistry(path: path, engine: engine, runtime: runtime, names: names)
    try await registry.removeUnlisted()
    return registry
  }

  /// All modules by name.
  var list: [ModuleDescription] {
    names.withLock { $0.values.map(\.description) }.sorted { $0.name < $1.name }
  }

  /// The version that `name` points to now. Throws `.notFound`.
  func find(_ name: String) throws(RoostError) -> PublishedModule {
    guard let module = names.withLock({ $0[name] }) else {
      throw RoostError(
        .notFound, "there is no module '\(name)'", at: "module \(name)",
        remedy: "publish it with `roost module publish`; `roost module list` shows what there is")
    }
    return module
  }

  /// The version that `name` points to now, compiled. A query that keeps it is not touched by publishing.
  func use(_ name: String) async throws(RoostError) -> (version: ModuleVersion, module: WasmModule) {
    while true {
      let published = try find(name)
      if let module = published.ready { return (published.version, module) }
      do throws(RoostError) {
        let module = try await published.module { () async throws(RoostError) in
          let bytes = try await self.read(published.description)
          return try await self.compile(bytes, name: name)
        }
        return (published.version, module)
      } catch {
        // A new version may have taken its place, and its file, in between; then that one serves.
        guard try find(name) !== published else { throw error }
      }
    }
  }

  /// Checks, compiles and stores a module and points `name` to it. `approve` may refuse the new version.
  func publish(
    _ name: String, bytes: [UInt8], approve: @Sendable (WasmModule) throws(RoostError) -> Void
  ) async throws(RoostError) -> ModuleDescription {
    try validateName(name, what: "module")
    let digest = await runtime.workers.run { sha256Text(bytes) }
    let module = try await compile(bytes, name: name)
    try approve(module)
    let description = ModuleDescription(
      name: name, kind: ModuleKind(module.kind), byteCount: UInt64(bytes.count),
      sha256: digest, exports: module.exports)
    await publishing.acquire()
    defer { publishing.release() }
    if let current = names.withLock({ $0[name] }), current.description == description { return description }
    var all = names.withLock { $0.mapValues(\.description) }
    all[name] = description
    guard all.count <= ModuleRegistry.modulesMax else {
      throw RoostError(
        .limitExceeded, "there are \(ModuleRegistry.modulesMax) modules, the limit is reached",
        at: "module \(name)")
    }
    // The file first, then the list that mentions it: a crash in between leaves a file that nobody names.
    try await store(bytes, as: digest)
    try await SmallFile.write(
      path + "/" + ModuleRegistry.listName, title: ModuleRegistry.listTitle,
      lines: all.values.sorted { $0.name < $1.name }.map(ModuleRegistry.format), directory: path,
      files: runtime.files)
    names.withLock { $0[name] = PublishedModule(description: description, compiled: module) }
    try await removeUnlisted()
    return description
  }

  private func compile(_ bytes: [UInt8], name: String) async throws(RoostError) -> WasmModule {
    let engine = engine
    let result: Result<WasmModule, RoostError> = await runtime.workers.run {
      do throws(RoostError) { return .success(try engine.compile(bytes, name: name)) } catch {
        return .failure(error)
      }
    }
    return try result.get()
  }

  // MARK: Files

  private func filePath(_ digest: String) -> String { path + "/" + digest + ".wasm" }

  private func store(_ bytes: [UInt8], as digest: String) async throws(RoostError) {
    let files = runtime.files
    let temporary = filePath(digest) + ".tmp"
    let file = try await files.open(temporary, [.write, .create, .truncate])
    do throws(RoostError) {
      try await file.write(IOBuffer(bytes), range: 0..<bytes.count, at: 0)
      try await file.sync()
    } catch {
      await file.close()
      throw error
    }
    await file.close()
    try await files.rename(temporary, to: filePath(digest))
    try await files.syncDirectory(path)
  }

  /// Reads a module back; its name is its checksum.
  private func read(_ description: ModuleDescription) async throws(RoostError) -> [UInt8] {
    let path = filePath(description.sha256)
    let file = try await runtime.files.open(path, [.read])
    let buffer: IOBuffer
    do throws(RoostError) {
      guard try await file.size() == description.byteCount else {
        throw .corrupted("the module does not have \(description.byteCount) bytes", file: path, offset: 0)
      }
      buffer = IOBuffer(count: Int(description.byteCount))
      let count = try await file.read(into: buffer, range: 0..<buffer.count, at: 0)
      guard count == buffer.count else {
        throw .corrupted("the module is cut short", file: path, offset: UInt64(count))
      }
    } catch {
      await file.close()
      throw error
    }
    await file.close()
    let bytes = Array(buffer.bytes)
    guard await runtime.workers.run({ sha256Text(bytes) }) == description.sha256 else {
      throw RoostError(
        .corrupted, "the module's bytes are not those that were published", at: path,
        remedy: "publish it again")
    }
    return bytes
  }

  /// Removes files that no name points to: older versions, and what a crash has left.
  private func removeUnlisted() async throws(RoostError) {
    let listed = Set(list.map { $0.sha256 + ".wasm" })
    for name in try await runtime.files.list(path)
    where name.hasSuffix(".tmp") || (name.hasSuffix(".wasm") && !listed.contains(name)) {
      try await runtime.files.remove(path + "/" + name)
    }
  }

  /// "name kind bytes sha256 export,export…"
  private static func format(_ module: ModuleDescription) -> String {
    let exports = module.exports.isEmpty ? "-" : module.exports.joined(separator: ",")
    return "\(module.name) \(module.kind.name) \(module.byteCount) \(module.sha256) \(exports)"
  }

  private static func parse(_ line: String) -> ModuleDescription? {
    let words = line.split(separator: " ")
    guard words.count == 5, let kind = ModuleKind.allCases.first(where: { $0.name == words[1] }),
      let byteCount = UInt64(words[2]), byteCount <= Limits.moduleBytesMax, words[3].utf8.count == 64,
      words[3].utf8.allSatisfy({ (48...57).contains($0) || (97...102).contains($0) })
    else { return nil }
    let exports = words[4] == "-" ? [] : words[4].split(separator: ",").map(String.init)
    return ModuleDescription(
      name: String(words[0]), kind: kind, byteCount: byteCount, sha256: String(words[3]), exports: exports)
  }
}

extension ModuleKind {
  init(_ kind: WasmModuleKind) {
    switch kind {
    case .filter: self = .filter
    case .embedder: self = .embedder
    case .scorer: self = .scorer
    case .transform: self = .transform
    }
  }
}
