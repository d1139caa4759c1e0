// How many differences there are, from the counts of a few symbols, long before they can be decoded.

/// The count of the symbol at index i, over d differences of either sign, varies around the density at i
/// times the count of the first symbol (where all are) with variance d p (1 - p). From m symbols the
/// relative error of the estimate is about √(2/m).
public struct DifferenceEstimate: Sendable {
  private var total = 0.0
  private var first = 0.0
  private var samples = 0

  /// - Parameter count: of the next symbol of the difference, before anything was peeled from it.
  mutating func add(count: Int32) {
    if samples == 0 {
      first = Double(count)
    } else {
      let density = SymbolMapping.density(samples)
      let deviation = Double(count) - density * first
      total += deviation * deviation / (density * (1 - density))
    }
    samples += 1
  }

  /// The number of differences, at least as many as the sizes of the two sets differ by.
  public var value: Double {
    max(least, samples > 1 ? total / Double(samples - 1) : 1)
  }

  /// By how much the sizes of the two sets differ.
  public var least: Double { first.magnitude }

  /// One standard deviation, as a fraction of `value`.
  public var relativeError: Double { samples > 1 ? (2 / Double(samples - 1)).squareRoot() : 1 }
}
