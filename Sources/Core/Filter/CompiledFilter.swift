// The native filter as the search loop calls it: a checked filter and its program.

/// A filter made ready to run over encoded payloads and ids in place.
public final class CompiledFilter: CandidateFilter {
  private let program: FilterProgram

  public var preferredBatch: Int { 32 }
  public var readsIDs: Bool { program.readsIDs }

  /// Throws what `Filter.validate` throws.
  public init(_ filter: Filter) throws(RoostError) {
    try filter.validate()
    program = FilterProgram(filter)
  }

  /// Whether a record passes; payload and id encoded, the id only if the filter `readsIDs`. Throws
  /// `.corrupted` when bytes that the filter has to read are malformed: a filter never answers about a
  /// payload it could not read.
  public func matches(
    _ payload: UnsafeRawBufferPointer,
    id: UnsafeRawBufferPointer = UnsafeRawBufferPointer(start: nil, count: 0)
  ) throws(RoostError) -> Bool {
    precondition(!program.readsIDs || !id.isEmpty, "a filter by id needs ids")
    return try program.matches(payload, id: id, depth: 0)
  }

  public func evaluate(
    _ batch: CandidateBatch, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    precondition(batch.count == verdicts.count)
    if program.readsIDs {
      precondition(batch.ids.count == batch.count, "a filter by id needs ids")
      for index in 0..<batch.count {
        verdicts[index] = try program.matches(batch.payloads[index], id: batch.ids[index], depth: 0)
      }
    } else {
      let none = UnsafeRawBufferPointer(start: nil, count: 0)
      for index in 0..<batch.count {
        verdicts[index] = try program.matches(batch.payloads[index], id: none, depth: 0)
      }
    }
  }
}
