// The attribute filter: a predicate over a record's payload.

/// A comparison bound for `Filter.range`.
public struct FilterRange: Sendable, Equatable {
  public enum Bound: Sendable, Equatable {
    case unbounded
    case inclusive(Value)
    case exclusive(Value)
  }
  public var lower: Bound
  public var upper: Bound

  public init(lower: Bound = .unbounded, upper: Bound = .unbounded) {
    self.lower = lower
    self.upper = upper
  }
}

/// A predicate over the payload. `field` is a name, or a path of names joined by dots into nested maps.
/// A field that holds an array matches when any of its elements does.
public indirect enum Filter: Sendable, Equatable {
  case equals(field: String, Value)
  case isIn(field: String, [Value])
  case range(field: String, FilterRange)
  case exists(field: String)
  case and([Filter])
  case or([Filter])
  case not(Filter)
}
