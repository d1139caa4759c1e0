// The seam between the search loop and whatever decides about candidates: the native filter
// language, or user code in WebAssembly.

/// Decides about candidates in batches. Called on the thread of the query, never suspends.
public protocol CandidateFilter: Sendable {
  /// Candidates that one call takes best; the search loop collects up to this many.
  var preferredBatch: Int { get }
  /// Writes true into `verdicts[i]` for each encoded payload that passes, else false.
  /// `payloads` and `verdicts` have the same count; the bytes are valid during the call only.
  func evaluate(
    payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError)
}
