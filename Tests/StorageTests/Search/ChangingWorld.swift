// What the random worlds of the property tests have in common: a collection and its model go through the same
// writes, flushes, merges and reopenings.

import Core
import Storage

protocol CollectionModel {
  mutating func put(_ batch: [PutRecord])
  mutating func delete(_ ids: [RecordID])
}

protocol ChangingWorld: AnyObject {
  associatedtype Model: CollectionModel

  var collection: Collection { get set }
  var model: Model { get set }
  var random: SplitMix64 { get set }
  var collectionPath: String { get }
  var options: StorageOptions { get }
  /// A random id.
  func id() -> RecordID
  /// A random record under a random id.
  func record() -> PutRecord
}

extension ChangingWorld {
  /// A few random changes; of `kinds` all but four are puts.
  func change(kinds: Int) async throws {
    switch random.below(kinds) {
    case 0: try await collection.flush()
    case 1: try await collection.compact()
    case 2:
      try await collection.close()
      collection = try await Collection.open(collectionPath, options: options, runtime: .system())
    case 3:
      let doomed = (0..<random.below(40)).map { _ in id() }
      _ = try await collection.delete(doomed)
      model.delete(doomed)
    default:
      let batch = (0..<1 + random.below(80)).map { _ in record() }
      _ = try await collection.put(batch)
      model.put(batch)
    }
  }
}
