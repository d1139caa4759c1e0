// Changes that were made elsewhere and have their versions: how one collection becomes a copy of another.

import Core

/// A put or a delete with the version that it has where it was made.
package struct VersionedChange: Sendable {
  package enum Content: Sendable {
    case put(PutRecord)
    case delete(RecordID)
  }

  package var content: Content
  package var version: Version

  package init(_ content: Content, version: Version) {
    self.content = content
    self.version = version
  }
}

extension Collection {
  /// Makes changes that have their versions. What is not newer than what is known of its record changes nothing, so
  /// changes may come in any order and more than once, provided that the collection keeps its tombstones
  /// (`StorageOptions.tombstones`). All or nothing becomes durable and visible.
  ///
  /// Throws what `put` throws; version zero is no version.
  package func merge(_ changes: [VersionedChange]) async throws(RoostError) {
    try requireOpen()
    guard changes.count <= Limits.batchRecordsMax else {
      throw RoostError(
        .limitExceeded, "\(changes.count) changes in one call, the limit is \(Limits.batchRecordsMax)",
        at: "merge")
    }
    guard !changes.isEmpty else { return }
    var operations: [WriteOperation] = []
    operations.reserveCapacity(changes.count)
    for change in changes {
      precondition(change.version != .zero, "a merged change has a version")
      switch change.content {
      case .put(let record): operations.append(try operation(record, version: change.version))
      case .delete(let id):
        try id.validate()
        operations.append(.delete(id: id, version: change.version))
      }
    }
    _ = try await commit(operations)
  }

  /// As `delete`, and says which version each deletion got.
  package func deleteVersioned(
    _ ids: [RecordID]
  ) async throws(RoostError) -> (deleted: Int, versions: [Version]) {
    try requireOpen()
    guard ids.count <= Limits.batchRecordsMax else {
      throw RoostError(
        .limitExceeded, "\(ids.count) ids in one call, the limit is \(Limits.batchRecordsMax)", at: "delete")
    }
    guard !ids.isEmpty else { return (0, []) }
    for id in ids { try id.validate() }
    let outcome = try await commit(ids.map { .delete(id: $0, version: .zero) })
    return (outcome.deleted, outcome.versions)
  }
}
