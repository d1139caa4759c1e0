// The bytes of a filter on the wire (`spec/wire.md`, "Filter").

extension Filter {
  private enum Tag {
    static let equals: UInt8 = 1
    static let isIn: UInt8 = 2
    static let range: UInt8 = 3
    static let exists: UInt8 = 4
    static let and: UInt8 = 5
    static let or: UInt8 = 6
    static let not: UInt8 = 7
  }

  public func encode(into writer: inout ByteWriter) {
    switch self {
    case .equals(let field, let value):
      writer.u8(Tag.equals)
      writer.string(field)
      value.encode(into: &writer)
    case .isIn(let field, let values):
      writer.u8(Tag.isIn)
      writer.string(field)
      writer.count(values.count)
      for value in values { value.encode(into: &writer) }
    case .range(let field, let range):
      writer.u8(Tag.range)
      writer.string(field)
      range.lower.encode(into: &writer)
      range.upper.encode(into: &writer)
    case .exists(let field):
      writer.u8(Tag.exists)
      writer.string(field)
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
    var budget = Limits.filterNodesMax
    try self.init(from: &reader, depth: 0, budget: &budget)
  }

  private init(from reader: inout ByteReader, depth: Int, budget: inout Int) throws(RoostError) {
    let start = reader.offset
    guard depth <= Limits.filterDepthMax else {
      throw RoostError(
        .limitExceeded, "filter nests deeper than \(Limits.filterDepthMax)", at: "byte \(start)")
    }
    try Filter.spend(1, of: &budget)
    switch try reader.u8() {
    case Tag.equals: self = .equals(field: try Filter.field(&reader), try Value(from: &reader))
    case Tag.isIn:
      let field = try Filter.field(&reader)
      let count = try reader.count("value count", atMost: Limits.filterNodesMax)
      try Filter.spend(count, of: &budget)
      var values: [Value] = []
      for _ in 0..<count { values.append(try Value(from: &reader)) }
      self = .isIn(field: field, values)
    case Tag.range:
      let field = try Filter.field(&reader)
      self = .range(
        field: field,
        FilterRange(lower: try FilterRange.Bound(from: &reader), upper: try FilterRange.Bound(from: &reader)))
    case Tag.exists: self = .exists(field: try Filter.field(&reader))
    case Tag.and: self = .and(try Filter.parts(&reader, depth: depth, budget: &budget))
    case Tag.or: self = .or(try Filter.parts(&reader, depth: depth, budget: &budget))
    case Tag.not: self = .not(try Filter(from: &reader, depth: depth + 1, budget: &budget))
    case let tag: throw RoostError(.corrupted, "unknown filter tag \(tag)", at: "byte \(start)")
    }
  }

  private static func spend(_ nodes: Int, of budget: inout Int) throws(RoostError) {
    budget -= nodes
    guard budget >= 0 else {
      throw RoostError(.limitExceeded, "filter has more than \(Limits.filterNodesMax) nodes", at: "filter")
    }
  }

  private static func field(_ reader: inout ByteReader) throws(RoostError) -> String {
    try reader.string("field path", atMost: Limits.fieldNameBytesMax * Limits.payloadDepthMax)
  }

  private static func parts(
    _ reader: inout ByteReader, depth: Int, budget: inout Int
  ) throws(RoostError) -> [Filter] {
    let count = try reader.count("part count", atMost: Limits.filterNodesMax)
    var parts: [Filter] = []
    for _ in 0..<count { parts.append(try Filter(from: &reader, depth: depth + 1, budget: &budget)) }
    return parts
  }
}

extension FilterRange.Bound {
  public func encode(into writer: inout ByteWriter) {
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

  public init(from reader: inout ByteReader) throws(RoostError) {
    switch try reader.u8() {
    case 0: self = .unbounded
    case 1: self = .inclusive(try Value(from: &reader))
    case 2: self = .exclusive(try Value(from: &reader))
    case let tag: throw RoostError(.corrupted, "unknown bound tag \(tag)", at: "byte \(reader.offset - 1)")
    }
  }
}
