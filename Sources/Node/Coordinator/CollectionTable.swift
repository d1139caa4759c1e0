// The collections of a node by name: opening all of them at start, creating, dropping, and keeping one
// open for as long as a request uses it.

import Core
import Storage
import Synchronization

final class CollectionTable: Sendable {
  private enum Slot {
    case open(HostedCollection)
    /// The folder is there and cannot be opened; every request hears why.
    case failed(RoostError)
    /// Being created or dropped.
    case changing
  }

  private struct State {
    var slots: [String: Slot] = [:]
    /// Of those that are there, whether they can be opened or not.
    var generations: [String: Generation] = [:]
    var isClosed = false
  }

  private let path: String
  let generations: GenerationFiles
  /// Replaced generations that are on their way out.
  let retiring = Atomic<Int>(0)
  let runtime: Runtime
  private let configuration: NodeConfiguration
  private let state = Mutex(State())

  private init(folder: DataFolder, configuration: NodeConfiguration, runtime: Runtime) {
    path = folder.collectionsPath
    generations = GenerationFiles(path: folder.generationsPath, files: runtime.files)
    self.configuration = configuration
    self.runtime = runtime
  }

  /// Opens every collection in the folder. One that cannot be opened does not keep the others from
  /// serving; `report` hears of it.
  static func open(
    _ dataFolder: DataFolder, configuration: NodeConfiguration, runtime: Runtime,
    report: @Sendable (_ name: String, _ error: RoostError) -> Void
  ) async throws(RoostError) -> CollectionTable {
    let table = CollectionTable(folder: dataFolder, configuration: configuration, runtime: runtime)
    let path = table.path
    let recorded = try await table.generations.load()
    func generation(_ name: String) -> Generation { Generation(number: recorded[name] ?? 1) }
    for folder in try await runtime.files.list(path) {
      let name = Generation.owner(ofFolder: folder)
      let live = generation(name).folder(of: name)
      guard folder != live else { continue }
      guard try await Collection.exists(path + "/" + live, files: runtime.files) else {
        let error = RoostError.corrupted(
          "generation \(generation(name).number) of collection '\(name)' is missing, '\(folder)' is there",
          file: path + "/" + live, offset: 0)
        report(name, error)
        table.state.withLock { $0.slots[name] = .failed(error) }
        continue
      }
      // A generation that was being built, or has been replaced.
      try await Collection.destroy(path + "/" + folder, files: runtime.files)
    }
    var names: [String] = []
    let folders = try await runtime.files.list(path)
    for name in Set(folders.map { Generation.owner(ofFolder: $0) }).sorted() {
      if table.state.withLock({ $0.slots[name] != nil }) { continue }
      table.state.withLock { $0.generations[name] = generation(name) }
      if try await Collection.exists(table.folder(name), files: runtime.files) {
        names.append(name)
      } else {
        // The rest of a creation or a drop that a crash cut short; a collection that lost CURRENT is kept.
        do throws(RoostError) {
          try await Collection.requireUnfinished(table.folder(name), files: runtime.files)
          try await Collection.destroy(table.folder(name), files: runtime.files)
        } catch {
          report(name, error)
          table.state.withLock { $0.slots[name] = .failed(error) }
        }
      }
    }
    var sizes: [String: Int] = [:]
    for name in names {
      // What cannot be looked at cannot be opened either, and is reported below.
      sizes[name] = (try? await Collection.segmentBytes(table.folder(name), files: runtime.files)) ?? 0
    }
    let total = sizes.values.reduce(0, +)
    for name in names {
      do throws(RoostError) {
        let share = total > 0 ? Double(sizes[name] ?? 0) / Double(total) : nil
        let options = table.options(sharedBy: names.count, shareOfData: share)
        let collection = try await Collection.open(table.folder(name), options: options, runtime: runtime)
        var generation = generation(name)
        generation.embedder = try await EmbedderFile.read(table.folder(name), files: runtime.files)
        let hosted = HostedCollection(name: name, collection: collection, generation: generation)
        table.state.withLock { $0.slots[name] = .open(hosted) }
      } catch {
        report(name, error)
        table.state.withLock { $0.slots[name] = .failed(error) }
      }
    }
    // The rest of a drop.
    for name in recorded.keys where !folders.contains(generation(name).folder(of: name)) {
      if table.state.withLock({ $0.slots[name] != nil }) { continue }
      try await table.generations.remove(name)
    }
    return table
  }

  private func folder(_ name: String) -> String {
    path + "/" + (state.withLock { $0.generations[name] } ?? Generation()).folder(of: name)
  }

  /// Half of the node's memory is shared equally, the other half by what the collections have on disk.
  /// - Parameter share: the collection's part of all that is on disk; nil: equal parts.
  private func options(sharedBy count: Int, shareOfData share: Double? = nil) -> StorageOptions {
    let equal = Double(configuration.memoryBytes) / Double(max(1, count))
    let bytes = share.map { equal / 2 + $0 * Double(configuration.memoryBytes) / 2 } ?? equal
    return StorageOptions(
      memoryBytes: max(8 << 20, Int(bytes)), sync: configuration.sync,
      memtableRows: configuration.memtableRows, compactsAutomatically: configuration.compactsAutomatically)
  }

  // MARK: Use

  /// Runs `body` on a collection, which stays open meanwhile. Throws `.notFound`, or why it cannot be used.
  func with<T>(
    _ name: String, _ body: (Collection) async throws(RoostError) -> T
  ) async throws(RoostError) -> T {
    try await withHosted(name) { (hosted) throws(RoostError) in try await body(hosted.collection) }
  }

  /// As `with`, for what needs to know of which generation the collection is.
  func withHosted<T>(
    _ name: String, _ body: (HostedCollection) async throws(RoostError) -> T
  ) async throws(RoostError) -> T {
    let hosted = try state.withLock { (state) throws(RoostError) in
      let hosted = try CollectionTable.find(name, state)
      hosted.users.add(1, ordering: .relaxed)
      return hosted
    }
    defer { hosted.users.subtract(1, ordering: .releasing) }
    return try await body(hosted)
  }

  /// As `withHosted`, for writes: the generation is the one that serves until `body` is done.
  func writing<T>(
    _ name: String, _ body: (HostedCollection) async throws(RoostError) -> T
  ) async throws(RoostError) -> T {
    while true {
      let result = try await withHosted(name) { (hosted) async throws(RoostError) -> T? in
        await hosted.gate.enter()
        defer { hosted.gate.leave() }
        // While it waited, the next generation may have taken over.
        guard serves(hosted) else { return nil }
        return try await body(hosted)
      }
      if let result { return result }
    }
  }

  func folder(of generation: Generation, _ name: String) -> String {
    path + "/" + generation.folder(of: name)
  }

  /// Lets requests for this name get another generation; false when `old` does not serve any more.
  func adopt(_ successor: HostedCollection, insteadOf old: HostedCollection) -> Bool {
    state.withLock { state in
      guard !state.isClosed, case .open(let now)? = state.slots[old.name], now === old else { return false }
      state.slots[old.name] = .open(successor)
      state.generations[old.name] = successor.generation
      return true
    }
  }

  /// Whether requests for this name get this generation.
  func serves(_ hosted: HostedCollection) -> Bool {
    state.withLock { state in
      guard !state.isClosed, case .open(let now)? = state.slots[hosted.name] else { return false }
      return now === hosted
    }
  }

  private static func find(_ name: String, _ state: State) throws(RoostError) -> HostedCollection {
    if state.isClosed { throw RoostError(.unavailable, "the node is stopping", at: "node") }
    switch state.slots[name] {
    case .open(let hosted): return hosted
    case .failed(let error): throw error
    case .changing:
      throw RoostError(.unavailable, "collection '\(name)' is being created or dropped", at: name)
    case nil:
      throw RoostError(
        .notFound, "there is no collection '\(name.prefix(80))'", at: "collection",
        remedy: "create it with `roost create`; `roost list` shows what there is")
    }
  }

  /// The open collections by name.
  var open: [HostedCollection] {
    state.withLock { state in
      state.slots.values.compactMap { if case .open(let hosted) = $0 { hosted } else { nil } }
    }.sorted { $0.name < $1.name }
  }

  /// Names and reasons of those that cannot be opened.
  var failed: [(name: String, error: RoostError)] {
    state.withLock { state in
      state.slots.compactMap { if case .failed(let error) = $0.value { ($0.key, error) } else { nil } }
    }.sorted { $0.name < $1.name }
  }

  // MARK: Change

  /// - Parameter embedder: the version that will make the vectors of a collection with an embedder.
  func create(
    _ name: String, schema: CollectionSchema, embedder: EmbedderVersion? = nil
  ) async throws(RoostError) {
    try validateName(name, what: "collection")
    try schema.validate()
    let count = try state.withLock { (state) throws(RoostError) in
      if state.isClosed { throw RoostError(.unavailable, "the node is stopping", at: "node") }
      guard state.slots[name] == nil else {
        throw RoostError(
          .alreadyExists, "there is a collection '\(name)' already", at: "collection",
          remedy: "choose another name")
      }
      guard state.slots.count < Limits.collectionsMax else {
        throw RoostError(
          .limitExceeded, "there are \(state.slots.count) collections, the limit is reached", at: "collection"
        )
      }
      state.slots[name] = .changing
      return state.slots.count
    }
    do throws(RoostError) {
      let generation = Generation(embedder: embedder)
      let collection = try await Collection.create(
        path + "/" + name, schema: schema, options: options(sharedBy: count), runtime: runtime)
      if let embedder {
        do throws(RoostError) {
          try await EmbedderFile.write(embedder, in: collection.path, files: runtime.files)
        } catch {
          try await discard(collection)
          throw error
        }
      }
      let hosted = HostedCollection(name: name, collection: collection, generation: generation)
      state.withLock { $0.generations[name] = generation }
      let isLate = state.withLock { state in
        state.slots[name] = .open(hosted)
        return state.isClosed
      }
      if isLate { try await collection.close() }
    } catch {
      state.withLock { $0.slots[name] = nil }
      throw error
    }
  }

  /// Takes the collection away at once, waits for the requests that use it, then removes its files. One
  /// that could not be opened can be dropped, too.
  func drop(_ name: String) async throws(RoostError) {
    let hosted = try state.withLock { (state) throws(RoostError) -> HostedCollection? in
      if case .failed = state.slots[name] {
        state.slots[name] = .changing
        return nil
      }
      let hosted = try CollectionTable.find(name, state)
      state.slots[name] = .changing
      return hosted
    }
    if let hosted {
      await waitUntilUnused(hosted)
      // What is about to be removed need not be closed well.
      do throws(RoostError) { try await hosted.collection.close() } catch {}
    }
    do throws(RoostError) {
      try await Collection.destroy(folder(name), files: runtime.files)
      try await generations.remove(name)
      state.withLock { state in
        state.slots[name] = nil
        state.generations[name] = nil
      }
    } catch {
      state.withLock { $0.slots[name] = .failed(error) }
      throw error
    }
  }

  func waitUntilUnused(_ hosted: HostedCollection) async {
    while hosted.users.load(ordering: .acquiring) > 0 {
      do throws(RoostError) { try await runtime.clock.sleep(nanos: 1_000_000) } catch { return }
    }
  }

  /// Closes every collection, after the requests that use it. Returns the first failure, having tried all.
  func close() async throws(RoostError) {
    state.withLock { $0.isClosed = true }
    var failure: RoostError?
    for hosted in open {
      await waitUntilUnused(hosted)
      do throws(RoostError) { try await hosted.collection.close() } catch { failure = failure ?? error }
    }
    while retiring.load(ordering: .acquiring) > 0 {
      do throws(RoostError) { try await runtime.clock.sleep(nanos: 1_000_000) } catch { break }
    }
    if let failure { throw failure }
  }
}
