// The seam between a search and user code that orders its hits.

/// Candidates that a scorer looks at in one call, nearest first; the bytes are valid during the call only.
public struct ScoreBatch {
  /// Encoded payloads, one per candidate.
  public let payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>
  /// To the target of the search, one per candidate.
  public let distances: UnsafeBufferPointer<Float>
  /// Stored vectors of the field that the scorer asks for, one per candidate, empty for a record without one.
  /// Without any when it asks for none.
  public let vectors: UnsafeBufferPointer<UnsafeRawBufferPointer>
  /// What the search is near, in the field that is searched; empty when that is no single vector.
  public let target: [Float]

  public init(
    payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>, distances: UnsafeBufferPointer<Float>,
    vectors: UnsafeBufferPointer<UnsafeRawBufferPointer> = UnsafeBufferPointer(start: nil, count: 0),
    target: [Float] = []
  ) {
    precondition(distances.count == payloads.count && (vectors.isEmpty || vectors.count == payloads.count))
    self.payloads = payloads
    self.distances = distances
    self.vectors = vectors
    self.target = target
  }

  public var count: Int { payloads.count }
}

/// Gives candidates scores. One search hands it all its candidates in the order of their distance, one batch after
/// the other; it never suspends.
public protocol CandidateScorer: Sendable {
  /// The vector field, by its place in the schema, whose vectors a batch must carry; nil: none.
  var readsVector: Int? { get }
  /// Writes a score for each candidate, larger is better, −∞ leaves it out; the counts are the same. Never NaN or +∞.
  func score(_ batch: ScoreBatch, scores: UnsafeMutableBufferPointer<Float>) throws(RoostError)
}

/// User code that takes part in one query.
public struct QueryCode: Sendable {
  /// Conditions beside those of the query's filter.
  public var filters: [any CandidateFilter]
  public var scorer: (any CandidateScorer)?

  public init(filters: [any CandidateFilter] = [], scorer: (any CandidateScorer)? = nil) {
    self.filters = filters
    self.scorer = scorer
  }
}
