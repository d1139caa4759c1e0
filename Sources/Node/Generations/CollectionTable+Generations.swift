// The table's part in a change of generations: a folder for the next one, and the switch.

import Core
import Storage
import Synchronization

extension CollectionTable {
  /// Keeps a collection open, though not from being dropped, while `body` reads it.
  func keeping<T>(
    _ hosted: HostedCollection, _ body: () async throws(RoostError) -> T
  ) async throws(RoostError) -> T {
    hosted.users.add(1, ordering: .relaxed)
    defer { hosted.users.subtract(1, ordering: .releasing) }
    guard serves(hosted) else {
      throw RoostError(.cancelled, "the collection has been dropped", at: hosted.name)
    }
    return try await body()
  }

  /// An empty collection of the same schema, in the folder of the next generation.
  func createShadow(of hosted: HostedCollection, _ next: Generation) async throws(RoostError) -> Collection {
    let folder = folder(of: next, hosted.name)
    if try await runtime.files.exists(folder) { try await Collection.destroy(folder, files: runtime.files) }
    var options = hosted.collection.options
    // What is copied may be older than a delete that has come by another way already.
    options.tombstones = .upTo { .zero }
    let collection = try await Collection.create(
      folder, schema: hosted.collection.schema, options: options, runtime: runtime)
    if let embedder = next.embedder {
      do throws(RoostError) { try await EmbedderFile.write(embedder, in: folder, files: runtime.files) } catch
      {
        try await discard(collection)
        throw error
      }
    }
    return collection
  }

  /// Closes and removes a generation that has come to nothing.
  func discard(_ collection: Collection) async throws(RoostError) {
    // What is about to be removed need not be closed well.
    do throws(RoostError) { try await collection.close() } catch {}
    try await Collection.destroy(collection.path, files: runtime.files)
  }

  /// Makes the next generation the one that serves, durably, and removes the old one when nobody uses it any more.
  /// The caller holds the gate. Throws when the old one no longer serves, or the disk fails; it then goes on.
  func replace(
    _ hosted: HostedCollection, by collection: Collection, _ next: Generation
  ) async throws(RoostError) {
    guard serves(hosted) else {
      throw RoostError(.cancelled, "the collection has been dropped", at: hosted.name)
    }
    do throws(RoostError) { try await generations.save(next.number, of: hosted.name) } catch {
      // The new file may be there or not; say again which one serves.
      try await generations.save(hosted.generation.number, of: hosted.name)
      throw error
    }
    let successor = HostedCollection(
      name: hosted.name, collection: collection, generation: next, gate: hosted.gate)
    guard adopt(successor, insteadOf: hosted) else {
      try await generations.remove(hosted.name)
      throw RoostError(.cancelled, "the collection has been dropped", at: hosted.name)
    }
    retiring.add(1, ordering: .relaxed)
    Task(executorPreference: runtime.executors[0]) {
      await self.waitUntilUnused(hosted)
      // What is left of it is removed at the next start.
      do throws(RoostError) { try await self.discard(hosted.collection) } catch {}
      self.retiring.subtract(1, ordering: .releasing)
    }
  }

  /// Records which version of the embedder made the vectors of a collection that has none recorded.
  func record(_ embedder: EmbedderVersion, for hosted: HostedCollection) async throws(RoostError) {
    let generation = Generation(number: hosted.generation.number, embedder: embedder)
    try await EmbedderFile.write(embedder, in: hosted.collection.path, files: runtime.files)
    _ = adopt(
      HostedCollection(
        name: hosted.name, collection: hosted.collection, generation: generation, gate: hosted.gate),
      insteadOf: hosted)
  }
}
