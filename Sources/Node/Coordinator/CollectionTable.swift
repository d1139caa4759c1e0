// The collections of a node by name: opening all of them at start, creating, dropping, and keeping one
// open for as long as a request uses it.

import Core
import Storage
import Synchronization

/// An open collection and how many requests use it.
final class HostedCollection: Sendable {
  let name: String
  let collection: Collection
  fileprivate let users = Atomic<Int>(0)

  init(name: String, collection: Collection) {
    self.name = name
    self.collection = collection
  }
}

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
    var isClosed = false
  }

  private let path: String
  private let runtime: Runtime
  private let configuration: NodeConfiguration
  private let state = Mutex(State())

  private init(path: String, configuration: NodeConfiguration, runtime: Runtime) {
    self.path = path
    self.configuration = configuration
    self.runtime = runtime
  }

  /// Opens every collection in the folder. One that cannot be opened does not keep the others from
  /// serving; `report` hears of it.
  static func open(
    _ path: String, configuration: NodeConfiguration, runtime: Runtime,
    report: @Sendable (_ name: String, _ error: RoostError) -> Void
  ) async throws(RoostError) -> CollectionTable {
    let table = CollectionTable(path: path, configuration: configuration, runtime: runtime)
    var names: [String] = []
    for name in try await runtime.files.list(path) {
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
        let hosted = HostedCollection(name: name, collection: collection)
        table.state.withLock { $0.slots[name] = .open(hosted) }
      } catch {
        report(name, error)
        table.state.withLock { $0.slots[name] = .failed(error) }
      }
    }
    return table
  }

  private func folder(_ name: String) -> String { path + "/" + name }

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
    let hosted = try state.withLock { (state) throws(RoostError) in
      let hosted = try CollectionTable.find(name, state)
      hosted.users.add(1, ordering: .relaxed)
      return hosted
    }
    defer { hosted.users.subtract(1, ordering: .releasing) }
    return try await body(hosted.collection)
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

  func create(_ name: String, schema: CollectionSchema) async throws(RoostError) {
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
      let collection = try await Collection.create(
        folder(name), schema: schema, options: options(sharedBy: count), runtime: runtime)
      let hosted = HostedCollection(name: name, collection: collection)
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
      state.withLock { $0.slots[name] = nil }
    } catch {
      state.withLock { $0.slots[name] = .failed(error) }
      throw error
    }
  }

  private func waitUntilUnused(_ hosted: HostedCollection) async {
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
    if let failure { throw failure }
  }
}
