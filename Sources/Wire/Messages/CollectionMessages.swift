// Create, drop and list collections.

import Core

package struct CreateCollectionRequest: Sendable, Equatable {
  package var collection: String
  package var schema: CollectionSchema

  package init(collection: String, schema: CollectionSchema) {
    self.collection = collection
    self.schema = schema
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(collection)
    schema.encode(into: &body.bytes)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    collection = try body.collection()
    schema = try CollectionSchema(from: &body.fixed)
  }
}

/// A message that is about one collection and says nothing else.
package struct CollectionRequest: Sendable, Equatable {
  package var collection: String

  package init(collection: String) { self.collection = collection }

  package func encode(into body: inout BodyWriter) { body.bytes.string(collection) }
  package init(from body: inout BodyReader) throws(RoostError) { collection = try body.collection() }
}

/// One line of the list of collections.
public struct CollectionDescription: Sendable, Equatable {
  public var name: String
  public var schema: CollectionSchema
  public var liveRecords: UInt64

  public init(name: String, schema: CollectionSchema, liveRecords: UInt64) {
    self.name = name
    self.schema = schema
    self.liveRecords = liveRecords
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.string(name)
    schema.encode(into: &body.bytes)
    body.bytes.u64(liveRecords)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    name = try body.collection()
    schema = try CollectionSchema(from: &body.fixed)
    liveRecords = try body.fixed.u64()
  }
}

extension BodyReader {
  package mutating func collection() throws(RoostError) -> String {
    try fixed.string("collection name", atMost: Limits.nameBytesMax)
  }
}
