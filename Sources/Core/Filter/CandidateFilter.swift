// The seam between the search loop and whatever decides about candidates: the native filter
// language, or user code in WebAssembly.

/// Candidates that a filter decides about in one call; the bytes are valid during the call only.
public struct CandidateBatch {
  /// Encoded ids (`RecordID.encode`), one per candidate; empty unless the filter `readsIDs`.
  public let ids: UnsafeBufferPointer<UnsafeRawBufferPointer>
  /// Encoded payloads, one per candidate.
  public let payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>
  /// Stored vectors of the field that the filter `readsVector` of, one per candidate, empty for a record without
  /// one; empty altogether when it reads none.
  public let vectors: UnsafeBufferPointer<UnsafeRawBufferPointer>

  public init(
    ids: UnsafeBufferPointer<UnsafeRawBufferPointer> = UnsafeBufferPointer(start: nil, count: 0),
    payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>,
    vectors: UnsafeBufferPointer<UnsafeRawBufferPointer> = UnsafeBufferPointer(start: nil, count: 0)
  ) {
    precondition(ids.isEmpty || ids.count == payloads.count)
    precondition(vectors.isEmpty || vectors.count == payloads.count)
    self.ids = ids
    self.payloads = payloads
    self.vectors = vectors
  }

  public var count: Int { payloads.count }
}

/// Decides about candidates in batches. Called on the thread of the query, never suspends.
public protocol CandidateFilter: Sendable {
  /// Candidates that one call takes best; the search loop collects up to this many.
  var preferredBatch: Int { get }
  /// Whether a batch must carry the candidates' ids.
  var readsIDs: Bool { get }
  /// The vector field, by its place in the schema, whose vectors a batch must carry; nil: none.
  var readsVector: Int? { get }
  /// Writes true into `verdicts[i]` for each candidate that passes, else false; the counts are the same.
  func evaluate(_ batch: CandidateBatch, verdicts: UnsafeMutableBufferPointer<Bool>) throws(RoostError)
}

extension CandidateFilter {
  public var readsIDs: Bool { false }
  public var readsVector: Int? { nil }

  /// For candidates without ids.
  public func evaluate(
    payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    try evaluate(CandidateBatch(payloads: payloads), verdicts: verdicts)
  }
}
