// Nearest-neighbour search, many queries at a time.

import Core

package struct SearchRequest: Sendable, Equatable {
  package var collection: String
  package var queries: [SearchQuery]

  package init(collection: String, queries: [SearchQuery]) {
    self.collection = collection
    self.queries = queries
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    body.bytes.count(queries.count)
    for query in queries { query.encode(into: &body) }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    queries = try body.list("query count", atMost: Limits.batchQueriesMax) { (body) throws(RoostError) in
      try SearchQuery(from: &body)
    }
  }
}

/// How much of a collection answered a query.
public struct Coverage: Sendable, Equatable {
  public var shardsAnswered: UInt32
  public var shardsTotal: UInt32

  public init(shardsAnswered: UInt32, shardsTotal: UInt32) {
    self.shardsAnswered = shardsAnswered
    self.shardsTotal = shardsTotal
  }

  public var isFull: Bool { shardsAnswered == shardsTotal }
}

/// A module that took part in an answer and the digest of the version that did.
public struct ModuleVersion: Sendable, Hashable {
  public var name: String
  /// SHA-256 of the module's bytes, 64 hexadecimal digits.
  public var sha256: String

  public init(name: String, sha256: String) {
    self.name = name
    self.sha256 = sha256
  }
}

/// The answers to some of the queries of a request.
package struct SearchResponse: Sendable, Equatable {
  /// The index in the request of the first query answered here.
  package var firstQuery: UInt32
  /// Per query, nearest first.
  package var hits: [[SearchHit]]
  package var modules: [ModuleVersion]
  package var coverage: Coverage

  package init(firstQuery: UInt32 = 0, hits: [[SearchHit]], modules: [ModuleVersion], coverage: Coverage) {
    self.firstQuery = firstQuery
    self.hits = hits
    self.modules = modules
    self.coverage = coverage
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.u32(firstQuery)
    body.bytes.count(hits.count)
    for hits in hits {
      body.bytes.count(hits.count)
      for hit in hits { hit.encode(into: &body) }
    }
    body.bytes.count(modules.count)
    for module in modules {
      body.bytes.string(module.name)
      body.bytes.string(module.sha256)
    }
    body.bytes.u32(coverage.shardsAnswered)
    body.bytes.u32(coverage.shardsTotal)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    firstQuery = try body.fixed.u32()
    hits = try body.list("answer count", atMost: Limits.batchQueriesMax) { (body) throws(RoostError) in
      try body.list("hit count", atMost: Limits.kMax) { (body) throws(RoostError) in
        try SearchHit(from: &body)
      }
    }
    modules = try body.list("module count", atMost: Limits.batchQueriesMax) { (body) throws(RoostError) in
      ModuleVersion(
        name: try body.fixed.string("module name", atMost: Limits.nameBytesMax),
        sha256: try body.fixed.string("digest", atMost: 64))
    }
    coverage = Coverage(shardsAnswered: try body.fixed.u32(), shardsTotal: try body.fixed.u32())
  }
}

/// Bits of the first byte of a query.
private struct QueryFlags: OptionSet {
  let rawValue: UInt8
  static let exact = QueryFlags(rawValue: 1)
  static let payload = QueryFlags(rawValue: 2)
  static let vector = QueryFlags(rawValue: 4)
  static let effort = QueryFlags(rawValue: 8)
  static let filter = QueryFlags(rawValue: 16)
  static let module = QueryFlags(rawValue: 32)
  static let known = QueryFlags(rawValue: 63)
}

private enum TargetTag {
  static let vector: UInt8 = 0
  static let record: UInt8 = 1
  static let text: UInt8 = 2
}

extension SearchQuery {
  package func encode(into body: inout BodyWriter) {
    var flags: QueryFlags = []
    if exact { flags.insert(.exact) }
    if includePayload { flags.insert(.payload) }
    if includeVector { flags.insert(.vector) }
    if effort != nil { flags.insert(.effort) }
    if filter != nil { flags.insert(.filter) }
    if module != nil { flags.insert(.module) }
    body.bytes.u8(flags.rawValue)
    // What is out of range (a negative k) goes out as the largest number, which every receiver refuses.
    body.bytes.varint(UInt64(exactly: k) ?? .max)
    if let effort { body.bytes.varint(UInt64(exactly: effort) ?? .max) }
    switch target {
    case .vector(let vector):
      body.bytes.u8(TargetTag.vector)
      body.vector(vector)
    case .record(let id):
      body.bytes.u8(TargetTag.record)
      id.encode(into: &body.bytes)
    case .text(let text):
      body.bytes.u8(TargetTag.text)
      body.bytes.string(text)
    }
    filter?.encode(into: &body.bytes)
    if let module {
      body.bytes.string(module.module)
      module.parameters.encode(into: &body.bytes)
    }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    let start = body.fixed.offset
    let flags = QueryFlags(rawValue: try body.fixed.u8())
    guard flags.isSubset(of: .known) else {
      throw RoostError(.corrupted, "unknown query flags \(flags.rawValue)", at: "byte \(start)")
    }
    let k = try body.fixed.count("k", atMost: Limits.kMax)
    let effort = flags.contains(.effort) ? try body.fixed.count("effort", atMost: Limits.effortMax) : nil
    let target: SearchTarget
    switch try body.fixed.u8() {
    case TargetTag.vector: target = .vector(try body.vector())
    case TargetTag.record: target = .record(try RecordID(from: &body.fixed))
    case TargetTag.text: target = .text(try body.fixed.string("query text", atMost: Limits.textBytesMax))
    case let tag:
      throw RoostError(.corrupted, "unknown search target \(tag)", at: "byte \(body.fixed.offset - 1)")
    }
    let filter = flags.contains(.filter) ? try Filter(from: &body.fixed) : nil
    var module: ModuleCall?
    if flags.contains(.module) {
      module = ModuleCall(
        module: try body.fixed.string("module name", atMost: Limits.nameBytesMax),
        parameters: try body.payload())
    }
    self.init(
      target: target, k: k, effort: effort, exact: flags.contains(.exact), filter: filter, module: module,
      includePayload: flags.contains(.payload), includeVector: flags.contains(.vector))
  }
}

extension SearchHit {
  package func encode(into body: inout BodyWriter) {
    id.encode(into: &body.bytes)
    body.bytes.f32(distance)
    body.bytes.u8((payload == nil ? 0 : 1) | (vector == nil ? 0 : 2))
    payload?.encode(into: &body.bytes)
    if let vector { body.vector(vector) }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    let id = try RecordID(from: &body.fixed)
    let distance = try body.fixed.f32()
    let flags = try body.fixed.u8()
    guard flags <= 3 else {
      throw RoostError(.corrupted, "unknown hit flags \(flags)", at: "byte \(body.fixed.offset - 1)")
    }
    self.init(
      id: id, distance: distance, payload: flags & 1 != 0 ? try body.payload() : nil,
      vector: flags & 2 != 0 ? try body.vector() : nil)
  }
}
