// What the values of fields are under a filter: counts of values, bounds and histograms.

/// A question about one field.
public struct Facet: Sendable, Equatable {
  public enum Kind: Sendable, Equatable {
    /// How many records hold each value: exact, the most frequent `top` of them.
    case values(top: Int)
    /// Bounds of the numbers; with `interval` above 0 also how many fall into each step of that width.
    case numbers(interval: Double)
    /// The same of datetimes; the interval in seconds.
    case datetimes(interval: Double)
  }
  public var path: FieldPath
  public var kind: Kind

  public init(_ path: FieldPath, _ kind: Kind) {
    self.path = path
    self.kind = kind
  }
}

/// Questions about the records that pass a filter.
public struct FacetQuery: Sendable, Equatable {
  public var facets: [Facet]
  public var filter: Filter?

  public init(_ facets: [Facet], filter: Filter? = nil) {
    self.facets = facets
    self.filter = filter
  }

  public func validate() throws(RoostError) {
    guard (1...Limits.facetsMax).contains(facets.count) else {
      throw RoostError(
        .invalidArgument, "\(facets.count) facets, there must be 1 to \(Limits.facetsMax)", at: "facet")
    }
    for facet in facets {
      let place = "facet field '\(facet.path.text)'"
      switch facet.kind {
      case .values(let top):
        guard (1...Limits.facetTopMax).contains(top) else {
          throw RoostError(
            .invalidArgument, "top is \(top), it must be in 1...\(Limits.facetTopMax)", at: place)
        }
      case .numbers(let interval), .datetimes(let interval):
        guard interval >= 0, interval.isFinite else {
          throw RoostError(
            .invalidArgument, "the interval is \(interval), it must be 0 (for none) or a positive number",
            at: place)
        }
      }
    }
  }
}

/// A value and how many records hold it.
public struct ValueCount: Sendable, Equatable {
  /// Of equal numbers the int, if there is one.
  public var value: Value
  public var count: Int

  public init(value: Value, count: Int) {
    self.value = value
    self.count = count
  }
}

/// The answer to one facet.
public enum FacetAnswer: Sendable, Equatable {
  /// `top` by descending count, equal counts by ascending value; `distinct` counts all values.
  case values(distinct: Int, top: [ValueCount])
  /// How many values of the type there are, and the least and the greatest, nil without any. `histogram`
  /// has the lower end (a multiple of the interval) and the count of each step that is not empty, ascending.
  case bounds(count: Int, least: Value?, greatest: Value?, histogram: [ValueCount])
}

public struct FacetOutcome: Sendable, Equatable {
  /// Records that pass the filter.
  public var matched: Int
  /// One for each facet, in order.
  public var answers: [FacetAnswer]

  public init(matched: Int, answers: [FacetAnswer]) {
    self.matched = matched
    self.answers = answers
  }
}
