// What a collection should answer, computed by comparing every record in double precision.

import Core
import Storage
import Testing

/// The records that a collection holds, and the slow answers to every form of search.
struct SearchModel: CollectionModel {
  let schema: CollectionSchema
  private(set) var records: [RecordID: PutRecord] = [:]

  init(_ schema: CollectionSchema) { self.schema = schema }

  mutating func put(_ batch: [PutRecord]) { for record in batch { records[record.id] = record } }
  mutating func delete(_ ids: [RecordID]) { for id in ids { records[id] = nil } }

  typealias Ranked = (distance: Double, record: PutRecord)

  /// Every record that may be a hit, best first.
  func ranked(_ query: SearchQuery) -> [Ranked] {
    var excluded = Set(query.excluded)
    for case .record(let id) in query.target.points { excluded.insert(id) }
    return records.values
      .filter { !excluded.contains($0.id) && SearchModel.passes($0, query.filter) }
      .map { (distance($0.vector!, query.target), $0) }
      .sorted { ($0.0, $0.1.id) < ($1.0, $1.1.id) }
  }

  /// The filters that the tests use.
  private static func passes(_ record: PutRecord, _ filter: Filter?) -> Bool {
    switch filter {
    case nil: return true
    case .field("size", .range(let range))?:
      guard case .exclusive(.int(let limit)) = range.upper, case .int(let size)? = record.payload["size"]
      else { return false }
      return size < limit
    case .field("color", .equals(let value))?: return record.payload["color"] == value
    default: preconditionFailure("the model does not know this filter")
    }
  }

  private func vector(_ point: SearchPoint) -> Vector {
    switch point {
    case .vector(let vector): vector
    case .record(let id): records[id]!.vector!
    case .source: preconditionFailure("the model has no embedder")
    }
  }

  func distance(_ vector: Vector, _ target: SearchTarget) -> Double {
    func distance(_ point: SearchPoint) -> Double {
      referenceDistance(vector, self.vector(point), schema.metric)
    }
    switch target {
    case .point(let point): return distance(point)
    case .recommend(let examples):
      switch examples.strategy {
      case .averageVector: return averageDistance(vector, examples)
      case .bestScore:
        let near = examples.positive.map(distance).min() ?? .infinity
        let far = examples.negative.map(distance).min() ?? .infinity
        func scaled(_ d: Double) -> Double { d == .infinity ? 0 : 0.5 * (1 - d / (1 + abs(d))) }
        return near < far ? -scaled(near) : scaled(far)
      }
    }
  }

  private func averageDistance(_ vector: Vector, _ examples: Recommendation) -> Double {
    func mean(_ points: [SearchPoint]) -> [Double] {
      let all = points.map { point -> [Double] in
        let values = self.vector(point).floats.map(Double.init)
        guard schema.metric == .cosine, schema.element == .f32 else { return values }
        let norm = values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        return values.map { $0 / norm }
      }
      return (0..<schema.dimension).map { index in
        all.reduce(0) { $0 + $1[index] } / Double(all.count)
      }
    }
    var target = mean(examples.positive)
    if !examples.negative.isEmpty {
      for (index, value) in mean(examples.negative).enumerated() { target[index] = 2 * target[index] - value }
    }
    let rounded: Vector
    switch schema.element {
    case .f32: rounded = Vector(target.map { Float($0) })
    case .f16, .bf16: rounded = Vector(target.map { Float($0) }).rounded(to: schema.element)!
    case .binary: rounded = Vector(bits: target.map { $0 > 0.5 })
    case .u8: rounded = Vector(target.map { UInt8(min(max($0.rounded(), 0), 255)) })
    case .i8: rounded = Vector(target.map { Int8(min(max($0.rounded(), -128), 127)) })
    }
    return referenceDistance(vector, rounded, schema.metric)
  }

  /// What the field of a record groups it by.
  static func group(_ record: PutRecord, _ field: String) -> Value? {
    let value: Value?
    if field == "m.x" {
      guard case .map(let inner)? = record.payload["m"] else { return nil }
      value = inner["x"]
    } else {
      value = record.payload[field]
    }
    switch value {
    case .bool, .int, .string, .datetime: return value
    default: return nil
    }
  }
}

extension SplitMix64 {
  /// A record with a field that has values of every type, none, and some that many records share.
  mutating func groupedRecord(_ id: RecordID, _ schema: CollectionSchema) -> PutRecord {
    var record = record(id, schema)
    let value: Value? =
      switch below(10) {
      case 0: nil
      case 1: .null
      case 2: .double(1)
      case 3: .array([.int(1)])
      case 4: .bool(below(2) == 0)
      case 5: .datetime(Int64(below(3)))
      case 6: .int(Int64(below(40)))
      case 7: .string(["", "a", "b", "é"][below(4)])
      default: .string("big")
      }
    if let value { record.payload["g"] = value }
    record.payload["m"] = below(4) == 0 ? .int(3) : .map(["w": .int(1), "x": .int(Int64(below(6)))])
    return record
  }
}
