// Numbers of two types in one order. An int and a double compare by their exact values: converting
// the int to a double would make 2^53 and 2^53 + 1 equal.

/// A number in the one form that all equal numbers share.
enum CanonicalNumber: Equatable {
  /// Every int, and every double that is a whole number within 64 bits.
  case whole(Int64)
  /// Every other double: with a fraction, beyond 64 bits, or infinite.
  case other(Double)

  @inline(__always)
  init(_ number: Double) {
    // 2^63 itself is a double but no Int64; -2^63 is both. Fails for NaN and infinities too.
    if number >= -0x1p63, number < 0x1p63, let whole = Int64(exactly: number) {
      self = .whole(whole)
    } else {
      self = .other(number)
    }
  }
}

/// A range of numbers, closed at both ends in each of the two types; empty where a lower end exceeds
/// its upper one.
package struct NumberInterval: Equatable {
  package var lowerInt = Int64.min
  package var upperInt = Int64.max
  package var lowerDouble = -Double.infinity
  package var upperDouble = Double.infinity

  @inline(__always)
  func contains(_ number: Int64) -> Bool { lowerInt <= number && number <= upperInt }

  @inline(__always)
  func contains(_ number: Double) -> Bool { lowerDouble <= number && number <= upperDouble }

  mutating func raise(to bound: Int64, inclusive: Bool) {
    raiseInt(to: bound, inclusive: inclusive)
    let rounded = Double(bound)
    switch NumberInterval.compare(rounded, bound) {
    case let order where order < 0: lowerDouble = rounded.nextUp
    case let order where order > 0: lowerDouble = rounded
    default: lowerDouble = inclusive ? rounded : rounded.nextUp
    }
  }

  mutating func raise(to bound: Double, inclusive: Bool) {
    switch CanonicalNumber(bound) {
    case .whole(let whole): raiseInt(to: whole, inclusive: inclusive)
    case .other(let number):
      if number >= 0x1p63 { emptyInts() } else if number > -0x1p63 { lowerInt = Int64(number.rounded(.up)) }
    }
    if inclusive {
      lowerDouble = bound
    } else if bound == .infinity {
      emptyDoubles()
    } else {
      lowerDouble = bound.nextUp
    }
  }

  mutating func lower(to bound: Int64, inclusive: Bool) {
    lowerInts(to: bound, inclusive: inclusive)
    let rounded = Double(bound)
    switch NumberInterval.compare(rounded, bound) {
    case let order where order > 0: upperDouble = min(upperDouble, rounded.nextDown)
    case let order where order < 0: upperDouble = min(upperDouble, rounded)
    default: upperDouble = min(upperDouble, inclusive ? rounded : rounded.nextDown)
    }
  }

  mutating func lower(to bound: Double, inclusive: Bool) {
    switch CanonicalNumber(bound) {
    case .whole(let whole): lowerInts(to: whole, inclusive: inclusive)
    case .other(let number):
      if number < -0x1p63 {
        emptyInts()
      } else if number < 0x1p63 {
        upperInt = min(upperInt, Int64(number.rounded(.down)))
      }
    }
    if inclusive {
      upperDouble = min(upperDouble, bound)
    } else if bound == -.infinity {
      emptyDoubles()
    } else {
      upperDouble = min(upperDouble, bound.nextDown)
    }
  }

  private mutating func raiseInt(to bound: Int64, inclusive: Bool) {
    if inclusive { lowerInt = bound } else if bound == .max { emptyInts() } else { lowerInt = bound + 1 }
  }

  private mutating func lowerInts(to bound: Int64, inclusive: Bool) {
    if inclusive {
      upperInt = min(upperInt, bound)
    } else if bound == .min {
      emptyInts()
    } else {
      upperInt = min(upperInt, bound - 1)
    }
  }

  private mutating func emptyInts() {
    lowerInt = .max
    upperInt = .min
  }

  private mutating func emptyDoubles() {
    lowerDouble = .infinity
    upperDouble = -.infinity
  }

  /// Exact: below zero when `double < int`, zero when equal, else above. `double` is `Double(int)`.
  private static func compare(_ double: Double, _ int: Int64) -> Int {
    guard double < 0x1p63 else { return 1 }
    let whole = Int64(double)
    return whole < int ? -1 : whole > int ? 1 : 0
  }
}
