// A node: its data folder, its collections and modules, and the server that speaks for them.

import Core
import Logging
import Storage
import Synchronization
import Wasm
import Wire

/// A running node. `start` opens everything and listens; `stop` ends it in good order.
///
/// A value around one shared object: the optimiser of Swift 6.3 crashes in programs that use a public
/// class whose initialiser it cannot see across modules.
public struct NodeServer: Sendable {
  private let running: RunningNode

  /// Where it listens, with the real port when 0 was asked for.
  public var address: SocketAddress { running.address }
  public var nodeID: UInt32 { running.coordinator.folder.nodeID }

  /// Opens the data folder and every collection in it, then listens.
  ///
  /// Throws `.locked` when another node uses the folder, `.unsupportedVersion` when a newer Roost wrote
  /// it, `.readOnly` or `.permissionDenied` when it cannot be written, `.unavailable` when the port is in
  /// use, `.invalidArgument` for settings that cannot work. A single collection that is damaged does not
  /// keep the node from starting: requests to it are answered with its error.
  public static func start(
    _ configuration: NodeConfiguration, runtime: Runtime, logger: Logger = Logger(label: "roost.node")
  ) async throws(RoostError) -> NodeServer {
    try configuration.validate()
    let folder = try await DataFolder.open(configuration.dataPath, runtime: runtime)
    try await emptyScratch(folder, runtime)
    // A port in use is the commoner trouble, and finding it is cheaper than opening collections.
    let listener = try await runtime.transport.listen(on: configuration.listen)
    do throws(RoostError) {
      let engine = try WasmEngine(limits: configuration.wasm) { level, module, line in
        logger.log(level: level.loggerLevel, "\(line)", metadata: ["module": "\(module)"])
      }
      let modules = try await ModuleRegistry.open(
        folder.modulesPath, engine: engine, configuration: configuration, nodeID: folder.nodeID,
        runtime: runtime
      ) { name, error in
        logger.error("a module cannot be used", metadata: ["module": "\(name)", "error": "\(error)"])
      }
      let collections = try await CollectionTable.open(
        folder, configuration: configuration, runtime: runtime
      ) { name, error in
        logger.error(
          "a collection cannot be opened", metadata: ["collection": "\(name)", "error": "\(error)"])
      }
      let coordinator = Coordinator(
        configuration: configuration, runtime: runtime, collections: collections, modules: modules,
        folder: folder)
      try await coordinator.settleEmbedders()
      let server = Server(
        handler: coordinator, configuration: serverConfiguration(configuration, nodeID: folder.nodeID),
        runtime: runtime)
      let serving = Task(executorPreference: runtime.executors[0]) { await server.run(listener) }
      logger.info(
        "the node is ready",
        metadata: [
          "address": "\(listener.address)", "data": "\(configuration.dataPath)", "node": "\(folder.nodeID)",
          "collections": "\(collections.open.count)",
        ])
      return NodeServer(
        running: RunningNode(
          address: listener.address, server: server, coordinator: coordinator, logger: logger,
          serving: serving))
    } catch {
      await listener.close()
      throw error
    }
  }

  private static func serverConfiguration(_ configuration: NodeConfiguration, nodeID: UInt32)
    -> ServerConfiguration
  {
    var server = ServerConfiguration()
    server.nodeID = nodeID
    server.serverVersion = configuration.version
    server.connectionsMax = configuration.connectionsMax
    server.requestsInFlightMax = configuration.requestsInFlightPerConnectionMax
    server.defaultDeadlineMs = configuration.defaultDeadlineMs
    server.handshakeTimeoutMs = configuration.handshakeTimeoutMs
    server.idleTimeoutMs = configuration.idleTimeoutMs
    server.slowReaderTimeoutMs = configuration.slowReaderTimeoutMs
    server.drainTimeoutMs = configuration.drainTimeoutMs
    server.retryAfterMs = configuration.retryAfterMs
    return server
  }

  /// What a verification leaves behind when the node dies in the middle of it.
  private static func emptyScratch(_ folder: DataFolder, _ runtime: Runtime) async throws(RoostError) {
    guard try await runtime.files.exists(folder.scratchPath) else { return }
    for name in try await runtime.files.list(folder.scratchPath) {
      try await Collection.destroy(folder.scratchPath + "/" + name, files: runtime.files)
    }
  }

  /// Stops accepting, lets requests in flight finish, closes connections and collections. Everything
  /// acknowledged is safe whatever this throws. Safe to call twice.
  public func stop() async throws(RoostError) { try await running.stop() }
}

private final class RunningNode: Sendable {
  let address: SocketAddress
  let coordinator: Coordinator
  private let server: Server
  private let logger: Logger
  private let serving: Task<Void, Never>
  private let stopping = AsyncLock()
  private let isStopped = Atomic<Bool>(false)

  init(
    address: SocketAddress, server: Server, coordinator: Coordinator, logger: Logger,
    serving: Task<Void, Never>
  ) {
    self.address = address
    self.server = server
    self.coordinator = coordinator
    self.logger = logger
    self.serving = serving
  }

  func stop() async throws(RoostError) {
    await stopping.acquire()
    defer { stopping.release() }
    guard !isStopped.exchange(true, ordering: .relaxed) else { return }
    logger.info("the node is stopping")
    await server.shutdown()
    await serving.value
    await coordinator.reembedder.stop()
    defer { coordinator.folder.release() }
    try await coordinator.collections.close()
    logger.info("the node has stopped")
  }
}

extension WasmLogLevel {
  fileprivate var loggerLevel: Logger.Level {
    switch self {
    case .debug: .debug
    case .info: .info
    case .warning: .warning
    case .error: .error
    }
  }
}
