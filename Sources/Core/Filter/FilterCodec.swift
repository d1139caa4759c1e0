// The bytes of a filter on the wire (`spec/filter.md`, "Bytes").

extension Filter {
  private enum Tag {
    static let field: UInt8 = 1
    static let nested: UInt8 = 2
    static let hasID: UInt8 = 3
    static let and: UInt8 = 4
    static let or: UInt8 = 5
    static let not: UInt8 = 6
  }

  public func encode(into writer: inout ByteWriter) {
    switch self {
    case .field(let path, let predicate):
      writer.u8(Tag.field)
      writer.string(path.text)
      predicate.encode(into: &writer)
    case .nested(let path, let part):
      writer.u8(Tag.nested)
      writer.string(path.text)
      part.encode(into: &writer)
    case .hasID(let ids):
      writer.u8(Tag.hasID)
      writer.count(ids.count)
      for id in ids { id.encode(into: &writer) }
    case .and(let parts), .or(let parts):
      if case .and = self { writer.u8(Tag.and) } else { writer.u8(Tag.or) }
      writer.count(parts.count)
      for part in parts { part.encode(into: &writer) }
    case .not(let part):
      writer.u8(Tag.not)
      part.encode(into: &writer)
    }
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    var budget = FilterBudget()
    try self.init(from: &reader, depth: 0, budget: &budget)
  }

  private init(from reader: inout ByteReader, depth: Int, budget: inout FilterBudget) throws(RoostError) {
    let start = reader.offset
    try budget.spendNode(depth: depth)
    switch try reader.u8() {
    case Tag.field:
      self = .field(try FieldPath(from: &reader), try FieldPredicate(from: &reader, budget: &budget))
    case Tag.nested:
      self = .nested(
        try FieldPath(from: &reader), try Filter(from: &reader, depth: depth + 1, budget: &budget))
    case Tag.hasID:
      let count = try reader.count("id count", atMost: Limits.filterValuesMax)
      try budget.spendValues(count)
      var ids: [RecordID] = []
      for _ in 0..<count { ids.append(try RecordID(from: &reader)) }
      self = .hasID(ids)
    case Tag.and: self = .and(try Filter.parts(&reader, depth: depth, budget: &budget))
    case Tag.or: self = .or(try Filter.parts(&reader, depth: depth, budget: &budget))
    case Tag.not: self = .not(try Filter(from: &reader, depth: depth + 1, budget: &budget))
    case let tag: throw RoostError(.corrupted, "unknown filter tag \(tag)", at: "byte \(start)")
    }
  }

  private static func parts(
    _ reader: inout ByteReader, depth: Int, budget: inout FilterBudget
  ) throws(RoostError) -> [Filter] {
    let count = try reader.count("part count", atMost: Limits.filterNodesMax)
    var parts: [Filter] = []
    for _ in 0..<count { parts.append(try Filter(from: &reader, depth: depth + 1, budget: &budget)) }
    return parts
  }
}

extension FieldPath {
  public init(from reader: inout ByteReader) throws(RoostError) {
    try self.init(try reader.string("field path", atMost: FieldPath.textBytesMax))
  }
}

extension FieldPredicate {
  private enum Tag {
    static let exists: UInt8 = 1
    static let hasValue: UInt8 = 2
    static let equals: UInt8 = 3
    static let isIn: UInt8 = 4
    static let range: UInt8 = 5
    static let text: UInt8 = 6
    static let circle: UInt8 = 7
    static let box: UInt8 = 8
    static let polygon: UInt8 = 9
  }

  func encode(into writer: inout ByteWriter) {
    switch self {
    case .exists: writer.u8(Tag.exists)
    case .hasValue: writer.u8(Tag.hasValue)
    case .equals(let value):
      writer.u8(Tag.equals)
      value.encode(into: &writer)
    case .isIn(let values):
      writer.u8(Tag.isIn)
      writer.count(values.count)
      for value in values { value.encode(into: &writer) }
    case .range(let range):
      writer.u8(Tag.range)
      range.lower.encode(into: &writer)
      range.upper.encode(into: &writer)
    case .text(let match):
      writer.u8(Tag.text)
      writer.u8(match.mode.rawValue)
      writer.string(match.text)
    case .within(.circle(let center, let radiusMeters)):
      writer.u8(Tag.circle)
      center.encode(into: &writer)
      writer.f64(radiusMeters)
    case .within(.box(let southWest, let northEast)):
      writer.u8(Tag.box)
      southWest.encode(into: &writer)
      northEast.encode(into: &writer)
    case .within(.polygon(let points)):
      writer.u8(Tag.polygon)
      writer.count(points.count)
      for point in points { point.encode(into: &writer) }
    }
  }

  fileprivate init(from reader: inout ByteReader, budget: inout FilterBudget) throws(RoostError) {
    let start = reader.offset
    switch try reader.u8() {
    case Tag.exists: self = .exists
    case Tag.hasValue: self = .hasValue
    case Tag.equals: self = .equals(try Value(from: &reader))
    case Tag.isIn:
      let count = try reader.count("value count", atMost: Limits.filterValuesMax)
      try budget.spendValues(count)
      var values: [Value] = []
      for _ in 0..<count { values.append(try Value(from: &reader)) }
      self = .isIn(values)
    case Tag.range:
      self = .range(
        FilterRange(lower: try FilterRange.Bound(from: &reader), upper: try FilterRange.Bound(from: &reader)))
    case Tag.text:
      guard let mode = TextMatch.Mode(rawValue: try reader.u8()) else {
        throw RoostError(.corrupted, "unknown mode of a text match", at: "byte \(start + 1)")
      }
      self = .text(TextMatch(mode, try reader.string("words", atMost: Limits.filterWordsBytesMax)))
    case Tag.circle:
      self = .within(.circle(center: try GeoPoint(from: &reader), radiusMeters: try reader.f64()))
    case Tag.box:
      self = .within(.box(southWest: try GeoPoint(from: &reader), northEast: try GeoPoint(from: &reader)))
    case Tag.polygon:
      let count = try reader.count("point count", atMost: Limits.filterPolygonPointsMax)
      try budget.spendValues(count)
      var points: [GeoPoint] = []
      for _ in 0..<count { points.append(try GeoPoint(from: &reader)) }
      self = .within(.polygon(points))
    case let tag: throw RoostError(.corrupted, "unknown predicate tag \(tag)", at: "byte \(start)")
    }
  }
}

extension GeoPoint {
  fileprivate func encode(into writer: inout ByteWriter) {
    writer.f64(latitude)
    writer.f64(longitude)
  }

  fileprivate init(from reader: inout ByteReader) throws(RoostError) {
    self.init(latitude: try reader.f64(), longitude: try reader.f64())
  }
}

extension FilterRange.Bound {
  func encode(into writer: inout ByteWriter) {
    switch self {
    case .unbounded: writer.u8(0)
    case .inclusive(let value):
      writer.u8(1)
      value.encode(into: &writer)
    case .exclusive(let value):
      writer.u8(2)
      value.encode(into: &writer)
    }
  }

  init(from reader: inout ByteReader) throws(RoostError) {
    switch try reader.u8() {
    case 0: self = .unbounded
    case 1: self = .inclusive(try Value(from: &reader))
    case 2: self = .exclusive(try Value(from: &reader))
    case let tag: throw RoostError(.corrupted, "unknown bound tag \(tag)", at: "byte \(reader.offset - 1)")
    }
  }
}
