// All replies. An error is not among them: it is its own kind of frame.

import Core

package enum Response: Sendable, Equatable {
  case hello(ServerGreeting)
  case ping
  case createCollection
  case dropCollection
  case listCollections([CollectionDescription])
  /// The versions given to the records, in the order of the request.
  case put([Version])
  /// How many of the ids existed.
  case delete(UInt64)
  case get(GetResponse)
  case search(SearchResponse)
  case scan(ScanPage)
  case count(UInt64)
  case facet(FacetOutcome)
  case publishModule(ModuleDescription)
  case listModules([ModuleStatus])
  case inspectModule(ModuleStatus)
  /// Nil when the module is gone.
  case changeModule(ModuleStatus?)
  /// Names and numbers; new ones may come with every release.
  case stats(Payload)
  case flush
  case compact
  case verify(VerifyAnswer)
  case backup

  static let modulesMax = 10_000

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

  package func encode(into body: inout BodyWriter) {
    switch self {
    case .ping, .createCollection, .dropCollection, .flush, .compact, .backup: break
    case .hello(let greeting): greeting.encode(into: &body)
    case .listCollections(let collections):
      body.bytes.count(collections.count)
      for collection in collections { collection.encode(into: &body) }
    case .put(let versions):
      body.bytes.count(versions.count)
      for version in versions { version.encode(into: &body.bytes) }
    case .delete(let count), .count(let count): body.bytes.u64(count)
    case .get(let message): message.encode(into: &body)
    case .search(let message): message.encode(into: &body)
    case .scan(let page): page.encode(into: &body)
    case .facet(let outcome): outcome.encode(into: &body)
    case .publishModule(let module): module.encode(into: &body)
    case .listModules(let modules):
      body.bytes.count(modules.count)
      for module in modules { module.encode(into: &body) }
    case .inspectModule(let module): module.encode(into: &body)
    case .changeModule(let module):
      body.bytes.u8(module == nil ? 0 : 1)
      module?.encode(into: &body)
    case .stats(let payload): payload.encode(into: &body.bytes)
    case .verify(let answer): answer.encode(into: &body)
    }
  }

  /// Decodes a reply's body; errors as for `Request.decode`.
  package static func decode(_ opcode: Opcode, _ body: UnsafeRawBufferPointer) throws(RoostError) -> Response
  {
    do {
      var reader = try BodyReader(body)
      let response = try Response(opcode, from: &reader)
      try reader.finish()
      return response
    } catch {
      throw error.inMessage(opcode)
    }
  }

  /// Decodes the body of an error frame, with the time after which to try again.
  package static func decodeError(
    _ body: UnsafeRawBufferPointer
  ) throws(RoostError) -> (error: RoostError, retryAfterMs: UInt32?) {
    var reader = try BodyReader(body)
    let error = try RoostError(from: &reader)
    try reader.finish()
    return (error, reader.trailer.retryAfterMs)
  }

  private init(_ opcode: Opcode, from body: inout BodyReader) throws(RoostError) {
    switch opcode {
    case .hello: self = .hello(try ServerGreeting(from: &body))
    case .ping: self = .ping
    case .createCollection: self = .createCollection
    case .dropCollection: self = .dropCollection
    case .listCollections:
      self = .listCollections(
        try body.list("collection count", atMost: Limits.collectionsMax) { (body) throws(RoostError) in
          try CollectionDescription(from: &body)
        })
    case .put:
      self = .put(
        try body.list("version count", atMost: Limits.batchRecordsMax) { (body) throws(RoostError) in
          try Version(from: &body.fixed)
        })
    case .delete: self = .delete(try body.fixed.u64())
    case .get: self = .get(try GetResponse(from: &body))
    case .search: self = .search(try SearchResponse(from: &body))
    case .scan: self = .scan(try ScanPage(from: &body))
    case .facet: self = .facet(try FacetOutcome(from: &body))
    case .count: self = .count(try body.fixed.u64())
    case .publishModule: self = .publishModule(try ModuleDescription(from: &body))
    case .listModules:
      self = .listModules(
        try body.list("module count", atMost: Response.modulesMax) { (body) throws(RoostError) in
          try ModuleStatus(from: &body)
        })
    case .inspectModule: self = .inspectModule(try ModuleStatus(from: &body))
    case .changeModule: self = .changeModule(try body.flag("module") ? try ModuleStatus(from: &body) : nil)
    case .stats: self = .stats(try body.payload())
    case .flush: self = .flush
    case .compact: self = .compact
    case .verify: self = .verify(try VerifyAnswer(from: &body))
    case .backup: self = .backup
    case .cancel, .credit, .goAway:
      throw RoostError(.protocolViolation, "\(opcode) is not a reply", at: "opcode")
    }
  }
}
