// How a vector is stored: as given, except that floats are rounded to the collection's type and, for metric
// cosine, kept clear of overflow.

import Core

/// The vectors of one record as they are stored: those that it has, in the order of the fields, one after the other.
struct StoredVectors: Sendable, Equatable {
  /// Bit `i`: field `i` has a vector. Never 0.
  var mask: UInt8
  var bytes: [UInt8]

  func has(field: Int) -> Bool { mask & (1 << UInt8(field)) != 0 }
}

extension CollectionSchema {
  /// Throws as `arrange` does.
  func storedVectors(_ vectors: RecordVectors) throws(RoostError) -> StoredVectors {
    let arranged = try arrange(vectors)
    if fields.count == 1, let only = arranged[0] {
      return StoredVectors(mask: 1, bytes: fields[0].storedBytes(only))
    }
    var stored = StoredVectors(mask: 0, bytes: [])
    for (index, vector) in arranged.enumerated() {
      guard let vector else { continue }
      stored.mask |= 1 << UInt8(index)
      stored.bytes += fields[index].storedBytes(vector)
    }
    return stored
  }

  /// Bytes of a vector of each field.
  var rowBytes: [Int] { fields.map(\.shape.rowBytes) }
}

extension VectorField {
  var shape: VectorShape { VectorShape(dimension: dimension, element: element, metric: metric) }

  /// The stored bytes of a vector that `validate` has accepted. For metric cosine f32 vectors are normalised, and
  /// bf16 vectors with very large or very small elements are multiplied by a power of two, which changes no
  /// direction but keeps sums of squares within the range of a float.
  func storedBytes(_ vector: Vector) -> [UInt8] {
    let given = vector.rounded(to: element) ?? vector
    guard metric == .cosine, element == .f32 || element == .bf16 else { return given.bytes }
    let values = given.floats
    let largest = values.reduce(0) { max($0, abs($1)) }
    if element == .bf16 {
      guard largest > 0, !(Self.bf16Safe ~= largest) else { return given.bytes }
      // Two steps, as the factor itself may be out of range.
      let shift = -Int(largest.exponent)
      let scaled = values.map { Float(sign: .plus, exponent: shift, significand: $0) }
      return Vector(scaled).rounded(to: .bf16)?.bytes ?? given.bytes
    }
    // Scaled by the largest element first, so that the sum of squares neither overflows nor vanishes.
    let scale = Double(largest)
    let norm =
      values.reduce(0.0) { $0 + (Double($1) / scale) * (Double($1) / scale) }.squareRoot() * scale
    return values.map { Float(Double($0) / norm) }.withUnsafeBytes { Array($0) }
  }

  /// Vectors whose largest element is in this range are stored as they are.
  private static let bf16Safe: ClosedRange<Float> = 0x1p-40...0x1p40
}
