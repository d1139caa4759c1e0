// The nearest-neighbour query and its answer, shared by the engine, the wire and the tools.

/// A call of user code inside a query: a published module and its parameters.
public struct ModuleCall: Sendable, Equatable {
  public var module: String
  public var parameters: Payload

  public init(module: String, parameters: Payload = Payload()) {
    self.module = module
    self.parameters = parameters
  }
}

/// What to search near.
public enum SearchTarget: Sendable, Equatable {
  case vector(Vector)
  /// The vector of this record; the record itself is not among the hits.
  case record(RecordID)
  /// Text for the collection's embedder.
  case text(String)
}

/// A k-nearest-neighbour query.
public struct SearchQuery: Sendable, Equatable {
  public var target: SearchTarget
  public var k: Int
  /// Candidates kept during graph search (the beam); more is slower and finds more. Nil: chosen from `k`.
  public var effort: Int?
  /// Compare with every record instead of walking the graph.
  public var exact: Bool
  public var filter: Filter?
  /// A filter in WebAssembly, applied after `filter`.
  public var module: ModuleCall?
  public var includePayload: Bool
  public var includeVector: Bool

  public init(
    target: SearchTarget, k: Int = 10, effort: Int? = nil, exact: Bool = false, filter: Filter? = nil,
    module: ModuleCall? = nil, includePayload: Bool = true, includeVector: Bool = false
  ) {
    self.target = target
    self.k = k
    self.effort = effort
    self.exact = exact
    self.filter = filter
    self.module = module
    self.includePayload = includePayload
    self.includeVector = includeVector
  }

  public func validate() throws(RoostError) {
    guard (1...Limits.kMax).contains(k) else {
      throw RoostError(.invalidArgument, "k is \(k), it must be in 1...\(Limits.kMax)", at: "search.k")
    }
    if let effort, !(1...Limits.effortMax).contains(effort) {
      throw RoostError(
        .invalidArgument, "effort is \(effort), it must be in 1...\(Limits.effortMax)", at: "search.effort")
    }
  }
}

/// One answer of a search, nearest first.
public struct SearchHit: Sendable, Equatable {
  public var id: RecordID
  /// l2: squared Euclidean distance; ip: negated dot product; cosine: 1 − cosine. Smaller is nearer.
  public var distance: Float
  public var payload: Payload?
  public var vector: Vector?

  public init(id: RecordID, distance: Float, payload: Payload? = nil, vector: Vector? = nil) {
    self.id = id
    self.distance = distance
    self.payload = payload
    self.vector = vector
  }
}
