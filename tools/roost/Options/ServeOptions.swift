// The settings of a node: each a flag, and of the same name in the file's table [serve].

import ArgumentParser
import Core
import Foundation
import Logging
import Node
import Storage
import Wasm

struct ServeOptions: ParsableArguments {
  @Option(
    help: "The folder that holds everything; made when missing. [default: ./roost-data]",
    completion: .directory)
  var data: String?
  @Option(help: "host:port to listen on; port 0 takes a free one. [default: 127.0.0.1:7040]")
  var listen: String?
  @Option(help: "Memory for vectors, graphs and caches of all collections. [default: 2GiB]")
  var memory: String?
  @Option(help: "When writes are on disk: always (before the reply), none, or 100ms. [default: always]")
  var sync: String?
  @Option(help: "Rings to run. [default: one per core]")
  var cores: Int?
  @Option(
    help: """
      Look so long for the next request before sleeping, in microseconds, while requests follow each other \
      closely: less latency for more processor time; 0 never does. [default: 200, on one core 0]
      """)
  var pollUs: Int?
  @Option(help: "Least important messages to log: debug, info, warning or error. [default: info]")
  var logLevel: String?
  @Option(help: "Connections at a time. [default: \(Limits.connectionsMax)]")
  var connections: Int?
  @Option(help: "Requests in flight on a connection. [default: \(Limits.requestsInFlightPerConnectionMax)]")
  var requestsPerConnection: Int?
  @Option(help: "Queries side by side on a core; more are refused. [default: 64]")
  var queriesPerCore: Int?
  @Option(help: "Bytes of writes in flight; more are refused. [default: 512MiB]")
  var writeMemory: String?
  @Option(help: "Deadline of requests that state none, in milliseconds. [default: 60000]")
  var deadlineMs: Int?
  @Option(help: "Close a connection that has been idle so long, in milliseconds. [default: 900000]")
  var idleTimeoutMs: Int?
  @Option(help: "Close a connection that takes no bytes for so long, in milliseconds. [default: 30000]")
  var slowReaderTimeoutMs: Int?
  @Option(help: "Requests in flight may take so long when the node stops, in milliseconds. [default: 10000]")
  var drainTimeoutMs: Int?
  @Option(help: "Records in memory before they become a segment. [default: \(StorageOptions().memtableRows)]")
  var memtableRows: Int?
  @Option(help: "Merge segments in the background: true or false. [default: true]")
  var compaction: Bool?
  @Option(help: "Memory of an instance of a module, such as 64MiB. [default: 64MiB]")
  var moduleMemory: String?
  @Option(help: "Time of a call of a filter module, in milliseconds. [default: 100]")
  var filterDeadlineMs: Int?
  @Option(help: "Time of a call of an embedder module, in milliseconds. [default: 1000]")
  var embedDeadlineMs: Int?

  @Option(help: "Take only modules that a trusted key has signed: true or false. [default: false]")
  var requireSignature: Bool?
  @Option(
    parsing: .upToNextOption,
    help: "Public keys whose signatures are trusted, as `roost key show` prints them, or files of them.")
  var trustedKeys: [String] = []
  @Option(
    parsing: .upToNextOption, help: "What modules may use unless it is set for one. [default: log tensor]")
  var moduleGrants: [String] = []

  /// Flags first, then the file, then the defaults.
  func configuration(_ file: ConfigurationFile) throws(RoostError) -> NodeConfiguration {
    var node = NodeConfiguration(dataPath: data ?? file.text("serve.data") ?? "./roost-data")
    node.version = productVersion
    if let text = listen ?? file.text("serve.listen") {
      node.listen = try SocketAddress(text: text, defaultPort: NodeConfiguration.defaultPort)
    }
    if let text = memory ?? file.text("serve.memory") {
      node.memoryBytes = try ServeOptions.bytes(text, "serve.memory")
    }
    if let text = sync ?? file.text("serve.sync") { node.sync = try ServeOptions.syncPolicy(text) }
    node.cores = cores ?? file.integer("serve.cores")
    if let cores = node.cores, !(1...256).contains(cores) {
      throw RoostError(.invalidArgument, "the number of cores must be in 1...256", at: "serve.cores")
    }
    node.pollMicros = pollUs ?? file.integer("serve.poll-us")
    if let micros = node.pollMicros, !(0...Ring.pollMicrosMax).contains(micros) {
      throw RoostError(
        .invalidArgument, "polling must take 0 to \(Ring.pollMicrosMax) µs", at: "serve.poll-us")
    }
    func set(_ target: inout Int, _ flag: Int?, _ name: String) {
      target = flag ?? file.integer(name) ?? target
    }
    set(&node.connectionsMax, connections, "serve.connections")
    set(&node.requestsInFlightPerConnectionMax, requestsPerConnection, "serve.requests-per-connection")
    set(&node.queriesPerCoreMax, queriesPerCore, "serve.queries-per-core")
    if let text = writeMemory ?? file.text("serve.write-memory") {
      node.writeBytesInFlightMax = try ServeOptions.bytes(text, "serve.write-memory")
    }
    set(&node.defaultDeadlineMs, deadlineMs, "serve.deadline-ms")
    set(&node.idleTimeoutMs, idleTimeoutMs, "serve.idle-timeout-ms")
    set(&node.slowReaderTimeoutMs, slowReaderTimeoutMs, "serve.slow-reader-timeout-ms")
    set(&node.drainTimeoutMs, drainTimeoutMs, "serve.drain-timeout-ms")
    set(&node.memtableRows, memtableRows, "serve.memtable-rows")
    node.compactsAutomatically = compaction ?? file.flag("serve.compaction") ?? node.compactsAutomatically
    if let text = moduleMemory ?? file.text("serve.module-memory") {
      node.wasm.memoryBytesMax = try ServeOptions.bytes(text, "serve.module-memory")
    }
    set(&node.wasm.filterDeadlineMs, filterDeadlineMs, "serve.filter-deadline-ms")
    set(&node.wasm.embedDeadlineMs, embedDeadlineMs, "serve.embed-deadline-ms")
    guard node.wasm.filterDeadlineMs > 0, node.wasm.embedDeadlineMs > 0 else {
      throw RoostError(.invalidArgument, "deadlines must be positive", at: "serve.filter-deadline-ms")
    }
    try setModules(&node, file)
    try node.validate()
    return node
  }

  private func setModules(
    _ node: inout NodeConfiguration, _ file: ConfigurationFile
  ) throws(RoostError) {
    node.signatures.isRequired = requireSignature ?? file.flag("serve.require-signature") ?? false
    let keys = trustedKeys.isEmpty ? file.texts("serve.trusted-keys") ?? [] : trustedKeys
    for text in keys {
      // A file of `roost key generate`, or the key itself.
      let content = text.hasPrefix("ed25519:") ? nil : FileManager.default.contents(atPath: text)
      let key = content.map { String(decoding: $0, as: UTF8.self).filter { !$0.isWhitespace } } ?? text
      node.signatures.trustedKeys.append(try PublicKey(text: key, at: "serve.trusted-keys"))
    }
    if let names = moduleGrants.isEmpty ? file.texts("serve.module-grants") : moduleGrants {
      node.moduleGrants = try WasmCapabilities(names: names)
    }
  }

  func level(_ file: ConfigurationFile) throws(RoostError) -> Logger.Level {
    let text = logLevel ?? file.text("serve.log-level") ?? "info"
    guard let level = Logger.Level(rawValue: text) else {
      throw RoostError(
        .invalidArgument, "'\(text)' is no log level", at: "serve.log-level",
        remedy: "use debug, info, warning or error")
    }
    return level
  }

  private static func bytes(_ text: String, _ name: String) throws(RoostError) -> Int {
    guard let bytes = Figures.parseBytes(text) else {
      throw RoostError(
        .invalidArgument, "'\(text)' is no amount of memory", at: name, remedy: "write 512MiB or 2GiB")
    }
    return bytes
  }

  private static func syncPolicy(_ text: String) throws(RoostError) -> SyncPolicy {
    switch text {
    case "always": return .always
    case "none": return .none
    default:
      guard text.hasSuffix("ms"), let milliseconds = Int(text.dropLast(2)), milliseconds > 0 else {
        throw RoostError(
          .invalidArgument, "'\(text)' is no sync policy", at: "serve.sync",
          remedy: "use always, none, or a time such as 100ms")
      }
      return .interval(milliseconds: milliseconds)
    }
  }
}
