// Reads what BodyWriter writes. Two cursors walk the body: one over the fixed part and the trailer,
// one over the rows of vectors, so that a vector is complete as soon as its shape has been read.

import Core

package struct BodyReader {
  package var fixed: ByteReader
  private var rows: ByteReader
  private let hasRows: Bool
  private var isFirstRow = true
  /// The optional fields; known after `finish`.
  package private(set) var trailer = Trailer()

  package init(_ body: UnsafeRawBufferPointer) throws(RoostError) {
    var start = ByteReader(body)
    let rowsAt = Int(try start.u32())
    hasRows = rowsAt != 0
    if hasRows {
      guard rowsAt % BodyWriter.rowAlignment == 0, rowsAt <= body.count else {
        throw RoostError(.corrupted, "the vectors are said to begin at byte \(rowsAt)", at: "byte 0")
      }
      fixed = ByteReader(UnsafeRawBufferPointer(rebasing: body[4..<rowsAt]))
      rows = ByteReader(UnsafeRawBufferPointer(rebasing: body[rowsAt...]))
    } else {
      fixed = ByteReader(UnsafeRawBufferPointer(rebasing: body[4...]))
      rows = ByteReader(UnsafeRawBufferPointer(start: nil, count: 0))
    }
  }

  package mutating func vector() throws(RoostError) -> Vector {
    let at = fixed.offset
    guard let element = VectorElement(rawValue: try fixed.u8()) else {
      throw RoostError(.corrupted, "unknown vector element", at: "byte \(at)")
    }
    let dimension = try fixed.count("dimension", atMost: Limits.dimensionMax)
    guard dimension % element.dimensionStep == 0 else {
      throw RoostError(
        .corrupted, "\(dimension) is no dimension of \(element.name) vectors", at: "byte \(at)")
    }
    if !isFirstRow { try BodyReader.skipPadding(&rows) }
    isFirstRow = false
    return Vector(element: element, bytes: try rows.array(element.byteCount(dimension: dimension)))
  }

  package mutating func optionalString(_ what: StaticString, atMost limit: Int) throws(RoostError) -> String?
  {
    try flag(what) ? try fixed.string(what, atMost: limit) : nil
  }

  /// One byte, 0 or 1.
  package mutating func flag(_ what: StaticString) throws(RoostError) -> Bool {
    let value = try fixed.u8()
    guard value <= 1 else {
      throw RoostError(.corrupted, "the flag of \(what) is \(value)", at: "byte \(fixed.offset - 1)")
    }
    return value == 1
  }

  /// A payload; refused when longer than the limit, before it can be kept.
  package mutating func payload() throws(RoostError) -> Payload {
    let start = fixed.offset
    let payload = try Payload(from: &fixed)
    guard fixed.offset - start <= Limits.payloadBytesMax else {
      throw RoostError(
        .limitExceeded, "payload of \(fixed.offset - start) bytes, the limit is \(Limits.payloadBytesMax)",
        at: "byte \(start)")
    }
    return payload
  }

  /// A varint count of things of at least one byte each, and room for them that the bytes can justify.
  package mutating func list<T>(
    _ what: StaticString, atMost limit: Int, _ element: (inout BodyReader) throws(RoostError) -> T
  ) throws(RoostError) -> [T] {
    let count = try fixed.count(what, atMost: limit)
    var list: [T] = []
    list.reserveCapacity(min(count, fixed.remaining))
    for _ in 0..<count { list.append(try element(&self)) }
    return list
  }

  /// Reads the trailer and checks that every byte of the body has been accounted for.
  package mutating func finish() throws(RoostError) {
    trailer = try Trailer(from: &fixed)
    if hasRows {
      guard !isFirstRow else {
        throw RoostError(.corrupted, "a body announces vectors that nothing refers to", at: "byte 0")
      }
      guard fixed.remaining < BodyWriter.rowAlignment else {
        throw RoostError(.corrupted, "too much padding before the vectors", at: "byte \(fixed.offset)")
      }
      while !fixed.isAtEnd { try BodyReader.expectZero(&fixed) }
    }
    try fixed.expectEnd("message")
    try rows.expectEnd("vectors")
  }

  private static func skipPadding(_ reader: inout ByteReader) throws(RoostError) {
    while reader.offset % BodyWriter.rowAlignment != 0 { try expectZero(&reader) }
  }

  private static func expectZero(_ reader: inout ByteReader) throws(RoostError) {
    guard try reader.u8() == 0 else {
      throw RoostError(.corrupted, "padding is not zero", at: "byte \(reader.offset - 1)")
    }
  }
}
