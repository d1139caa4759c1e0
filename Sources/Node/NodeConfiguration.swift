// The settings of a node. Reading them from a file or a command line is the executable's part.

import Core
import Storage
import Wasm

public struct NodeConfiguration: Sendable {
  /// The folder that holds everything; one node at a time.
  public var dataPath: String
  public var listen = SocketAddress(host: "127.0.0.1", port: NodeConfiguration.defaultPort)
  /// What vectors, graphs and caches of all collections may use together.
  public var memoryBytes = 2 << 30
  public var sync = SyncPolicy.always
  /// Rings to run, by default one per core; for whoever makes the runtime.
  public var cores: Int?
  /// How long a ring looks for the next request before it sleeps, by default
  /// `SystemRuntime.pollMicrosDefault`; for whoever makes the runtime.
  public var pollMicros: Int?
  public var version = "0.1.0"

  // Admission
  public var connectionsMax = Limits.connectionsMax
  public var requestsInFlightPerConnectionMax = Limits.requestsInFlightPerConnectionMax
  /// Searches, scans and counts that run side by side on each core; more are refused with `.overloaded`.
  public var queriesPerCoreMax = 64
  /// Bytes of writes that are being embedded, logged or linked; more are refused with `.overloaded`.
  public var writeBytesInFlightMax = 512 << 20
  public var retryAfterMs = 50

  // Times
  public var defaultDeadlineMs = 60_000
  public var handshakeTimeoutMs = 5_000
  public var idleTimeoutMs = 15 * 60_000
  public var slowReaderTimeoutMs = 30_000
  public var drainTimeoutMs = 10_000

  // Storage
  /// Records in a memtable before it becomes a segment.
  public var memtableRows = StorageOptions().memtableRows
  public var compactsAutomatically = true

  // Modules
  public var wasm = WasmLimits()
  public var signatures = SignaturePolicy()
  /// What a module may use unless the operator says otherwise for it.
  public var moduleGrants: WasmCapabilities = [.log, .tensor]

  public static let defaultPort: UInt16 = 7040

  public init(dataPath: String) { self.dataPath = dataPath }

  /// Refuses settings with which no node can work.
  public func validate() throws(RoostError) {
    func require(_ holds: Bool, _ what: String, _ place: String) throws(RoostError) {
      if !holds { throw RoostError(.invalidArgument, what, at: place) }
    }
    try require(!dataPath.isEmpty, "the data folder must be named", "dataPath")
    try require(memoryBytes >= 16 << 20, "the memory budget must be at least 16 MiB", "memoryBytes")
    try require(connectionsMax > 0, "there must be room for a connection", "connectionsMax")
    try require(requestsInFlightPerConnectionMax > 0, "there must be room for a request", "requestsInFlight")
    try require(queriesPerCoreMax > 0, "there must be room for a query", "queriesPerCoreMax")
    try require(
      writeBytesInFlightMax >= 1 << 20, "there must be room for a write of 1 MiB", "writeBytesInFlightMax")
    try require(
      !signatures.isRequired || !signatures.trustedKeys.isEmpty,
      "a node that requires signatures must trust a key", "trusted-keys")
    try require(memtableRows > 0, "a memtable must hold a record", "memtableRows")
    try require(
      defaultDeadlineMs > 0 && handshakeTimeoutMs > 0 && idleTimeoutMs > 0 && slowReaderTimeoutMs > 0
        && drainTimeoutMs > 0 && retryAfterMs > 0, "times must be positive", "times")
    if case .interval(let milliseconds) = sync {
      try require(milliseconds > 0, "the sync interval must be positive", "sync")
    }
  }
}
