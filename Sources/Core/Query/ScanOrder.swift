// The order of a scan by a field, and a place in it.

/// By the value of a field, in the order of `SortKey`. A record with several values counts with its least
/// (ascending) or greatest (descending). Records without a value, or with null alone, come last either way;
/// equal values are ordered by ascending id.
public struct ScanOrder: Sendable, Equatable {
  public var path: FieldPath
  public var isDescending: Bool

  public init(_ path: FieldPath, descending: Bool = false) {
    self.path = path
    isDescending = descending
  }
}

/// A place in a scan: just behind a record. It stays valid whatever happens to that record.
public struct ScanCursor: Sendable, Equatable {
  public var id: RecordID
  /// In an ordered scan the value that the record was ordered by, nil if it had none.
  public var value: Value?

  public init(id: RecordID, value: Value? = nil) {
    self.id = id
    self.value = value
  }

  public func encode(into writer: inout ByteWriter) {
    id.encode(into: &writer)
    writer.u8(value == nil ? 0 : 1)
    value?.encode(into: &writer)
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    id = try RecordID(from: &reader)
    switch try reader.u8() {
    case 0: value = nil
    case 1:
      let start = reader.offset
      let value = try Value(from: &reader)
      guard let key = SortKey(value), key.value != .null else {
        throw RoostError(.corrupted, "nothing is ordered by such a value", at: "byte \(start)")
      }
      self.value = value
    case let flag:
      throw RoostError(.corrupted, "the flag of a value is \(flag)", at: "byte \(reader.offset - 1)")
    }
  }
}
