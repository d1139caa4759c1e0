// What a node does with a request, between the protocol and the engine.

import Core
import Storage
import Wasm
import Wire

/// Serves the requests of all sessions of a node.
final class Coordinator: RequestHandler {
  let configuration: NodeConfiguration
  let runtime: Runtime
  let collections: CollectionTable
  let modules: ModuleRegistry
  let folder: DataFolder
  let metrics: NodeMetrics
  let queries: Admission
  let writes: Admission
  private let recentWrites = RecentWrites()

  init(
    configuration: NodeConfiguration, runtime: Runtime, collections: CollectionTable, modules: ModuleRegistry,
    folder: DataFolder
  ) {
    self.configuration = configuration
    self.runtime = runtime
    self.collections = collections
    self.modules = modules
    self.folder = folder
    metrics = NodeMetrics(startedNanos: runtime.clock.monotonicNanos())
    queries = Admission("queries", limit: configuration.queriesPerCoreMax * runtime.executors.count)
    writes = Admission("bytes of writes", limit: configuration.writeBytesInFlightMax)
  }

  func handle(_ request: Request, _ context: RequestContext) async throws(RoostError) -> Response {
    let start = runtime.clock.monotonicNanos()
    do throws(RoostError) {
      let response = try await serve(request, context)
      metrics.latency(request.opcode)?.record(nanos: runtime.clock.monotonicNanos() - start)
      return response
    } catch {
      if error.kind == .overloaded { metrics.overloaded.add(1, ordering: .relaxed) }
      throw error
    }
  }

  private func serve(_ request: Request, _ context: RequestContext) async throws(RoostError) -> Response {
    switch request {
    case .get(let get):
      return try await collections.with(get.collection) { (collection) throws(RoostError) in
        .get(GetResponse(records: try await collection.get(get.ids, includeVector: get.includeVector)))
      }
    case .put(let put):
      return try await recentWrites.perform(context.idempotencyKey) { () async throws(RoostError) in
        try await self.put(put, context)
      }
    case .delete(let delete):
      return try await recentWrites.perform(context.idempotencyKey) { () async throws(RoostError) in
        try await self.collections.with(delete.collection) { (collection) throws(RoostError) in
          .delete(UInt64(try await collection.delete(delete.ids)))
        }
      }
    case .search(let search): return try await self.search(search, context)
    case .scan(let scan): return try await self.scan(scan, context)
    case .count(let count):
      try queries.enter()
      defer { queries.leave() }
      return try await collections.with(count.collection) { (collection) throws(RoostError) in
        .count(UInt64(try await collection.count(filter: count.filter)))
      }
    case .facet(let facet): return try await self.facet(facet)
    case .ping: return .ping
    case .hello: throw RoostError(.protocolViolation, "hello belongs to the connection", at: "node")
    case .createCollection(let create):
      try await self.create(create)
      return .createCollection
    case .dropCollection(let drop):
      try await collections.drop(drop.collection)
      return .dropCollection
    case .listCollections: return .listCollections(await describeCollections())
    case .publishModule(let publish): return .publishModule(try await self.publish(publish))
    case .listModules: return .listModules(modules.list)
    case .stats(let stats): return .stats(try await self.stats(stats))
    case .flush(let flush):
      return try await collections.with(flush.collection) { (collection) throws(RoostError) in
        try await collection.flush()
        return .flush
      }
    case .compact(let compact):
      return try await collections.with(compact.collection) { (collection) throws(RoostError) in
        try await collection.compact()
        return .compact
      }
    case .verify(let verify): return .verify(try await self.verify(verify))
    case .backup(let backup): return try await self.backup(backup)
    }
  }

  // MARK: Collections and modules

  private func create(_ request: CreateCollectionRequest) async throws(RoostError) {
    try request.schema.validate()
    if let embedder = request.schema.embedder {
      let (_, module) = try await modules.use(embedder.module)
      try Coordinator.check(module, embeds: request.schema, of: request.collection)
    }
    for transform in request.schema.transforms {
      let (_, module) = try await modules.use(transform.module)
      try module.require(.transform)
    }
    try await collections.create(request.collection, schema: request.schema)
  }

  /// Refuses an embedder whose vectors a collection cannot hold.
  static func check(_ module: WasmModule, embeds schema: CollectionSchema, of name: String) throws(RoostError)
  {
    guard let dimension = module.dimension else {
      throw RoostError(
        .invalidArgument,
        "module '\(module.name)' is \(module.kind.withArticle), collection '\(name)' needs an embedder",
        at: "module \(module.name)")
    }
    let index = try schema.index(ofField: schema.embedder?.vectorField ?? "", at: "schema.embedder")
    let field = schema.fields[index]
    guard dimension == field.dimension, field.element.isFloat else {
      throw RoostError(
        .invalidArgument,
        "module '\(module.name)' gives \(dimension) f32, collection '\(name)' holds \(field.dimension) "
          + field.element.name, at: "module \(module.name)")
    }
  }

  private func describeCollections() async -> [CollectionDescription] {
    var descriptions: [CollectionDescription] = []
    for hosted in collections.open {
      descriptions.append(
        CollectionDescription(
          name: hosted.name, schema: hosted.collection.schema,
          liveRecords: UInt64(await hosted.collection.stats().liveRecords)))
    }
    return descriptions
  }

  private func publish(_ request: PublishModuleRequest) async throws(RoostError) -> ModuleDescription {
    let users = collections.open
    return try await modules.publish(request.name, bytes: request.bytes) { (module) throws(RoostError) in
      for hosted in users where hosted.collection.schema.embedder?.module == request.name {
        try Coordinator.check(module, embeds: hosted.collection.schema, of: hosted.name)
      }
      for hosted in users
      where hosted.collection.schema.transforms.contains(where: { $0.module == request.name }) {
        try module.require(.transform)
      }
    }
  }
}
