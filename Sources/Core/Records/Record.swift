// A record as users see it.

/// A record to put. Without a vector, the collection's embedder makes one from its source field.
public struct PutRecord: Sendable, Equatable {
  public var id: RecordID
  public var vector: Vector?
  public var payload: Payload

  public init(id: RecordID, vector: Vector?, payload: Payload = Payload()) {
    self.id = id
    self.vector = vector
    self.payload = payload
  }
}

/// A stored record.
public struct Record: Sendable, Equatable {
  public var id: RecordID
  public var vector: Vector
  public var payload: Payload
  public var version: Version

  public init(id: RecordID, vector: Vector, payload: Payload, version: Version) {
    self.id = id
    self.vector = vector
    self.payload = payload
    self.version = version
  }
}
