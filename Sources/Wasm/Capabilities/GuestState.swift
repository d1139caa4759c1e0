// The values published with a module, as its guests read them: by key, without a copy of their own.

import Core

/// An encoded payload and where in it each value lies. Immutable, shared by all instances of a module.
struct GuestState: Sendable {
  private let bytes: [UInt8]
  /// Ascending by the bytes of the key, as the payload is.
  private var entries: [(key: Range<Int>, value: Range<Int>)] = []

  static let empty = GuestState()

  private init() { bytes = [0] }

  /// Throws what `Payload.validate` throws.
  init(_ payload: Payload) throws(RoostError) {
    bytes = try payload.validatedEncoding()
    entries = try bytes.withReader { (reader) throws(RoostError) in
      var entries: [(Range<Int>, Range<Int>)] = []
      for _ in 0..<(try reader.count("field count", atMost: Limits.payloadFieldsMax)) {
        let size = try reader.count("key", atMost: Limits.fieldNameBytesMax)
        let key = reader.offset..<reader.offset + size
        try reader.skip(size)
        let start = reader.offset
        try Value.skip(&reader)
        entries.append((key, start..<reader.offset))
      }
      return entries
    }
  }

  /// The encoded value of a key (`spec/wasm-abi.md`, "Payloads"); nil when there is none. O(log n).
  func value(of key: UnsafeRawBufferPointer) -> ArraySlice<UInt8>? {
    var range = 0..<entries.count
    while !range.isEmpty {
      let middle = (range.lowerBound + range.upperBound) / 2
      let found = bytes[entries[middle].key]
      if found.elementsEqual(key) { return bytes[entries[middle].value] }
      if found.lexicographicallyPrecedes(key) {
        range = middle + 1..<range.upperBound
      } else {
        range = range.lowerBound..<middle
      }
    }
    return nil
  }
}
