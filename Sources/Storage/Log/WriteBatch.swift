// The body of a WAL frame: the operations of one acknowledged call, applied all together or not at all.

import Core

/// One change to one record.
enum WriteOperation: Sendable {
  /// `vectors` are in the types of their fields, normalised where the metric asks for it; `payload` is canonically encoded.
  case put(id: RecordID, version: Version, vectors: StoredVectors, payload: [UInt8])
  case delete(id: RecordID, version: Version)

  var id: RecordID {
    switch self {
    case .put(let id, _, _, _), .delete(let id, _): id
    }
  }

  var version: Version {
    get {
      switch self {
      case .put(_, let version, _, _), .delete(_, let version): version
      }
    }
    set {
      switch self {
      case .put(let id, _, let vectors, let payload):
        self = .put(id: id, version: newValue, vectors: vectors, payload: payload)
      case .delete(let id, _): self = .delete(id: id, version: newValue)
      }
    }
  }
}

enum WriteBatch {
  private static let putTag: UInt8 = 1
  private static let deleteTag: UInt8 = 2

  static func encode(_ operations: [WriteOperation]) -> [UInt8] {
    var writer = ByteWriter(reserving: operations.count * 64)
    writer.count(operations.count)
    for operation in operations {
      switch operation {
      case .put(let id, let version, let vectors, let payload):
        writer.u8(putTag)
        id.encode(into: &writer)
        version.encode(into: &writer)
        writer.u8(vectors.mask)
        writer.raw(vectors.bytes)
        writer.blob(payload)
      case .delete(let id, let version):
        writer.u8(deleteTag)
        id.encode(into: &writer)
        version.encode(into: &writer)
      }
    }
    return writer.bytes
  }

  /// - Parameter rowBytes: bytes of a vector of each field.
  static func decode(_ body: [UInt8], rowBytes: [Int]) throws(RoostError) -> [WriteOperation] {
    try body.withReader { (reader) throws(RoostError) in
      let count = try reader.count("operation count", atMost: Limits.batchRecordsMax)
      var operations: [WriteOperation] = []
      operations.reserveCapacity(count)
      for _ in 0..<count {
        switch try reader.u8() {
        case putTag:
          operations.append(
            .put(
              id: try RecordID(from: &reader), version: try Version(from: &reader),
              vectors: try decodeVectors(from: &reader, rowBytes: rowBytes),
              payload: try reader.blob("payload", atMost: Limits.payloadBytesMax)))
        case deleteTag:
          operations.append(.delete(id: try RecordID(from: &reader), version: try Version(from: &reader)))
        case let tag: throw RoostError(.corrupted, "unknown operation \(tag)")
        }
      }
      try reader.expectEnd("write batch")
      return operations
    }
  }

  private static func decodeVectors(
    from reader: inout ByteReader, rowBytes: [Int]
  ) throws(RoostError) -> StoredVectors {
    let mask = try reader.u8()
    guard mask != 0, Int(mask) < 1 << rowBytes.count else {
      throw RoostError(
        .corrupted, "vectors \(mask) of \(rowBytes.count) fields", at: "byte \(reader.offset - 1)")
    }
    var count = 0
    for (field, bytes) in rowBytes.enumerated() where mask & (1 << UInt8(field)) != 0 { count += bytes }
    return StoredVectors(mask: mask, bytes: try reader.array(count))
  }
}
