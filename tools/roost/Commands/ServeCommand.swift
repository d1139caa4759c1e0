// serve: the node itself.

import ArgumentParser
import Core
import Logging
import Node
import Storage

struct ServeCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "serve", abstract: "Run a node.",
    discussion: """
      Runs in the foreground until Ctrl-C or SIGTERM; then it finishes what is in flight, closes its
      files and exits with 0. A second signal ends it at once; even that loses no acknowledged write.

      EXAMPLES
        roost serve --data ./data
        roost serve --data /var/lib/roost --listen 0.0.0.0:7040 --memory 1GiB
        roost serve --config /etc/roost.toml

      A configuration file has the same settings:
        [serve]
        data = "/var/lib/roost"
        listen = "127.0.0.1:7040"
        memory = "2GiB"
        sync = "always"
      """)

  @OptionGroup(title: "Settings") var settings: ServeOptions
  @Option(help: "A TOML file with settings; flags win over it.") var config: String?
  @OptionGroup var output: OutputOptions

  func run() async throws {
    // Before any thread exists that could miss them.
    let signals = try StopSignals()
    let file = try ConfigurationFile.read(config)
    let configuration = try settings.configuration(file)
    let level = try settings.level(file)
    let logger = Logger(label: "roost") { label in
      var handler = StreamLogHandler.standardError(label: label)
      handler.logLevel = level
      return handler
    }
    let system = try SystemRuntime(
      cores: configuration.cores ?? onlineCores(),
      pollMicros: configuration.pollMicros ?? SystemRuntime.pollMicrosDefault)
    let node = try await NodeServer.start(configuration, runtime: system.runtime, logger: logger)
    try output.print(
      .object([
        "listening": .string("\(node.address)"), "data": .string(absolutePath(configuration.dataPath)),
        "node": JSON(Int(node.nodeID)), "version": .string(configuration.version),
      ])
    ) {
      """
      roost \(configuration.version) listens on \(node.address)
      data is in \(absolutePath(configuration.dataPath)), memory \(Figures.bytes(UInt64(configuration.memoryBytes)))
      press Ctrl-C to stop
      """
    }
    await signals.wait()
    try await node.stop()
    await system.shutdown()
  }
}
