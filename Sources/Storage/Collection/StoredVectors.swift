// How a vector is stored: as given, except that f32 vectors are normalised for metric cosine.

import Core

extension CollectionSchema {
  var shape: VectorShape { VectorShape(dimension: dimension, element: element, metric: metric) }

  /// The stored bytes of a vector that `validate` has accepted.
  func storedBytes(_ vector: Vector) -> [UInt8] {
    guard metric == .cosine, element == .f32 else { return vector.bytes }
    let values = vector.floats
    // Scaled by the largest element first, so that the sum of squares neither overflows nor vanishes.
    let largest = values.reduce(0) { max($0, Double(abs($1))) }
    let norm =
      values.reduce(0.0) { $0 + (Double($1) / largest) * (Double($1) / largest) }.squareRoot() * largest
    return values.map { Float(Double($0) / norm) }.withUnsafeBytes { Array($0) }
  }
}
