// `tools/run bench NAME …`: measurements, each printing one JSON line per operating point.

import ArgumentParser

@main
struct Bench: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "bench", abstract: "Measures Roost on this machine.",
    subcommands: [
      AnnCommand.self, FilterCommand.self, GetCommand.self, IngestCommand.self, KernelsCommand.self,
      ReconcileCommand.self, RingCommand.self, WasmCommand.self, EmbedCommand.self, ModuleCommand.self,
    ])
}
