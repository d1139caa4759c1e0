// The attribute filter as a tree: a predicate over a record's payload and id (`spec/filter.md`).

/// Which records pass. Two-valued: a test of a field that is not there does not pass, so `not` of it does.
///
/// The tree is a plain value, made to be walked: leaves are `field` (a path and a typed predicate) and
/// `hasID`; `nested` opens a new root for the paths below it.
public indirect enum Filter: Sendable, Equatable {
  /// Some value at the path satisfies the predicate.
  case field(FieldPath, FieldPredicate)
  /// Some one map at the path (it, or an element of an array there) satisfies the filter, whose paths
  /// begin in that map.
  case nested(FieldPath, Filter)
  /// The record's id is one of these.
  case hasID([RecordID])
  /// Every part passes; without parts always.
  case and([Filter])
  /// Some part passes; without parts never.
  case or([Filter])
  case not(Filter)
}

/// What a filter asks of a field. A field's values are what stands at its path; of an array, its elements.
public enum FieldPredicate: Sendable, Equatable {
  /// The field is there, whatever it holds: null and an empty array count.
  case exists
  /// The field holds something besides null: a scalar or a map, be it inside an array.
  case hasValue
  case equals(Value)
  case isIn([Value])
  case range(FilterRange)
  case text(TextMatch)
  case within(GeoArea)
}

/// The two ends of a range; both of one type that has an order.
public struct FilterRange: Sendable, Equatable {
  public enum Bound: Sendable, Equatable {
    case unbounded
    case inclusive(Value)
    case exclusive(Value)

    public var value: Value? {
      switch self {
      case .unbounded: nil
      case .inclusive(let value), .exclusive(let value): value
      }
    }
  }
  public var lower: Bound
  public var upper: Bound

  public init(lower: Bound = .unbounded, upper: Bound = .unbounded) {
    self.lower = lower
    self.upper = upper
  }
}

/// A search for words in a string. Both are cut into words by `TextTokenizer`.
public struct TextMatch: Sendable, Equatable {
  public enum Mode: UInt8, Sendable, CaseIterable {
    /// Every word is there, in any order.
    case all = 1
    /// Some word is there.
    case any = 2
    /// The words stand next to one another in this order.
    case phrase = 3
    /// Every word is there; the last one may be the beginning of a word, as while someone types.
    case prefix = 4
  }
  public var mode: Mode
  public var text: String

  public init(_ mode: Mode, _ text: String) {
    self.mode = mode
    self.text = text
  }
}
