// Put, delete, get and count.

import Core

package struct PutRequest: Sendable, Equatable {
  package var collection: String
  package var records: [PutRecord]

  package init(collection: String, records: [PutRecord]) {
    self.collection = collection
    self.records = records
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    body.bytes.count(records.count)
    for record in records {
      record.id.encode(into: &body.bytes)
      body.vectors(record.vectors)
      record.payload.encode(into: &body.bytes)
      record.source.encode(into: &body)
    }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    records = try body.list("record count", atMost: Limits.batchRecordsMax) { (body) throws(RoostError) in
      PutRecord(
        id: try RecordID(from: &body.fixed), vectors: try body.vectors(), payload: try body.payload(),
        source: try EmbedderInput?(from: &body))
    }
  }
}

package struct DeleteRequest: Sendable, Equatable {
  package var collection: String
  package var ids: [RecordID]

  package init(collection: String, ids: [RecordID]) {
    self.collection = collection
    self.ids = ids
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    body.bytes.count(ids.count)
    for id in ids { id.encode(into: &body.bytes) }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    ids = try body.ids()
  }
}

package struct GetRequest: Sendable, Equatable {
  package var collection: String
  package var ids: [RecordID]
  package var includeVector: Bool

  package init(collection: String, ids: [RecordID], includeVector: Bool) {
    self.collection = collection
    self.ids = ids
    self.includeVector = includeVector
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    body.bytes.count(ids.count)
    for id in ids { id.encode(into: &body.bytes) }
    body.bytes.u8(includeVector ? 1 : 0)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    ids = try body.ids()
    includeVector = try body.flag("include vector")
  }
}

package struct GetResponse: Sendable, Equatable {
  /// In the order of the ids asked for.
  package var records: [Record?]

  package init(records: [Record?]) { self.records = records }

  package func encode(into body: inout BodyWriter) {
    body.bytes.count(records.count)
    for record in records {
      body.bytes.u8(record == nil ? 0 : 1)
      if let record { body.record(record) }
    }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    records = try body.list("record count", atMost: Limits.batchRecordsMax) { (body) throws(RoostError) in
      try body.flag("record") ? try body.record() : nil
    }
  }
}

package struct CountRequest: Sendable, Equatable {
  package var collection: String
  package var filter: Filter?

  package init(collection: String, filter: Filter?) {
    self.collection = collection
    self.filter = filter
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    body.optionalFilter(filter)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    filter = try body.optionalFilter()
  }
}

extension BodyWriter {
  package mutating func record(_ record: Record) {
    record.id.encode(into: &bytes)
    record.version.encode(into: &bytes)
    record.payload.encode(into: &bytes)
    vectors(record.vectors)
  }

  /// Vectors by name, ascending.
  package mutating func vectors(_ vectors: RecordVectors) {
    bytes.count(vectors.count)
    for entry in vectors {
      bytes.string(entry.name)
      vector(entry.vector)
    }
  }

  package mutating func optionalCursor(_ cursor: ScanCursor?) {
    bytes.u8(cursor == nil ? 0 : 1)
    cursor?.encode(into: &bytes)
  }

  package mutating func optionalFilter(_ filter: Filter?) {
    bytes.u8(filter == nil ? 0 : 1)
    filter?.encode(into: &bytes)
  }
}

extension BodyReader {
  package mutating func record() throws(RoostError) -> Record {
    let id = try RecordID(from: &fixed)
    let version = try Version(from: &fixed)
    let payload = try payload()
    return Record(id: id, vectors: try vectors(), payload: payload, version: version)
  }

  package mutating func vectors() throws(RoostError) -> RecordVectors {
    let count = try fixed.count("vector count", atMost: Limits.vectorFieldsMax)
    var vectors = RecordVectors()
    for index in 0..<count {
      let name = try fixed.string("vector field", atMost: Limits.nameBytesMax)
      if index > 0, name <= vectors[index - 1].name {
        throw RoostError(.corrupted, "vector fields do not ascend", at: "byte \(fixed.offset)")
      }
      vectors[name] = try vector()
    }
    return vectors
  }

  package mutating func ids() throws(RoostError) -> [RecordID] {
    try list("id count", atMost: Limits.batchRecordsMax) { (body) throws(RoostError) in
      try RecordID(from: &body.fixed)
    }
  }

  package mutating func optionalCursor() throws(RoostError) -> ScanCursor? {
    try flag("cursor") ? try ScanCursor(from: &fixed) : nil
  }

  package mutating func optionalFilter() throws(RoostError) -> Filter? {
    try flag("filter") ? try Filter(from: &fixed) : nil
  }
}

private enum SourceTag {
  static let none: UInt8 = 0
  static let text: UInt8 = 1
  static let bytes: UInt8 = 2
}

extension EmbedderInput? {
  fileprivate func encode(into body: inout BodyWriter) {
    switch self {
    case nil: body.bytes.u8(SourceTag.none)
    case .text(let text)?:
      body.bytes.u8(SourceTag.text)
      body.bytes.string(text)
    case .bytes(let bytes)?:
      body.bytes.u8(SourceTag.bytes)
      body.bytes.blob(bytes)
    }
  }

  fileprivate init(from body: inout BodyReader) throws(RoostError) {
    let start = body.fixed.offset
    switch try body.fixed.u8() {
    case SourceTag.none: self = nil
    case SourceTag.text: self = .text(try body.fixed.string("source text", atMost: Limits.textBytesMax))
    case SourceTag.bytes: self = .bytes(try body.fixed.blob("source", atMost: Limits.embedderBytesMax))
    case let tag: throw RoostError(.corrupted, "unknown kind of source \(tag)", at: "byte \(start)")
    }
  }
}
