// What collection tests share: a folder that goes away, small options, random records and a brute-force answer.

import Core
import Foundation
import Storage
import Testing

/// A folder under the system's temporary one, removed when the value goes.
final class TemporaryFolder: Sendable {
  let path: String

  init() {
    path = FileManager.default.temporaryDirectory.appendingPathComponent("roost-\(UUID().uuidString)").path
    try? FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
  }

  deinit { try? FileManager.default.removeItem(atPath: path) }
}

extension SplitMix64 {
  mutating func below(_ limit: Int) -> Int { Int(next() % UInt64(limit)) }

  mutating func unitFloat() -> Float { Float(next() >> 40) / Float(1 << 24) * 2 - 1 }

  /// A vector of any element type that suits every metric.
  mutating func vector(_ schema: CollectionSchema) -> Vector { vector(schema.fields[0]) }

  mutating func vector(_ schema: VectorField) -> Vector {
    switch schema.element {
    case .f32: Vector((0..<schema.dimension).map { _ in unitFloat() })
    case .f16, .bf16:
      Vector((0..<schema.dimension).map { _ in unitFloat() }).rounded(to: schema.element)
        ?? Vector(element: schema.element, bytes: [])
    case .binary:
      Vector(
        element: .binary, bytes: (0..<schema.dimension / 8).map { _ in UInt8(truncatingIfNeeded: next()) })
    case .u8: Vector((0..<schema.dimension).map { _ in UInt8(1 + below(255)) })
    case .i8: Vector((0..<schema.dimension).map { _ in Int8(below(255) - 127) })
    }
  }

  mutating func record(_ id: RecordID, _ schema: CollectionSchema) -> PutRecord {
    PutRecord(
      id: id, vector: vector(schema),
      payload: Payload([
        "color": .string(["red", "green", "blue"][below(3)]), "size": .int(Int64(below(1000))),
        "text": .string(String(repeating: "x", count: below(40))),
      ]))
  }
}

/// The distance of the metric, computed the slow way in double precision.
func referenceDistance(_ a: Vector, _ b: Vector, _ metric: Metric) -> Double {
  let (x, y) = (a.floats.map(Double.init), b.floats.map(Double.init))
  let dot = zip(x, y).reduce(0) { $0 + $1.0 * $1.1 }
  switch metric {
  case .hamming: return zip(x, y).reduce(0) { $0 + abs($1.0 - $1.1) }
  case .l2: return zip(x, y).reduce(0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
  case .innerProduct: return -dot
  case .cosine:
    let norms = (x.reduce(0) { $0 + $1 * $1 } * y.reduce(0) { $0 + $1 * $1 }).squareRoot()
    return 1 - dot / norms
  }
}
