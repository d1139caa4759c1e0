// Which node a command talks to.

import ArgumentParser
import Core
import Storage
import Wire

struct NodeOptions: ParsableArguments {
  static let defaultPort: UInt16 = 7040

  @Option(name: .shortAndLong, help: "The node's host:port. [default: 127.0.0.1:7040]")
  var address: String?

  @Option(help: "Give up a request after so many milliseconds. [default: 30000]")
  var timeoutMs: Int?

  @Option(help: "A TOML file with settings; flags win over it.")
  var config: String?

  /// A client that connects at its first call.
  /// - Parameter timeoutMs: the default for commands that may take long.
  func client(timeoutMs longer: Int = 30_000) async throws(RoostError) -> Client {
    let file = try ConfigurationFile.read(config)
    var configuration = ClientConfiguration()
    configuration.clientName = "roost-cli/\(productVersion)"
    let timeout = timeoutMs ?? file.integer("client.timeout-ms") ?? longer
    guard timeout > 0, timeout <= Int(UInt32.max) else {
      throw RoostError(.invalidArgument, "a timeout of \(timeout) ms makes no sense", at: "--timeout-ms")
    }
    configuration.deadlineMs = timeout
    let text = address ?? file.text("client.address") ?? "127.0.0.1:\(NodeOptions.defaultPort)"
    let address = try SocketAddress(text: text, defaultPort: NodeOptions.defaultPort)
    return Client(address, configuration: configuration, runtime: try Runtime.system())
  }
}

extension Client {
  /// The description of one collection; throws `.notFound` and names those that there are.
  func describe(_ name: String) async throws(RoostError) -> CollectionDescription {
    try validateName(name, what: "collection")
    let all = try await listCollections()
    if let found = all.first(where: { $0.name == name }) { return found }
    let names = all.prefix(8).map(\.name).joined(separator: ", ")
    throw RoostError(
      .notFound, "there is no collection '\(name)'", at: "node \(address)",
      remedy: all.isEmpty
        ? "create one with `roost create`" : "there are: \(names)\(all.count > 8 ? ", …" : "")")
  }
}
