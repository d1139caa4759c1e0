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

/// A module that took part in an answer, and the version that did.
public struct ModuleVersion: Sendable, Hashable {
  public var name: String
  public var version: UInt32
  /// SHA-256 of the module's bytes, 64 hexadecimal digits.
  public var sha256: String

  public init(name: String, version: UInt32, sha256: String) {
    self.name = name
    self.version = version
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
  /// One for each query answered here, nil for those that did not ask; empty when none did.
  package var explanations: [SearchExplanation?]

  package init(
    firstQuery: UInt32 = 0, hits: [[SearchHit]], modules: [ModuleVersion], coverage: Coverage,
    explanations: [SearchExplanation?] = []
  ) {
    self.firstQuery = firstQuery
    self.hits = hits
    self.modules = modules
    self.coverage = coverage
    self.explanations = explanations.contains { $0 != nil } ? explanations : []
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
      body.bytes.u32(module.version)
      body.bytes.string(module.sha256)
    }
    body.bytes.u32(coverage.shardsAnswered)
    body.bytes.u32(coverage.shardsTotal)
    body.bytes.count(explanations.count)
    for explanation in explanations {
      body.bytes.u8(explanation == nil ? 0 : 1)
      explanation?.encode(into: &body)
    }
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
        version: try body.fixed.u32(),
        sha256: try body.fixed.string("digest", atMost: 64))
    }
    coverage = Coverage(shardsAnswered: try body.fixed.u32(), shardsTotal: try body.fixed.u32())
    let start = body.fixed.offset
    explanations = try body.list("explanation count", atMost: Limits.batchQueriesMax) {
      (body) throws(RoostError) -> SearchExplanation? in
      try body.flag("explanation") ? try SearchExplanation(from: &body) : nil
    }
    guard explanations.isEmpty || explanations.count == hits.count else {
      throw RoostError(
        .corrupted, "\(explanations.count) explanations of \(hits.count) answers", at: "byte \(start)")
    }
  }
}
