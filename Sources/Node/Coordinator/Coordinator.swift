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
  let reembedder = Reembedder()
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
        try await self.collections.writing(delete.collection) { (hosted) throws(RoostError) in
          let (deleted, versions) = try await hosted.collection.deleteVersioned(delete.ids)
          await self.mirror(deleting: delete.ids, versions, hosted)
          return .delete(UInt64(deleted))
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
    case .inspectModule(let inspect): return .inspectModule(try modules.status(of: inspect.name))
    case .changeModule(let change): return .changeModule(try await self.change(change))
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

  // MARK: Collections

  private func create(_ request: CreateCollectionRequest) async throws(RoostError) {
    try request.schema.validate()
    var version: EmbedderVersion?
    if let embedder = request.schema.embedder {
      version = try modules.requireCurrentVersion(of: embedder.module)
      let (_, module) = try await modules.use(embedder.selector(version))
      try Coordinator.check(module, embeds: request.schema, of: request.collection)
    }
    for transform in request.schema.transforms {
      let (_, module) = try await modules.use(ModuleSelector(name: transform.module))
      try module.require(.transform)
    }
    try await collections.create(request.collection, schema: request.schema, embedder: version)
    // The module may have changed hands meanwhile.
    if version != nil { reembedder.check(self) }
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
}
