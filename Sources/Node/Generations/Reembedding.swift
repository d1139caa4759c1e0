// Another version of an embedder: every collection that uses it is built anew in the background, from the stored
// source fields, caught up with the writes that go on, and switched over at once (`spec/decisions/014`). Until then
// it serves with the version that made its vectors, texts of queries included; vectors of two versions never meet.

import Core
import Storage
import Synchronization
import Wasm
import Wire

/// Rebuilds collections one after the other. Stops when told to; what is unfinished begins anew at the next start.
final class Reembedder: Sendable {
  private struct State {
    var isRunning = false
    var isStopped = false
    /// Something may have changed since the running pass looked.
    var isStale = false
    var waiters: [UnsafeContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  /// Looks, now or as soon as the present collection is done, for collections whose embedder has another version.
  func check(_ coordinator: Coordinator) {
    let starts = state.withLock { state in
      state.isStale = true
      guard !state.isRunning, !state.isStopped else { return false }
      state.isRunning = true
      return true
    }
    guard starts else { return }
    Task(executorPreference: coordinator.runtime.executors[0]) { await self.run(coordinator) }
  }

  var isStopped: Bool { state.withLock { $0.isStopped } }

  private func run(_ coordinator: Coordinator) async {
    while true {
      let goesOn = state.withLock { state in
        defer { state.isStale = false }
        if state.isStale && !state.isStopped { return true }
        state.isRunning = false
        return false
      }
      guard goesOn else { break }
      for hosted in coordinator.collections.open where !isStopped {
        await coordinator.reembed(hosted, unless: { self.isStopped })
      }
    }
    let waiters = state.withLock { state in
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Ends what is going on and waits for it.
  func stop() async {
    await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
      let mayGo = state.withLock { state in
        state.isStopped = true
        if state.isRunning { state.waiters.append(continuation) }
        return !state.isRunning
      }
      if mayGo { continuation.resume() }
    }
  }
}

extension Coordinator {
  /// Records that are read, embedded and written at a time.
  private static let recordsPerStep = 256
  /// How long a busy node or a used-up quota holds the work up.
  private static let patienceNanos: UInt64 = 100_000_000

  /// Brings a collection to the current version of its embedder, if it has another one.
  fileprivate func reembed(_ hosted: HostedCollection, unless isStopped: @Sendable () -> Bool) async {
    guard let name = hosted.collection.schema.embedder?.module, let target = modules.currentVersion(of: name)
    else {
      return
    }
    guard let have = hosted.generation.embedder else { return }
    guard have.digest != target.digest else {
      hosted.reembedding.withLock { $0 = nil }
      return
    }
    if let before = hosted.reembedding.withLock({ $0 }), before.failure != nil, before.target == target {
      return
    }
    hosted.reembedding.withLock { $0 = ReembeddingProgress(target: target) }
    do throws(RoostError) {
      try await collections.keeping(hosted) { () async throws(RoostError) in
        try await self.build(hosted, target, name, isStopped)
      }
    } catch {
      hosted.shadow.withLock { $0 = nil }
      guard error.kind != .cancelled else { return }
      hosted.reembedding.withLock { $0?.failure = error }
    }
  }

  private func build(
    _ hosted: HostedCollection, _ target: EmbedderVersion, _ name: String, _ isStopped: @Sendable () -> Bool
  ) async throws(RoostError) {
    let (_, module) = try await modules.use(ModuleSelector(name: name, choice: .digest(target.digest.text)))
    try Coordinator.check(module, embeds: hosted.collection.schema, of: hosted.name)
    let next = Generation(number: hosted.generation.number + 1, embedder: target)
    let collection = try await collections.createShadow(of: hosted, next)
    let shadow = Shadow(collection: collection, embedder: target, module: module)
    do throws(RoostError) {
      // Every write from here on goes to both; those before are in what is copied.
      await hosted.gate.hold()
      hosted.shadow.withLock { $0 = shadow }
      hosted.gate.release()
      try await copy(hosted, to: shadow) { () throws(RoostError) in
        guard !isStopped(), self.collections.serves(hosted), self.modules.currentVersion(of: name) == target
        else {
          throw RoostError(.cancelled, "embedding anew is not wanted any more", at: hosted.name)
        }
      }
      try await collection.flush()
      await hosted.gate.hold()
      defer { hosted.gate.release() }
      if let failure = shadow.failure { throw failure }
      try await collections.replace(hosted, by: collection, next)
      hosted.shadow.withLock { $0 = nil }
    } catch {
      await hosted.gate.hold()
      hosted.shadow.withLock { $0 = nil }
      hosted.gate.release()
      try await collections.discard(collection)
      throw error
    }
  }

  private func copy(
    _ hosted: HostedCollection, to shadow: Shadow, _ mayGoOn: () throws(RoostError) -> Void
  ) async throws(RoostError) {
    let total = await hosted.collection.stats().liveRecords
    hosted.reembedding.withLock { $0?.total = total }
    var after: RecordID?
    while true {
      try mayGoOn()
      if let failure = shadow.failure { throw failure }
      let records = try await hosted.collection.scan(
        after: after, limit: Coordinator.recordsPerStep, includeVector: true)
      guard let last = records.last else { return }
      var changes = try await remade(
        records.map { ($0.version, PutRecord(id: $0.id, vectors: $0.vectors, payload: $0.payload)) }, hosted,
        shadow)
      // A record without a source may have been written since with one that was not stored.
      if changes.count < records.count {
        let made = Set(changes.map(\.id))
        for record in records where !made.contains(record.id) {
          let known = try await shadow.collection.get([record.id], includeVector: false)
          guard let known = known[0], known.version >= record.version else {
            throw Coordinator.withoutSource(record.id, hosted)
          }
        }
      }
      try await shadow.collection.merge(changes.map { VersionedChange(.put($0.record), version: $0.version) })
      changes = []
      after = last.id
      hosted.reembedding.withLock { $0?.done += records.count }
      await Task.yield()
    }
  }

  private struct Remade {
    var version: Version
    var record: PutRecord
    var id: RecordID { record.id }
  }

  /// Records with the vector of the shadow's embedder; those that have one and no source to make another of are left
  /// out.
  private func remade(
    _ records: [(Version, PutRecord)], _ hosted: HostedCollection, _ shadow: Shadow
  ) async throws(RoostError) -> [Remade] {
    let schema = hosted.collection.schema
    guard let embedder = schema.embedder else { return [] }
    let index = try schema.index(ofField: embedder.vectorField, at: "schema.embedder")
    let field = schema.fields[index].name
    var result: [Remade] = []
    var places: [Int] = []
    var inputs: [EmbedderInput] = []
    for (version, record) in records {
      var record = record
      let input = record.source ?? EmbedderInput(record.payload[embedder.sourceField])
      let hasVector = record.vectors[field] != nil || index == 0 && record.vector != nil
      if input == nil, hasVector { continue }
      if let input {
        places.append(result.count)
        inputs.append(input)
      }
      record.source = nil
      result.append(Remade(version: version, record: record))
    }
    let vectors = try await patiently { () async throws(RoostError) in
      inputs.isEmpty ? [] : try await self.embed(inputs, shadow.module, deadlineNanos: .max)
    }
    for (place, vector) in zip(places, vectors) {
      // What has no name is the first field, as `put` takes it.
      if index == 0 { result[place].record.vectors[""] = nil }
      result[place].record.vectors[field] = vector
    }
    return result
  }

  /// Tries again while the node, or the module's quota, has no room.
  private func patiently<T>(_ body: () async throws(RoostError) -> T) async throws(RoostError) -> T {
    while true {
      do throws(RoostError) { return try await body() } catch {
        guard error.kind == .overloaded else { throw error }
        try await runtime.clock.sleep(nanos: Coordinator.patienceNanos)
      }
    }
  }

  private static func withoutSource(_ id: RecordID, _ hosted: HostedCollection) -> RoostError {
    let field = hosted.collection.schema.embedder?.sourceField ?? ""
    return RoostError(
      .invalidArgument,
      "record \(id.text) has a vector but nothing in field '\(field)' to make another of", at: hosted.name,
      remedy: "put the record again with its source, or delete it, then publish the module again")
  }

  // MARK: Writes that go on meanwhile

  /// Sends what has been put to the next generation, too. What fails there ends the building, not the write.
  func mirror(_ records: [PutRecord], _ versions: [Version], _ hosted: HostedCollection) async {
    guard let shadow = hosted.shadow.withLock({ $0 }), shadow.failure == nil else { return }
    do throws(RoostError) {
      let made = try await remade(Array(zip(versions, records)), hosted, shadow)
      if made.count < records.count {
        let known = Set(made.map(\.id))
        if let missing = records.first(where: { !known.contains($0.id) }) {
          throw Coordinator.withoutSource(missing.id, hosted)
        }
      }
      try await shadow.collection.merge(made.map { VersionedChange(.put($0.record), version: $0.version) })
    } catch {
      shadow.fail(error)
    }
  }

  func mirror(deleting ids: [RecordID], _ versions: [Version], _ hosted: HostedCollection) async {
    guard let shadow = hosted.shadow.withLock({ $0 }), shadow.failure == nil else { return }
    do throws(RoostError) {
      try await shadow.collection.merge(
        zip(ids, versions).map { VersionedChange(.delete($0), version: $1) })
    } catch {
      shadow.fail(error)
    }
  }
}
