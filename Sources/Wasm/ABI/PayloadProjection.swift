// Cuts an encoded payload down to the fields that a module declared, without decoding the values.

import Core

/// Copies the declared fields of encoded payloads; what comes out is a canonical payload again.
struct PayloadProjection {
  /// Ascending by bytes, as the fields of a payload are; at most 127, so that their count is one byte.
  private let names: [[UInt8]]

  init(fields: [String]) {
    precondition(fields.count < 128)
    names = Set(fields.map { Array($0.utf8) }).sorted { $0.lexicographicallyPrecedes($1) }
  }

  /// Writes into `target`, which has room for at least `payload.count` bytes, or one when that is zero.
  /// Returns the bytes written. Throws `.corrupted` when the payload is not well formed.
  func copy(
    _ payload: UnsafeRawBufferPointer, into target: UnsafeMutableRawBufferPointer
  ) throws(RoostError) -> Int {
    var reader = ByteReader(payload)
    let count = try reader.count("field count", atMost: Limits.payloadFieldsMax)
    var end = 1
    var copied: UInt8 = 0
    var next = 0
    for _ in 0..<count {
      guard next < names.count else { break }
      let start = reader.offset
      let name = try reader.bytes(try reader.count("field name", atMost: Limits.fieldNameBytesMax))
      try Value.skip(&reader)
      var order = PayloadProjection.compare(names[next], name)
      while order < 0 {
        next += 1
        if next == names.count { break }
        order = PayloadProjection.compare(names[next], name)
      }
      if next < names.count, order == 0 {
        let field = UnsafeRawBufferPointer(rebasing: payload[start..<reader.offset])
        UnsafeMutableRawBufferPointer(rebasing: target[end..<end + field.count]).copyMemory(from: field)
        end += field.count
        copied += 1
        next += 1
      }
    }
    target[0] = copied
    return end
  }

  private static func compare(_ a: [UInt8], _ b: UnsafeRawBufferPointer) -> Int {
    for index in 0..<min(a.count, b.count) where a[index] != b[index] { return a[index] < b[index] ? -1 : 1 }
    return a.count - b.count
  }
}
