// Reads protocol buffers, the encoding of ONNX files (protobuf.dev/programming-guides/encoding): field by field,
// in place, never outside the bytes it was given.

struct ProtobufField {
  let number: Int
  /// Of varints and fixed numbers.
  let value: UInt64
  /// Of strings, messages and packed numbers; nil for numbers.
  let content: Bytes?

  /// Packed or single numbers of 4 bytes and varints both occur; a single one becomes one value.
  var signed: Int64 { Int64(bitPattern: value) }
  var float: Float { Float(bitPattern: UInt32(truncatingIfNeeded: value)) }
}

struct ProtobufReader {
  private var at: UnsafeRawPointer
  private let end: UnsafeRawPointer

  init(_ bytes: Bytes) {
    at = bytes.start
    end = bytes.start + bytes.count
  }

  private static var cutShort: GuestError { GuestError("the ONNX file is damaged: a field is cut short") }

  var isAtEnd: Bool { at >= end }

  mutating func varint() throws(GuestError) -> UInt64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), to: 70, by: 7) {
      guard at < end else { throw Self.cutShort }
      let byte = at.load(as: UInt8.self)
      at += 1
      value |= UInt64(byte & 0x7f) << shift
      if byte < 0x80 { return value }
    }
    throw GuestError("the ONNX file is damaged: a number is too long")
  }

  private mutating func fixed(_ count: Int) throws(GuestError) -> UInt64 {
    guard end - at >= count else { throw Self.cutShort }
    var value: UInt64 = 0
    for index in 0..<count {
      value |= UInt64(at.load(fromByteOffset: index, as: UInt8.self)) << (8 * UInt64(index))
    }
    at += count
    return value
  }

  /// The next field; nil at the end.
  mutating func next() throws(GuestError) -> ProtobufField? {
    guard at < end else { return nil }
    let key = try varint()
    guard key >> 3 > 0, key >> 3 < 1 << 29 else {
      throw GuestError("the ONNX file is damaged: a field without number")
    }
    let number = Int(key >> 3)
    switch key & 7 {
    case 0: return ProtobufField(number: number, value: try varint(), content: nil)
    case 1: return ProtobufField(number: number, value: try fixed(8), content: nil)
    case 2:
      let count = try varint()
      guard count <= UInt64(end - at) else { throw Self.cutShort }
      let content = Bytes(start: at, count: Int(count))
      at += Int(count)
      return ProtobufField(number: number, value: 0, content: content)
    case 5: return ProtobufField(number: number, value: try fixed(4), content: nil)
    default: throw GuestError("the ONNX file is damaged: a field of an unknown kind")
    }
  }

  /// The next fixed number of 4 bytes, inside packed floats.
  mutating func float() throws(GuestError) -> Float {
    Float(bitPattern: UInt32(truncatingIfNeeded: try fixed(4)))
  }
}

extension ProtobufField {
  /// The content, or an error where the file has a number.
  func message() throws(GuestError) -> Bytes {
    guard let content else { throw GuestError("the ONNX file is damaged: a number in place of a message") }
    return content
  }

  /// Adds the numbers of a repeated field, packed or not.
  func append(to numbers: inout [Int64]) throws(GuestError) {
    guard let content else { return numbers.append(signed) }
    var reader = ProtobufReader(content)
    while !reader.isAtEnd { numbers.append(Int64(bitPattern: try reader.varint())) }
  }

  func append(to numbers: inout [Float]) throws(GuestError) {
    guard let content else { return numbers.append(float) }
    var reader = ProtobufReader(content)
    while !reader.isAtEnd { numbers.append(try reader.float()) }
  }
}
