// Where an import takes its records from.

import Core

/// A sequence of records in a fixed order with fixed ids, so that an import can be repeated. Confined to
/// one task.
protocol RecordSource: AnyObject {
  /// How much has been handed out, from 0 to 1; nil when the end is not known.
  var fraction: Double? { get }
  /// The next records: at most `limit`, and not many more than `batchBytesMax` bytes. Empty at the end.
  /// Throws with the file and the line or row.
  func next(_ limit: Int) async throws(RoostError) -> [PutRecord]
  func close() async
}

/// One request stays well below the limit of a frame.
let batchBytesMax = 8 * 1024 * 1024

extension CollectionSchema {
  /// Checks a record as the node will, while its place in the file is known.
  func check(_ record: PutRecord, at place: String) throws(RoostError) {
    do throws(RoostError) {
      try record.payload.validate()
      if !record.vectors.isEmpty {
        _ = try arrange(record.vectors)
      } else if embedder == nil {
        throw RoostError(
          .invalidArgument, "the record has no vector, and the collection no embedder to make one",
          at: "vector")
      }
    } catch {
      throw error.located(at: place)
    }
  }
}

extension RoostError {
  /// The same error with the place around its place.
  func located(at outer: String) -> RoostError {
    RoostError(kind, message, at: place.isEmpty ? outer : "\(outer), \(place)", remedy: remedy)
  }
}
