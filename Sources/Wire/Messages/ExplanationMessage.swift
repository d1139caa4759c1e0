// How a search was answered, as part of its reply (`spec/wire.md`, "explanation").

import Core

extension SearchExplanation {
  private static let sourcesMax = 65_536

  package func encode(into body: inout BodyWriter) {
    body.bytes.count(micros)
    body.bytes.count(sources.count)
    for source in sources { source.encode(into: &body) }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    self.init()
    micros = try body.fixed.count("microseconds", atMost: .max)
    sources = try body.list("source count", atMost: Self.sourcesMax) { (body) throws(RoostError) in
      try Source(from: &body)
    }
  }
}

extension SearchExplanation.Source {
  fileprivate func encode(into body: inout BodyWriter) {
    body.bytes.string(name)
    body.bytes.count(rows)
    body.bytes.u8(method.rawValue)
    body.bytes.u8(evidence.rawValue)
    body.bytes.count(passing)
    body.bytes.count(effort)
    body.bytes.f32(scanCost)
    body.bytes.f32(walkCost)
    body.bytes.count(rowsCompared)
    body.bytes.count(nodesExpanded)
    body.bytes.count(pagesRead)
    body.bytes.count(micros)
  }

  fileprivate init(from body: inout BodyReader) throws(RoostError) {
    let name = try body.fixed.string("source name", atMost: Limits.nameBytesMax)
    let rows = try body.fixed.count("rows", atMost: .max)
    let start = body.fixed.offset
    guard let method = SearchExplanation.Method(rawValue: try body.fixed.u8()),
      let evidence = SearchExplanation.Evidence(rawValue: try body.fixed.u8())
    else { throw RoostError(.corrupted, "unknown method or evidence of a search", at: "byte \(start)") }
    self.init(
      name: name, rows: rows, method: method, evidence: evidence,
      passing: try body.fixed.count("passing rows", atMost: .max),
      effort: try body.fixed.count("effort", atMost: .max), scanCost: try body.fixed.f32(),
      walkCost: try body.fixed.f32(), rowsCompared: try body.fixed.count("rows compared", atMost: .max),
      nodesExpanded: try body.fixed.count("nodes expanded", atMost: .max),
      pagesRead: try body.fixed.count("pages read", atMost: .max),
      micros: try body.fixed.count("microseconds", atMost: .max))
  }
}
