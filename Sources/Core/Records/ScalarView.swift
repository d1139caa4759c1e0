// A scalar inside an encoded payload, in place: what filters, facets and orders look at.

/// The bytes are valid as long as the payload is.
package enum ScalarView {
  case null
  case bool(Bool)
  case int(Int64)
  case double(Double)
  case string(UnsafeRawBufferPointer)
  case bytes(UnsafeRawBufferPointer)
  case geo(latitude: Double, longitude: Double)
  case datetime(Int64)

  /// Reads what follows a tag (`ValueTag`) that is neither array nor map.
  @inline(__always)
  init(tag: UInt8, from reader: inout ByteReader) throws(RoostError) {
    switch tag {
    case ValueTag.null: self = .null
    case ValueTag.boolFalse: self = .bool(false)
    case ValueTag.boolTrue: self = .bool(true)
    case ValueTag.int: self = .int(try reader.i64())
    case ValueTag.double: self = .double(try reader.f64())
    case ValueTag.string:
      self = .string(try reader.bytes(try reader.count("string", atMost: Limits.payloadBytesMax)))
    case ValueTag.bytes:
      self = .bytes(try reader.bytes(try reader.count("bytes", atMost: Limits.payloadBytesMax)))
    case ValueTag.geo: self = .geo(latitude: try reader.f64(), longitude: try reader.f64())
    case ValueTag.datetime: self = .datetime(try reader.i64())
    default:
      throw RoostError(.corrupted, "unknown value tag \(tag)", at: "payload byte \(reader.offset - 1)")
    }
  }
}
