// The order of hits by user code: a scorer looks at the nearest candidates and says how good each is.

/// A call of a scorer module inside a query.
///
/// The search finds `candidates` of the nearest; the scorer gives each a score; and the hits are those with the
/// largest rank
///
///     rank = weight · score − (1 − weight) · distance
///
/// So weight 1, the default, orders by the score alone, and weight 0 by the distance alone. On equal ranks the nearer
/// one comes first. A score of −∞ leaves a candidate out, whatever the weight.
public struct ScoreCall: Sendable, Equatable {
  public var module: String
  public var parameters: Payload
  /// 0 to 1.
  public var weight: Float
  /// How many of the nearest are scored; nil: four for each hit asked for, and at least 100.
  public var candidates: Int?

  public init(
    module: String, parameters: Payload = Payload(), weight: Float = 1, candidates: Int? = nil
  ) {
    self.module = module
    self.parameters = parameters
    self.weight = weight
    self.candidates = candidates
  }

  public func rank(score: Float, distance: Float) -> Float {
    // A product of 0 and an infinite distance is not to be NaN.
    switch weight {
    case 1: score
    case 0: -distance
    default: weight * score - (1 - weight) * distance
    }
  }

  /// How many candidates are scored for `hits` hits.
  public func candidates(for hits: Int) -> Int { candidates ?? min(max(100, 4 * hits), Limits.kMax) }

  func validate(_ form: SearchForm) throws(RoostError) {
    guard weight >= 0, weight <= 1 else {
      throw RoostError(
        .invalidArgument, "the weight is \(weight), it must be in 0...1", at: "search.score.weight")
    }
    switch form {
    case .nearest, .range: break
    case .diverse, .grouped:
      throw RoostError(
        .invalidArgument, "a scorer orders the nearest or those within a radius, nothing else",
        at: "search.score", remedy: "leave the variety or the groups to the scorer, or do without one")
    }
    guard let candidates else { return }
    guard (1...Limits.kMax).contains(candidates) else {
      throw RoostError(
        .invalidArgument, "\(candidates) candidates, they must be in 1...\(Limits.kMax)",
        at: "search.score.candidates")
    }
    guard candidates >= form.hitsMax else {
      throw RoostError(
        .invalidArgument, "\(form.hitsMax) hits cannot be chosen from \(candidates) candidates",
        at: "search.score.candidates")
    }
  }
}
