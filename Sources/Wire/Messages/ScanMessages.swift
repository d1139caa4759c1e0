// Scan: records in the order of their ids or of a field.

import Core

package struct ScanRequest: Sendable, Equatable {
  package var collection: String
  /// By id when nil.
  package var order: ScanOrder?
  /// Only records behind this place.
  package var after: ScanCursor?
  /// At most this many records in all parts together.
  package var limit: UInt64
  package var filter: Filter?
  package var includeVector: Bool

  package init(
    collection: String, order: ScanOrder? = nil, after: ScanCursor?, limit: UInt64, filter: Filter?,
    includeVector: Bool
  ) {
    self.collection = collection
    self.order = order
    self.after = after
    self.limit = limit
    self.filter = filter
    self.includeVector = includeVector
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    // 0 by id, 1 ascending, 2 descending by a field.
    switch order {
    case nil: body.bytes.u8(0)
    case let order?:
      body.bytes.u8(order.isDescending ? 2 : 1)
      body.bytes.string(order.path.text)
    }
    body.optionalCursor(after)
    body.bytes.varint(limit)
    body.optionalFilter(filter)
    body.bytes.u8(includeVector ? 1 : 0)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    switch try body.fixed.u8() {
    case 0: order = nil
    case 1: order = ScanOrder(try FieldPath(from: &body.fixed))
    case 2: order = ScanOrder(try FieldPath(from: &body.fixed), descending: true)
    case let tag:
      throw RoostError(.corrupted, "unknown order \(tag)", at: "byte \(body.fixed.offset - 1)")
    }
    after = try body.optionalCursor()
    limit = try body.fixed.varint()
    filter = try body.optionalFilter()
    includeVector = try body.flag("include vector")
  }
}

/// Some records of a scan, in its order.
public struct ScanPage: Sendable, Equatable {
  public var records: [Record]
  /// Where to go on; nil when the scan has reached the end of the collection.
  public var next: ScanCursor?

  public init(records: [Record], next: ScanCursor?) {
    self.records = records
    self.next = next
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.count(records.count)
    for record in records { body.record(record) }
    body.optionalCursor(next)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    records = try body.list("record count", atMost: Limits.batchRecordsMax) { (body) throws(RoostError) in
      try body.record()
    }
    next = try body.optionalCursor()
  }
}
