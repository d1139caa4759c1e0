// The body of a WAL frame: the operations of one acknowledged call, applied all together or not at all.

import Core

/// One change to one record.
enum WriteOperation: Sendable {
  /// `vector` is in the collection's element type, normalised where the metric asks for it;
  /// `payload` is canonically encoded.
  case put(id: RecordID, version: Version, vector: [UInt8], payload: [UInt8])
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
      case .put(let id, _, let vector, let payload):
        self = .put(id: id, version: newValue, vector: vector, payload: payload)
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
      case .put(let id, let version, let vector, let payload):
        writer.u8(putTag)
        id.encode(into: &writer)
        version.encode(into: &writer)
        writer.raw(vector)
        writer.blob(payload)
      case .delete(let id, let version):
        writer.u8(deleteTag)
        id.encode(into: &writer)
        version.encode(into: &writer)
      }
    }
    return writer.bytes
  }

  /// - Parameter vectorBytes: bytes of a vector in this collection.
  static func decode(_ body: [UInt8], vectorBytes: Int) throws(RoostError) -> [WriteOperation] {
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
              vector: try reader.array(vectorBytes),
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
}
