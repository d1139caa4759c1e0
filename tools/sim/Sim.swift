// `tools/run sim NAME …`: clusters of production code in virtual time, decided by a seed.

import ArgumentParser

@main
struct Sim: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "sim", abstract: "Runs simulated clusters in virtual time.",
    subcommands: [MembershipCommand.self])
}
