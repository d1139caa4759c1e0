// A record as users see it.

/// A record to put: vectors of any of the collection's fields, at least one. Without a vector for the embedder's
/// field, the embedder makes one from `source`, or else from its source field.
public struct PutRecord: Sendable, Equatable {
  public var id: RecordID
  public var vectors: RecordVectors
  public var payload: Payload
  /// For the embedder alone; not stored.
  public var source: EmbedderInput?

  public init(
    id: RecordID, vectors: RecordVectors, payload: Payload = Payload(), source: EmbedderInput? = nil
  ) {
    self.id = id
    self.vectors = vectors
    self.payload = payload
    self.source = source
  }

  /// - Parameter vector: of the collection's first field.
  public init(id: RecordID, vector: Vector?, payload: Payload = Payload(), source: EmbedderInput? = nil) {
    self.init(
      id: id, vectors: vector.map { RecordVectors($0) } ?? RecordVectors(), payload: payload, source: source)
  }

  /// The vector of the collection's first field, unless it was put by the name of that field.
  public var vector: Vector? {
    get { vectors[""] }
    set { vectors[""] = newValue }
  }
}

/// A stored record.
public struct Record: Sendable, Equatable {
  public var id: RecordID
  /// By the names in the schema; empty when they were not asked for.
  public var vectors: RecordVectors
  public var payload: Payload
  public var version: Version

  public init(id: RecordID, vectors: RecordVectors, payload: Payload, version: Version) {
    self.id = id
    self.vectors = vectors
    self.payload = payload
    self.version = version
  }

  public init(id: RecordID, vector: Vector?, payload: Payload, version: Version) {
    self.init(
      id: id, vectors: vector.map { RecordVectors($0) } ?? RecordVectors(), payload: payload,
      version: version)
  }

  /// The vector of the unnamed field, which is the only one of a collection that names none.
  public var vector: Vector? { vectors[""] }
}
