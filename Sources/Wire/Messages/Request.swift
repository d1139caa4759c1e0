// All requests: one case per opcode that a client may send.

import Core

package enum Request: Sendable, Equatable {
  case hello(HelloRequest)
  case ping
  case createCollection(CreateCollectionRequest)
  case dropCollection(CollectionRequest)
  case listCollections
  case put(PutRequest)
  case delete(DeleteRequest)
  case get(GetRequest)
  case search(SearchRequest)
  case scan(ScanRequest)
  case count(CountRequest)
  case facet(FacetRequest)
  case publishModule(PublishModuleRequest)
  case listModules
  case inspectModule(ModuleRequest)
  case changeModule(ChangeModuleRequest)
  case stats(StatsRequest)
  case flush(CollectionRequest)
  case compact(CollectionRequest)
  case verify(VerifyRequest)
  case backup(BackupRequest)

  package var opcode: Opcode {
    switch self {
    case .hello: .hello
    case .ping: .ping
    case .createCollection: .createCollection
    case .dropCollection: .dropCollection
    case .listCollections: .listCollections
    case .put: .put
    case .delete: .delete
    case .get: .get
    case .search: .search
    case .scan: .scan
    case .count: .count
    case .facet: .facet
    case .publishModule: .publishModule
    case .listModules: .listModules
    case .inspectModule: .inspectModule
    case .changeModule: .changeModule
    case .stats: .stats
    case .flush: .flush
    case .compact: .compact
    case .verify: .verify
    case .backup: .backup
    }
  }

  /// Whether sending it twice does what sending it once does. Writes carry an idempotency key.
  package var isIdempotent: Bool {
    switch self {
    case .createCollection, .dropCollection, .changeModule, .compact, .backup: false
    default: true
    }
  }

  package func encode(into body: inout BodyWriter) {
    switch self {
    case .ping, .listCollections, .listModules: break
    case .hello(let message): message.encode(into: &body)
    case .createCollection(let message): message.encode(into: &body)
    case .put(let message): message.encode(into: &body)
    case .delete(let message): message.encode(into: &body)
    case .get(let message): message.encode(into: &body)
    case .search(let message): message.encode(into: &body)
    case .scan(let message): message.encode(into: &body)
    case .count(let message): message.encode(into: &body)
    case .facet(let message): message.encode(into: &body)
    case .publishModule(let message): message.encode(into: &body)
    case .inspectModule(let message): message.encode(into: &body)
    case .changeModule(let message): message.encode(into: &body)
    case .stats(let message): message.encode(into: &body)
    case .backup(let message): message.encode(into: &body)
    case .verify(let message): message.encode(into: &body)
    case .dropCollection(let message), .flush(let message), .compact(let message):
      message.encode(into: &body)
    }
  }

  /// Decodes a request's body and its trailer. Throws `.protocolViolation` for what is not well-formed,
  /// `.limitExceeded` for what is too large, `.unsupportedVersion` for a required field that is unknown.
  package static func decode(
    _ opcode: Opcode, _ body: UnsafeRawBufferPointer
  ) throws(RoostError) -> (Request, Trailer) {
    do {
      var reader = try BodyReader(body)
      let request = try Request(opcode, from: &reader)
      try reader.finish()
      return (request, reader.trailer)
    } catch {
      throw error.inMessage(opcode)
    }
  }

  private init(_ opcode: Opcode, from body: inout BodyReader) throws(RoostError) {
    switch opcode {
    case .hello: self = .hello(try HelloRequest(from: &body))
    case .ping: self = .ping
    case .createCollection: self = .createCollection(try CreateCollectionRequest(from: &body))
    case .dropCollection: self = .dropCollection(try CollectionRequest(from: &body))
    case .listCollections: self = .listCollections
    case .put: self = .put(try PutRequest(from: &body))
    case .delete: self = .delete(try DeleteRequest(from: &body))
    case .get: self = .get(try GetRequest(from: &body))
    case .search: self = .search(try SearchRequest(from: &body))
    case .scan: self = .scan(try ScanRequest(from: &body))
    case .count: self = .count(try CountRequest(from: &body))
    case .facet: self = .facet(try FacetRequest(from: &body))
    case .publishModule: self = .publishModule(try PublishModuleRequest(from: &body))
    case .listModules: self = .listModules
    case .inspectModule: self = .inspectModule(try ModuleRequest(from: &body))
    case .changeModule: self = .changeModule(try ChangeModuleRequest(from: &body))
    case .stats: self = .stats(try StatsRequest(from: &body))
    case .flush: self = .flush(try CollectionRequest(from: &body))
    case .compact: self = .compact(try CollectionRequest(from: &body))
    case .verify: self = .verify(try VerifyRequest(from: &body))
    case .backup: self = .backup(try BackupRequest(from: &body))
    case .cancel, .credit, .goAway:
      throw RoostError(.protocolViolation, "\(opcode) is not a request", at: "opcode")
    }
  }
}

extension RoostError {
  /// Byte cursors call bad bytes `.corrupted`, as befits a disk; in a message whose checksum holds, bad
  /// bytes are the sender's fault.
  func inMessage(_ opcode: Opcode) -> RoostError {
    var error = self
    if kind == .corrupted {
      error.kind = .protocolViolation
      error.remedy = ""
    }
    error.place = place.isEmpty ? "message \(opcode)" : "message \(opcode), \(place)"
    return error
  }
}
