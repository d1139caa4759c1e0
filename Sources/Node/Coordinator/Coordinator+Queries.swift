// Searches: user code looked up and compiled, batches spread over the cores, long answers sent in parts.

import Core
import Storage
import Wasm
import Wire

extension Coordinator {
  /// A part of a reply is sent when it has about this many bytes.
  static let partBytes = 256 * 1024
  /// Queries of a batch that are answered before their answers are sent.
  private static let queriesPerWindow = 128

  // MARK: Search

  func search(_ request: SearchRequest, _ context: RequestContext) async throws(RoostError) -> Response {
    guard !request.queries.isEmpty else {
      throw RoostError(.invalidArgument, "a search needs a query", at: "search")
    }
    for query in request.queries { try query.validate() }
    try queries.enter(1)
    defer { queries.leave(1) }
    return try await collections.withHosted(request.collection) { (hosted) throws(RoostError) in
      let collection = hosted.collection
      // Counts the request against the quotas of its modules until it is answered.
      let use = ModuleUse()
      defer { withExtendedLifetime(use) {} }
      let (queries, used) = try await prepare(request.queries, hosted, use, context)
      let coverage = Coverage(shardsAnswered: 1, shardsTotal: 1)
      if queries.count == 1 {
        let answer = queries[0].answer(
          try await collection.explainedSearch(queries[0].query, code: queries[0].code()))
        return .search(
          SearchResponse(
            hits: [answer.hits], modules: used, coverage: coverage, explanations: [answer.explanation]))
      }
      return try await searchBatch(queries, collection, used, coverage, context)
    }
  }

  /// A query whose source has become a vector and whose modules are at hand.
  private struct PreparedQuery: Sendable {
    var query: SearchQuery
    var context: GuestContext
    var filter: WasmModule?
    var scorer: WasmModule?

    var hasCode: Bool { filter != nil || scorer != nil }

    func code() throws(RoostError) -> QueryCode {
      var code = QueryCode()
      if let filter, let call = query.module {
        code.filters.append(try filter.makeFilter(parameters: call.parameters, context: context))
      }
      if let scorer, let call = query.score {
        code.scorer = try scorer.makeScorer(parameters: call.parameters, context: context)
      }
      return code
    }

    func answer(_ outcome: SearchOutcome) -> Answer {
      Answer(hits: outcome.hits, explanation: query.explain ? outcome.explanation : nil)
    }
  }

  private struct Answer: Sendable {
    var hits: [SearchHit]
    var explanation: SearchExplanation?
  }

  private func prepare(
    _ queries: [SearchQuery], _ hosted: HostedCollection, _ use: ModuleUse, _ request: RequestContext
  ) async throws(RoostError) -> (queries: [PreparedQuery], used: [ModuleVersion]) {
    let schema = hosted.collection.schema
    let share = RequestShare.place(request)
    let context = GuestContext(nowMicros: runtime.clock.wallMicros(), fields: schema.fields)
    var prepared = queries.map { PreparedQuery(query: $0, context: context) }
    var used: [ModuleVersion] = []
    var inputs: [EmbedderInput] = []
    for (index, query) in queries.enumerated() {
      if let call = query.module {
        let (version, module) = try await modules.use(
          try ModuleSelector(call.module), share: share, by: use)
        try module.require(.filter)
        prepared[index].filter = module
        if !used.contains(version) { used.append(version) }
      }
      if let call = query.score {
        let (version, module) = try await modules.use(
          try ModuleSelector(call.module), share: share, by: use)
        try module.require(.scorer)
        prepared[index].scorer = module
        if !used.contains(version) { used.append(version) }
      }
      for case .source(let input) in query.target.points { inputs.append(input) }
    }
    if !inputs.isEmpty {
      guard let embedder = schema.embedder else {
        throw RoostError(
          .invalidArgument, "the collection has no embedder for what is searched", at: "search.target",
          remedy: "search with a vector, or create the collection with an embedder")
      }
      let (version, module) = try await modules.use(
        embedder.selector(hosted.generation.embedder), by: use)
      let vectors = try await embed(inputs, module, deadlineNanos: request.deadlineNanos)
      let field = try schema.index(ofField: embedder.vectorField, at: "schema.embedder")
      // Inputs and vectors stand in the same order, that of the queries and of the points in each.
      var rest = vectors[...]
      for index in prepared.indices {
        let target = prepared[index].query.target
        guard target.points.contains(where: { if case .source = $0 { true } else { false } }) else {
          continue
        }
        let using = prepared[index].query.using
        let asked = using.isEmpty ? field : try schema.index(ofField: using, at: "search.using")
        guard asked == field else {
          throw RoostError(
            .invalidArgument,
            "text and bytes become a vector of field '\(schema.fields[field].name)', not of '\(using)'",
            at: "search.using", remedy: "leave the field out, or search with a vector")
        }
        prepared[index].query.using = schema.fields[field].name
        prepared[index].query.target = target.mapPoints { point in
          guard case .source = point, let vector = rest.popFirst() else { return point }
          return .vector(vector)
        }
      }
      if !used.contains(version) { used.append(version) }
    }
    for index in prepared.indices where prepared[index].hasCode {
      prepared[index].context.searched = try schema.index(
        ofField: prepared[index].query.using, at: "search.using")
    }
    return (prepared, used)
  }

  private func searchBatch(
    _ queries: [PreparedQuery], _ collection: Collection, _ used: [ModuleVersion], _ coverage: Coverage,
    _ context: RequestContext
  ) async throws(RoostError) -> Response {
    var answers: [Answer] = []
    var answerBytes = 0
    func response(_ first: Int) -> SearchResponse {
      SearchResponse(
        firstQuery: UInt32(first), hits: answers.map(\.hits), modules: used, coverage: coverage,
        explanations: answers.map(\.explanation))
    }
    var first = 0
    var start = 0
    while start < queries.count {
      if Task.isCancelled { throw RoostError(.cancelled, "the search was cancelled", at: "search") }
      let window = Array(queries[start..<min(start + Coordinator.queriesPerWindow, queries.count)])
      var code: [QueryCodeMaker?] = []
      for query in window {
        let make: QueryCodeMaker = { () throws(RoostError) -> QueryCode in try query.code() }
        code.append(query.hasCode ? make : nil)
      }
      let outcomes = try await collection.explainedSearch(window.map(\.query), code: code)
      for (query, outcome) in zip(window, outcomes) {
        answerBytes += outcome.hits.reduce(16) { $0 + Coordinator.wireBytes($1) }
        answers.append(query.answer(outcome))
      }
      start += window.count
      if let parts = context.parts, start < queries.count, answerBytes >= Coordinator.partBytes {
        try await parts.send(.search(response(first)))
        first += answers.count
        answers = []
        answerBytes = 0
      }
    }
    return .search(response(first))
  }

  private static func wireBytes(_ hit: SearchHit) -> Int {
    16 + (hit.vector?.bytes.count ?? 0) + (hit.payload.map { 32 * ($0.fields.count + 1) } ?? 0)
  }
}
