// The bytes of a payload: the same in the log, in segments, on the wire and in guest memory
// (`spec/payload.md`). The encoding is canonical, so equal payloads have equal bytes on every replica.

/// Tags of encoded values; part of the format.
public enum ValueTag {
  public static let null: UInt8 = 0
  public static let boolFalse: UInt8 = 1
  public static let boolTrue: UInt8 = 2
  public static let int: UInt8 = 3
  public static let double: UInt8 = 4
  public static let string: UInt8 = 5
  public static let bytes: UInt8 = 6
  public static let geo: UInt8 = 7
  public static let datetime: UInt8 = 8
  public static let array: UInt8 = 9
  public static let map: UInt8 = 10
}

extension Value {
  /// Tag, then: int, double, datetime 8 bytes; geo two doubles; string, bytes a varint length and the bytes;
  /// array, map a u32 byte length of what follows, then a varint count and the elements.
  public func encode(into writer: inout ByteWriter) {
    switch self {
    case .null: writer.u8(ValueTag.null)
    case .bool(let flag): writer.u8(flag ? ValueTag.boolTrue : ValueTag.boolFalse)
    case .int(let number):
      writer.u8(ValueTag.int)
      writer.i64(number)
    case .double(let number):
      writer.u8(ValueTag.double)
      writer.f64(number)
    case .string(let text):
      writer.u8(ValueTag.string)
      writer.string(text)
    case .bytes(let bytes):
      writer.u8(ValueTag.bytes)
      writer.blob(bytes)
    case .geo(let latitude, let longitude):
      writer.u8(ValueTag.geo)
      writer.f64(latitude)
      writer.f64(longitude)
    case .datetime(let micros):
      writer.u8(ValueTag.datetime)
      writer.i64(micros)
    case .array(let values):
      writer.u8(ValueTag.array)
      Value.encodeSized(into: &writer) { writer in
        writer.count(values.count)
        for value in values { value.encode(into: &writer) }
      }
    case .map(let fields):
      writer.u8(ValueTag.map)
      Value.encodeSized(into: &writer) { Payload.encode(fields, into: &$0) }
    }
  }

  private static func encodeSized(into writer: inout ByteWriter, _ body: (inout ByteWriter) -> Void) {
    let start = writer.count
    writer.u32(0)
    body(&writer)
    writer.patch(UInt32(writer.count - start - 4), at: start)
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    try self.init(from: &reader, depth: 0)
  }

  init(from reader: inout ByteReader, depth: Int) throws(RoostError) {
    let start = reader.offset
    guard depth <= Limits.payloadDepthMax else {
      throw RoostError(
        .limitExceeded, "values nest deeper than \(Limits.payloadDepthMax)", at: "payload byte \(start)")
    }
    switch try reader.u8() {
    case ValueTag.null: self = .null
    case ValueTag.boolFalse: self = .bool(false)
    case ValueTag.boolTrue: self = .bool(true)
    case ValueTag.int: self = .int(try reader.i64())
    case ValueTag.double: self = .double(try reader.f64())
    case ValueTag.string: self = .string(try reader.string("string", atMost: Limits.payloadBytesMax))
    case ValueTag.bytes: self = .bytes(try reader.blob("bytes", atMost: Limits.payloadBytesMax))
    case ValueTag.geo: self = .geo(latitude: try reader.f64(), longitude: try reader.f64())
    case ValueTag.datetime: self = .datetime(try reader.i64())
    case ValueTag.array:
      let end = try Value.sizedEnd(&reader)
      let count = try reader.count("array count", atMost: Limits.payloadBytesMax)
      var values: [Value] = []
      for _ in 0..<count { values.append(try Value(from: &reader, depth: depth + 1)) }
      try Value.expect(reader, at: end)
      self = .array(values)
    case ValueTag.map:
      let end = try Value.sizedEnd(&reader)
      let fields = try Payload.decode(from: &reader, depth: depth + 1)
      try Value.expect(reader, at: end)
      self = .map(fields)
    case let tag: throw RoostError(.corrupted, "unknown value tag \(tag)", at: "payload byte \(start)")
    }
  }

  /// Steps over one encoded value without decoding it; nested values are passed over as a whole.
  @inline(__always)
  public static func skip(_ reader: inout ByteReader) throws(RoostError) {
    let start = reader.offset
    switch try reader.u8() {
    case ValueTag.null, ValueTag.boolFalse, ValueTag.boolTrue: break
    case ValueTag.int, ValueTag.double, ValueTag.datetime: try reader.skip(8)
    case ValueTag.geo: try reader.skip(16)
    case ValueTag.string, ValueTag.bytes:
      try reader.skip(try reader.count("value length", atMost: Limits.payloadBytesMax))
    case ValueTag.array, ValueTag.map: try reader.skip(Int(try reader.u32()))
    case let tag: throw RoostError(.corrupted, "unknown value tag \(tag)", at: "payload byte \(start)")
    }
  }

  private static func sizedEnd(_ reader: inout ByteReader) throws(RoostError) -> Int {
    let count = Int(try reader.u32())
    return reader.offset + count
  }

  private static func expect(_ reader: ByteReader, at end: Int) throws(RoostError) {
    guard reader.offset == end else {
      throw RoostError(
        .corrupted, "a nested value does not end where it says", at: "payload byte \(reader.offset)")
    }
  }
}

extension Payload {
  /// A varint count, then name and value of each field, ascending by the bytes of the name.
  public func encode(into writer: inout ByteWriter) { Payload.encode(fields, into: &writer) }

  public var encoded: [UInt8] {
    var writer = ByteWriter()
    encode(into: &writer)
    return writer.bytes
  }

  static func encode(_ fields: [String: Value], into writer: inout ByteWriter) {
    writer.count(fields.count)
    for name in fields.keys.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      writer.string(name)
      fields[name]?.encode(into: &writer)
    }
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    self.init(try Payload.decode(from: &reader, depth: 0))
  }

  static func decode(from reader: inout ByteReader, depth: Int) throws(RoostError) -> [String: Value] {
    let count = try reader.count("field count", atMost: Limits.payloadFieldsMax)
    var fields: [String: Value] = [:]
    var previous: String?
    for _ in 0..<count {
      let start = reader.offset
      let name = try reader.string("field name", atMost: Limits.fieldNameBytesMax)
      if let previous, !previous.utf8.lexicographicallyPrecedes(name.utf8) {
        throw RoostError(
          .corrupted, "field '\(name)' is out of order or repeated", at: "payload byte \(start)")
      }
      fields[name] = try Value(from: &reader, depth: depth)
      previous = name
    }
    // Two names may differ in bytes and still be equal as Swift strings (canonical equivalence).
    guard fields.count == count else {
      throw RoostError(.corrupted, "two field names are canonically equivalent", at: "payload")
    }
    return fields
  }

  /// Decodes bytes that hold exactly one payload.
  public init(encoded bytes: UnsafeRawBufferPointer) throws(RoostError) {
    var reader = ByteReader(bytes)
    try self.init(from: &reader)
    try reader.expectEnd("payload")
  }

  /// Refuses what exceeds a limit and numbers that have no order (NaN) or place (a latitude of 100).
  public func validate() throws(RoostError) { _ = try validatedEncoding() }

  /// `validate`, and the encoding that it has to make anyway to know the size.
  public func validatedEncoding() throws(RoostError) -> [UInt8] {
    try Payload.validate(fields, depth: 0, path: "")
    let bytes = encoded
    guard bytes.count <= Limits.payloadBytesMax else {
      throw RoostError(
        .limitExceeded, "payload of \(bytes.count) bytes, the limit is \(Limits.payloadBytesMax)",
        at: "payload")
    }
    return bytes
  }

  private static func validate(_ fields: [String: Value], depth: Int, path: String) throws(RoostError) {
    guard fields.count <= Limits.payloadFieldsMax else {
      throw RoostError(
        .limitExceeded, "\(fields.count) fields, the limit is \(Limits.payloadFieldsMax)",
        at: "payload\(path)")
    }
    for (name, value) in fields {
      guard !name.isEmpty, name.utf8.count <= Limits.fieldNameBytesMax else {
        throw RoostError(
          .invalidArgument, "a field name must have 1 to \(Limits.fieldNameBytesMax) bytes",
          at: "payload\(path).\(name.prefix(40))")
      }
      try validate(value, depth: depth, path: "\(path).\(name)")
    }
  }

  private static func validate(_ value: Value, depth: Int, path: String) throws(RoostError) {
    guard depth <= Limits.payloadDepthMax else {
      throw RoostError(
        .limitExceeded, "values nest deeper than \(Limits.payloadDepthMax)", at: "payload\(path)")
    }
    switch value {
    case .double(let number) where number.isNaN:
      throw RoostError(.invalidArgument, "NaN cannot be stored", at: "payload\(path)")
    case .geo(let latitude, let longitude):
      guard (-90...90).contains(latitude), (-180...180).contains(longitude) else {
        throw RoostError(
          .invalidArgument, "latitude must be in -90...90 and longitude in -180...180", at: "payload\(path)")
      }
    case .array(let values):
      for value in values { try validate(value, depth: depth + 1, path: path + "[]") }
    case .map(let fields): try validate(fields, depth: depth + 1, path: path)
    default: break
    }
  }
}
