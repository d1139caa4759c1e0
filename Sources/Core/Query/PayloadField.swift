// One field of an encoded payload, read in place: what a search groups its hits by, and what facets and
// ordered scans look at.

/// The value of a field as the name of a group. Equal keys have equal bytes.
public enum GroupKey: Hashable, Sendable {
  case bool(Bool)
  case int(Int64)
  case datetime(Int64)
  /// UTF-8.
  case string([UInt8])

  public var value: Value {
    switch self {
    case .bool(let flag): .bool(flag)
    case .int(let number): .int(number)
    case .datetime(let micros): .datetime(micros)
    case .string(let bytes): .string(String(decoding: bytes, as: UTF8.self))
    }
  }
}

/// A path into payloads, ready to be looked up in many.
public struct PayloadField: Sendable {
  private let names: [[UInt8]]

  public init(_ path: FieldPath) { names = path.names.map { Array($0.utf8) } }

  /// The group that an encoded payload belongs to; nil when the field is missing or of another type. Throws
  /// `.corrupted` when bytes on the way are malformed.
  public func groupKey(in payload: UnsafeRawBufferPointer) throws(RoostError) -> GroupKey? {
    var reader = ByteReader(payload)
    for (depth, name) in names.enumerated() {
      if depth > 0 {
        guard try reader.u8() == ValueTag.map else { return nil }
        _ = try reader.u32()
      }
      guard try PayloadField.find(name, &reader) else { return nil }
    }
    switch try reader.u8() {
    case ValueTag.boolFalse: return .bool(false)
    case ValueTag.boolTrue: return .bool(true)
    case ValueTag.int: return .int(try reader.i64())
    case ValueTag.datetime: return .datetime(try reader.i64())
    case ValueTag.string:
      return .string(Array(try reader.bytes(try reader.count("string", atMost: Limits.payloadBytesMax))))
    default: return nil
    }
  }

  /// Calls `body` with each value of the field, as filters see it: the scalar at the path; of an array every
  /// element; on the way every map of an array. Throws `.corrupted` when bytes on the way are malformed.
  package func forEachValue(
    in payload: UnsafeRawBufferPointer, _ body: (ScalarView) throws(RoostError) -> Void
  ) throws(RoostError) {
    var reader = ByteReader(payload)
    try enter(&reader, name: 0, depth: 0, body)
  }

  private func enter(
    _ fields: inout ByteReader, name: Int, depth: Int, _ body: (ScalarView) throws(RoostError) -> Void
  ) throws(RoostError) {
    guard try PayloadField.find(names[name], &fields) else { return }
    try visit(&fields, name: name, depth: depth, body)
  }

  private func visit(
    _ reader: inout ByteReader, name: Int, depth: Int, _ body: (ScalarView) throws(RoostError) -> Void
  ) throws(RoostError) {
    let start = reader.offset
    guard depth <= Limits.payloadDepthMax else {
      throw RoostError(
        .corrupted, "values nest deeper than \(Limits.payloadDepthMax)", at: "payload byte \(start)")
    }
    switch try reader.u8() {
    case ValueTag.array:
      var elements = ByteReader(try reader.bytes(Int(try reader.u32())))
      let count = try elements.count("array count", atMost: Limits.payloadBytesMax)
      for _ in 0..<count { try visit(&elements, name: name, depth: depth + 1, body) }
    case ValueTag.map:
      var fields = ByteReader(try reader.bytes(Int(try reader.u32())))
      if name + 1 < names.count { try enter(&fields, name: name + 1, depth: depth + 1, body) }
    case let tag:
      let value = try ScalarView(tag: tag, from: &reader)
      if name == names.count - 1 { try body(value) }
    }
  }

  /// Leaves the reader at the value of the field in the map that begins here.
  private static func find(_ name: [UInt8], _ reader: inout ByteReader) throws(RoostError) -> Bool {
    let count = try reader.count("field count", atMost: Limits.payloadFieldsMax)
    for _ in 0..<count {
      let found = try reader.bytes(try reader.count("field name", atMost: Limits.fieldNameBytesMax))
      let order = name.withUnsafeBytes { compareBytes(found, $0) }
      if order == 0 { return true }
      if order > 0 { return false }  // Names ascend.
      try Value.skip(&reader)
    }
    return false
  }
}
