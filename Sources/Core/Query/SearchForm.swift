// Which of the records near the target are the answer.

/// The form of a search: what makes a record a hit, how many there are, and in which order.
public enum SearchForm: Sendable, Equatable {
  /// The `k` nearest, nearest first.
  case nearest(k: Int)
  /// All within `radius` (distance ≤ radius, in the unit of `SearchHit.distance`), nearest first; the
  /// nearest `limit` when there are more. The search widens until a record outside the radius is among
  /// those found, however small `effort` is.
  case range(radius: Float, limit: Int)
  /// `k` hits that are near and unlike each other, by maximal marginal relevance (Carbonell and Goldstein,
  /// SIGIR 1998): out of the `candidates` nearest (nil: the larger of 100 and `4 k`), again and again the
  /// one with the least `lambda · d(target) − (1 − lambda) · min d(chosen)`, the nearer one on a tie.
  /// In the order of choice; `lambda` 1 is plain nearness, 0 as much variety as there is.
  case diverse(k: Int, lambda: Float, candidates: Int?)
  /// The nearest records of each value of a payload field: up to `groupSize` hits for each of up to `groups`
  /// values, those groups whose nearest hit is nearest, hits of a group side by side, nearest first.
  /// `field` is a path as in filters. Values are bools, integers, datetimes and strings; records without
  /// such a value (none, null, doubles, arrays, maps, …) belong to no group and are not among the hits.
  case grouped(field: String, groups: Int, groupSize: Int)

  /// The most hits that an answer can have.
  public var hitsMax: Int {
    switch self {
    case .nearest(let k), .diverse(let k, _, _): k
    case .range(_, let limit): limit
    case .grouped(_, let groups, let groupSize):
      groups.multipliedReportingOverflow(by: groupSize).partialValue
    }
  }

  /// How many candidates `diverse` chooses from.
  public static func candidates(_ stated: Int?, k: Int) -> Int {
    stated ?? min(max(100, 4 * k), Limits.diverseCandidatesMax)
  }

  func validate() throws(RoostError) {
    func check(_ value: Int, _ limit: Int, _ name: String) throws(RoostError) {
      guard (1...limit).contains(value) else {
        throw RoostError(
          .invalidArgument, "\(name) is \(value), it must be in 1...\(limit)", at: "search.\(name)")
      }
    }
    switch self {
    case .nearest(let k): try check(k, Limits.kMax, "k")
    case .range(let radius, let limit):
      guard radius.isFinite else {
        throw RoostError(.invalidArgument, "the radius is not a finite number", at: "search.radius")
      }
      try check(limit, Limits.kMax, "limit")
    case .diverse(let k, let lambda, let candidates):
      try check(k, Limits.diverseCandidatesMax, "k")
      guard lambda >= 0, lambda <= 1 else {
        throw RoostError(.invalidArgument, "lambda is \(lambda), it must be in 0...1", at: "search.lambda")
      }
      guard let candidates else { return }
      try check(candidates, Limits.diverseCandidatesMax, "candidates")
      guard candidates >= k else {
        throw RoostError(
          .invalidArgument, "\(k) hits cannot be chosen from \(candidates) candidates",
          at: "search.candidates")
      }
    case .grouped(let field, let groups, let groupSize):
      do throws(RoostError) { _ = try FieldPath(field) } catch {
        throw RoostError(.invalidArgument, error.message, at: "search.groupBy", remedy: error.remedy)
      }
      try check(groups, Limits.kMax, "groups")
      try check(groupSize, Limits.kMax, "groupSize")
      guard groups * groupSize <= Limits.kMax else {
        throw RoostError(
          .invalidArgument, "\(groups) groups of \(groupSize) are more than \(Limits.kMax) hits",
          at: "search.groupSize")
      }
    }
  }
}
