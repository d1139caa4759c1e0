// Facets: what the values of fields are under a filter.

import Core

package struct FacetRequest: Sendable, Equatable {
  package var collection: String
  package var query: FacetQuery

  package init(collection: String, query: FacetQuery) {
    self.collection = collection
    self.query = query
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    body.bytes.count(query.facets.count)
    for facet in query.facets { facet.encode(into: &body.bytes) }
    body.optionalFilter(query.filter)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    let facets = try body.list("facet count", atMost: Limits.facetsMax) { (body) throws(RoostError) in
      try Facet(from: &body.fixed)
    }
    query = FacetQuery(facets, filter: try body.optionalFilter())
  }
}

private enum FacetTag {
  static let values: UInt8 = 1
  static let numbers: UInt8 = 2
  static let datetimes: UInt8 = 3
}

extension Facet {
  fileprivate func encode(into writer: inout ByteWriter) {
    writer.string(path.text)
    switch kind {
    case .values(let top):
      writer.u8(FacetTag.values)
      // What is out of range goes out as the largest number, which every receiver refuses.
      writer.varint(UInt64(exactly: top) ?? .max)
    case .numbers(let interval):
      writer.u8(FacetTag.numbers)
      writer.f64(interval)
    case .datetimes(let interval):
      writer.u8(FacetTag.datetimes)
      writer.f64(interval)
    }
  }

  fileprivate init(from reader: inout ByteReader) throws(RoostError) {
    let path = try FieldPath(from: &reader)
    let start = reader.offset
    switch try reader.u8() {
    case FacetTag.values: self.init(path, .values(top: try reader.count("top", atMost: Limits.facetTopMax)))
    case FacetTag.numbers: self.init(path, .numbers(interval: try reader.f64()))
    case FacetTag.datetimes: self.init(path, .datetimes(interval: try reader.f64()))
    case let tag: throw RoostError(.corrupted, "unknown facet \(tag)", at: "byte \(start)")
    }
  }
}

extension FacetOutcome {
  func encode(into body: inout BodyWriter) {
    body.bytes.u64(UInt64(matched))
    body.bytes.count(answers.count)
    for answer in answers {
      switch answer {
      case .values(let distinct, let top):
        body.bytes.u8(FacetTag.values)
        body.bytes.u64(UInt64(distinct))
        body.counts(top)
      case .bounds(let count, let least, let greatest, let histogram):
        body.bytes.u8(FacetTag.numbers)
        body.bytes.u64(UInt64(count))
        body.optionalValue(least)
        body.optionalValue(greatest)
        body.counts(histogram)
      }
    }
  }

  init(from body: inout BodyReader) throws(RoostError) {
    let matched = try body.count()
    let answers = try body.list("answer count", atMost: Limits.facetsMax) {
      (body) throws(RoostError) -> FacetAnswer in
      let start = body.fixed.offset
      switch try body.fixed.u8() {
      case FacetTag.values:
        return .values(distinct: try body.count(), top: try body.counts(atMost: Limits.facetTopMax))
      case FacetTag.numbers:
        return .bounds(
          count: try body.count(), least: try body.optionalValue(), greatest: try body.optionalValue(),
          histogram: try body.counts(atMost: Limits.facetDistinctMax))
      case let tag: throw RoostError(.corrupted, "unknown facet answer \(tag)", at: "byte \(start)")
      }
    }
    self.init(matched: matched, answers: answers)
  }
}

extension BodyWriter {
  fileprivate mutating func counts(_ counts: [ValueCount]) {
    bytes.count(counts.count)
    for count in counts {
      count.value.encode(into: &bytes)
      bytes.u64(UInt64(count.count))
    }
  }

  fileprivate mutating func optionalValue(_ value: Value?) {
    bytes.u8(value == nil ? 0 : 1)
    value?.encode(into: &bytes)
  }
}

extension BodyReader {
  /// A u64 that is a count.
  fileprivate mutating func count() throws(RoostError) -> Int {
    let start = fixed.offset
    let count = try fixed.u64()
    guard let count = Int(exactly: count) else {
      throw RoostError(.corrupted, "a count of \(count)", at: "byte \(start)")
    }
    return count
  }

  fileprivate mutating func counts(atMost limit: Int) throws(RoostError) -> [ValueCount] {
    try list("value count", atMost: limit) { (body) throws(RoostError) in
      ValueCount(value: try Value(from: &body.fixed), count: try body.count())
    }
  }

  fileprivate mutating func optionalValue() throws(RoostError) -> Value? {
    try flag("value") ? try Value(from: &fixed) : nil
  }
}
