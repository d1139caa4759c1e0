// The search query and its answer, shared by the engine, the wire and the tools.

/// A call of user code inside a query: a published module and its parameters.
public struct ModuleCall: Sendable, Equatable {
  public var module: String
  public var parameters: Payload

  public init(module: String, parameters: Payload = Payload()) {
    self.module = module
    self.parameters = parameters
  }
}

/// A search: near what (`target`), which of those near (`form`), out of which records (`filter`, `module`,
/// `excluded`), how thoroughly (`effort`, `exact`), and what to return of each.
public struct SearchQuery: Sendable, Equatable {
  public var target: SearchTarget
  public var form: SearchForm
  /// The vector field to search; "" is the first one, or the embedder's for what is to be embedded.
  public var using: String
  public var filter: Filter?
  /// A filter in WebAssembly, applied after `filter`.
  public var module: ModuleCall?
  /// A scorer in WebAssembly that orders the hits.
  public var score: ScoreCall?
  /// Records that are not to be among the hits; ids that do not exist are fine.
  public var excluded: [RecordID]
  /// Candidates kept during graph search (the beam); more is slower and finds more. Nil: chosen from the
  /// number of hits.
  public var effort: Int?
  /// Compare with every record instead of walking the graph.
  public var exact: Bool
  public var includePayload: Bool
  public var includeVector: Bool
  /// Say how the query was answered.
  public var explain: Bool

  public init(
    target: SearchTarget, form: SearchForm, effort: Int? = nil, exact: Bool = false, filter: Filter? = nil,
    module: ModuleCall? = nil, score: ScoreCall? = nil, excluded: [RecordID] = [],
    includePayload: Bool = true, includeVector: Bool = false, explain: Bool = false, using: String = ""
  ) {
    self.target = target
    self.form = form
    self.using = using
    self.filter = filter
    self.module = module
    self.score = score
    self.excluded = excluded
    self.effort = effort
    self.exact = exact
    self.includePayload = includePayload
    self.includeVector = includeVector
    self.explain = explain
  }

  /// The `k` nearest neighbours.
  public init(
    target: SearchTarget, k: Int = 10, effort: Int? = nil, exact: Bool = false, filter: Filter? = nil,
    module: ModuleCall? = nil, score: ScoreCall? = nil, excluded: [RecordID] = [],
    includePayload: Bool = true, includeVector: Bool = false, explain: Bool = false, using: String = ""
  ) {
    self.init(
      target: target, form: .nearest(k: k), effort: effort, exact: exact, filter: filter, module: module,
      score: score, excluded: excluded, includePayload: includePayload, includeVector: includeVector,
      explain: explain,
      using: using)
  }

  public func validate() throws(RoostError) {
    try target.validate()
    try form.validate()
    try score?.validate(form)
    if let effort, !(1...Limits.effortMax).contains(effort) {
      throw RoostError(
        .invalidArgument, "effort is \(effort), it must be in 1...\(Limits.effortMax)", at: "search.effort")
    }
    guard excluded.count <= Limits.excludedMax else {
      throw RoostError(
        .limitExceeded, "\(excluded.count) excluded ids, the limit is \(Limits.excludedMax)",
        at: "search.excluded")
    }
    for id in excluded { try id.validate() }
    if case .recommend(let examples) = target, examples.strategy == .bestScore, case .range = form {
      throw RoostError(
        .invalidArgument, "a best score is no distance that a radius could bound", at: "search.radius",
        remedy: "recommend by the average vector, or ask for the k nearest")
    }
  }
}

/// One answer of a search.
public struct SearchHit: Sendable, Equatable {
  public var id: RecordID
  /// l2: squared Euclidean distance; ip: negated dot product; cosine: 1 − cosine; hamming: the
  /// bits that differ. Smaller is nearer.
  public var distance: Float
  /// What the query's scorer said; larger is better.
  public var score: Float?
  /// The value of the field that the hits are grouped by.
  public var group: Value?
  public var payload: Payload?
  /// Of the field that was searched.
  public var vector: Vector?

  public init(
    id: RecordID, distance: Float, score: Float? = nil, group: Value? = nil, payload: Payload? = nil,
    vector: Vector? = nil
  ) {
    self.id = id
    self.distance = distance
    self.score = score
    self.group = group
    self.payload = payload
    self.vector = vector
  }
}
