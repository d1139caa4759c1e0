// What a search goes by: a point, or examples of what is wanted and what is not.

/// One place in the space of vectors.
public enum SearchPoint: Sendable, Equatable {
  case vector(Vector)
  /// The vector of this record in the field that is searched; the record itself is not among the hits.
  case record(RecordID)
  /// Text or bytes for the collection's embedder.
  case source(EmbedderInput)

  public static func text(_ text: String) -> SearchPoint { .source(.text(text)) }
}

/// Search by examples: near the positive ones and away from the negative ones. Records that serve as
/// examples are not among the hits.
public struct Recommendation: Sendable, Equatable {
  public enum Strategy: UInt8, Sendable, CaseIterable {
    /// One search near `2 · mean(positive) − mean(negative)`, or near `mean(positive)` without negatives.
    /// Needs a positive example. f32 vectors of the metric cosine are normalised first; the result
    /// is rounded to the element type, bits by majority.
    case averageVector = 1
    /// Each record is compared with every example, as in Qdrant: with `d⁺` the distance to the nearest
    /// positive, `d⁻` to the nearest negative and `s(d) = ½ (1 − d / (1 + |d|))`, its hit has the distance
    /// `−s(d⁺)` if `d⁺ < d⁻`, else `s(d⁻)`. So records nearer to a positive than to any negative come first,
    /// by how near; then the others, those farthest from the negatives first.
    case bestScore = 2
  }

  public var positive: [SearchPoint]
  public var negative: [SearchPoint]
  public var strategy: Strategy

  public init(
    positive: [SearchPoint], negative: [SearchPoint] = [], strategy: Strategy = .averageVector
  ) {
    self.positive = positive
    self.negative = negative
    self.strategy = strategy
  }
}

/// What to search near.
public enum SearchTarget: Sendable, Equatable {
  case point(SearchPoint)
  case recommend(Recommendation)

  public static func vector(_ vector: Vector) -> SearchTarget { .point(.vector(vector)) }
  /// The vector of this record; the record itself is not among the hits.
  public static func record(_ id: RecordID) -> SearchTarget { .point(.record(id)) }
  /// Text for the collection's embedder.
  public static func text(_ text: String) -> SearchTarget { .point(.text(text)) }
  /// An image or a signal for the collection's embedder.
  public static func bytes(_ bytes: [UInt8]) -> SearchTarget { .point(.source(.bytes(bytes))) }

  /// Every point that the target names, positive examples before negative ones.
  public var points: [SearchPoint] {
    switch self {
    case .point(let point): [point]
    case .recommend(let examples): examples.positive + examples.negative
    }
  }

  /// The same target with every point replaced, as when sources have become vectors.
  public func mapPoints(_ body: (SearchPoint) -> SearchPoint) -> SearchTarget {
    switch self {
    case .point(let point): .point(body(point))
    case .recommend(let examples):
      .recommend(
        Recommendation(
          positive: examples.positive.map(body), negative: examples.negative.map(body),
          strategy: examples.strategy))
    }
  }

  func validate() throws(RoostError) {
    for case .source(let input) in points { try input.validate(at: "search.target") }
    guard case .recommend(let examples) = self else { return }
    let count = examples.positive.count + examples.negative.count
    guard (1...Limits.examplesMax).contains(count) else {
      throw RoostError(
        .invalidArgument, "\(count) examples, there must be 1 to \(Limits.examplesMax)",
        at: "search.target.examples")
    }
    guard examples.strategy == .bestScore || !examples.positive.isEmpty else {
      throw RoostError(
        .invalidArgument, "an average needs a positive example", at: "search.target.positive",
        remedy: "give one, or use the best-score strategy, which can do without")
    }
  }
}
