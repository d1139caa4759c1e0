// One function per message of the protocol. The defaults are those of the node.

import Core

extension Client {
  private func unexpected(_ response: Response) -> RoostError {
    RoostError(.protocolViolation, "the reply is a \(response.opcode)", at: "\(address)")
  }

  /// Asks for a sign of life.
  public func ping(_ options: CallOptions = CallOptions()) async throws(RoostError) {
    guard case .ping = try await call(.ping, options) else { return }
  }

  // MARK: Collections

  /// Throws `.alreadyExists` when there is a collection of this name.
  public func createCollection(
    _ name: String, schema: CollectionSchema, options: CallOptions = CallOptions()
  ) async throws(RoostError) {
    try validateName(name, what: "collection")
    try schema.validate()
    _ = try await call(.createCollection(CreateCollectionRequest(collection: name, schema: schema)), options)
  }

  /// Removes a collection with all its records.
  public func dropCollection(_ name: String, options: CallOptions = CallOptions()) async throws(RoostError) {
    _ = try await call(.dropCollection(CollectionRequest(collection: name)), options)
  }

  public func listCollections(
    options: CallOptions = CallOptions()
  ) async throws(RoostError) -> [CollectionDescription] {
    let response = try await call(.listCollections, options)
    guard case .listCollections(let collections) = response else { throw unexpected(response) }
    return collections
  }

  // MARK: Records

  /// Puts records, replacing those of the same id. They are durable, as the node's sync policy says, and
  /// searchable when this returns. Returns their versions, in order.
  @discardableResult
  public func put(
    _ records: [PutRecord], into collection: String, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> [Version] {
    for record in records { try record.id.validate() }
    let request = Request.put(PutRequest(collection: collection, records: records))
    let response = try await call(request, options, key: makeIdempotencyKey())
    guard case .put(let versions) = response else { throw unexpected(response) }
    return versions
  }

  /// Deletes records; returns how many of them existed.
  @discardableResult
  public func delete(
    _ ids: [RecordID], from collection: String, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> Int {
    for id in ids { try id.validate() }
    let request = Request.delete(DeleteRequest(collection: collection, ids: ids))
    let response = try await call(request, options, key: makeIdempotencyKey())
    guard case .delete(let count) = response else { throw unexpected(response) }
    return Int(clamping: count)
  }

  /// The records with these ids, in order; nil for those that do not exist. Without `includeVector`
  /// their vectors are empty.
  public func get(
    _ ids: [RecordID], from collection: String, includeVector: Bool = true,
    options: CallOptions = CallOptions()
  ) async throws(RoostError) -> [Record?] {
    for id in ids { try id.validate() }
    let request = Request.get(GetRequest(collection: collection, ids: ids, includeVector: includeVector))
    let response = try await call(request, options)
    guard case .get(let answer) = response, answer.records.count == ids.count else {
      throw unexpected(response)
    }
    return answer.records
  }

  /// How many records pass `filter`.
  public func count(
    in collection: String, filter: Filter? = nil, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> Int {
    let response = try await call(.count(CountRequest(collection: collection, filter: filter)), options)
    guard case .count(let count) = response else { throw unexpected(response) }
    return Int(clamping: count)
  }

  /// What the values of fields are among the records that pass a filter.
  public func facet(
    _ query: FacetQuery, in collection: String, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> FacetOutcome {
    try query.validate()
    let response = try await call(.facet(FacetRequest(collection: collection, query: query)), options)
    guard case .facet(let outcome) = response, outcome.answers.count == query.facets.count else {
      throw unexpected(response)
    }
    return outcome
  }

  // MARK: Search

  /// The nearest neighbours of one query.
  public func search(
    _ query: SearchQuery, in collection: String, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> [SearchHit] {
    let answer = try await search([query], in: collection, options: options)
    return answer.hits[0]
  }

  /// The nearest neighbours of many queries, answered together.
  public func search(
    _ queries: [SearchQuery], in collection: String, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> SearchAnswer {
    for query in queries { try query.validate() }
    let request = Request.search(SearchRequest(collection: collection, queries: queries))
    if queries.count == 1, queries[0].form.hitsMax <= 1_000 {
      // One frame holds the answer; there is nothing to stream.
      return try assemble([try await call(request, options)], queryCount: 1)
    }
    let deadline = deadlineNanos(options)
    let trailer = Trailer(trace: options.trace)
    let parts = try await retrying(isIdempotent: true, deadlineNanos: deadline) {
      (connection) throws(CallFailure) in
      let (id, queue) = try await connection.openParts(request, trailer, deadline)
      let stream = PartStream(connection: connection, id: id, queue: queue)
      var parts: [Response] = []
      while let part = try await stream.next() { parts.append(part) }
      return parts
    }
    return try assemble(parts, queryCount: queries.count)
  }

  private func assemble(_ parts: [Response], queryCount: Int) throws(RoostError) -> SearchAnswer {
    var answer = SearchAnswer(hits: [], modules: [], coverage: Coverage(shardsAnswered: 0, shardsTotal: 0))
    for part in parts {
      guard case .search(let message) = part, Int(message.firstQuery) == answer.hits.count else {
        throw unexpected(part)
      }
      answer.hits += message.hits
      for module in message.modules where !answer.modules.contains(module) { answer.modules.append(module) }
      answer.coverage = message.coverage
      answer.explanations +=
        message.explanations.isEmpty
        ? [SearchExplanation?](repeating: nil, count: message.hits.count) : message.explanations
    }
    guard answer.hits.count == queryCount else {
      throw RoostError(
        .protocolViolation, "\(answer.hits.count) answers to \(queryCount) queries", at: "\(address)")
    }
    return answer
  }

  // MARK: Administration

  /// Statistics by name: of a collection, or of the whole node.
  public func stats(
    of collection: String? = nil, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> Payload {
    let response = try await call(.stats(StatsRequest(collection: collection)), options)
    guard case .stats(let payload) = response else { throw unexpected(response) }
    return payload
  }

  /// Writes what is in memory to segments.
  public func flush(_ collection: String, options: CallOptions = CallOptions()) async throws(RoostError) {
    _ = try await call(.flush(CollectionRequest(collection: collection)), options)
  }

  /// Merges segments and drops what is dead.
  public func compact(_ collection: String, options: CallOptions = CallOptions()) async throws(RoostError) {
    _ = try await call(.compact(CollectionRequest(collection: collection)), options)
  }

  /// Reads every file of a collection and checks every checksum.
  /// - Parameter recallSamples: stored vectors to search for, so as to measure recall@10; 0 for none.
  public func verify(
    _ collection: String, recallSamples: Int = 0, options: CallOptions = CallOptions()
  ) async throws(RoostError) -> VerifyAnswer {
    let samples = min(max(0, recallSamples), VerifyRequest.recallSamplesMax)
    let response = try await call(
      .verify(VerifyRequest(collection: collection, recallSamples: samples)), options)
    guard case .verify(let answer) = response else { throw unexpected(response) }
    return answer
  }

  /// Writes a consistent copy of a collection to a new folder on the node's machine.
  public func backup(
    _ collection: String, to directory: String, options: CallOptions = CallOptions()
  ) async throws(RoostError) {
    _ = try await call(.backup(BackupRequest(collection: collection, directory: directory)), options)
  }
}

/// The answers to a batch of queries.
public struct SearchAnswer: Sendable, Equatable {
  /// Per query, nearest first.
  public var hits: [[SearchHit]]
  /// The modules that took part and their versions.
  public var modules: [ModuleVersion]
  public var coverage: Coverage
  /// Per query, for those that asked how they were answered.
  public var explanations: [SearchExplanation?] = []
}
