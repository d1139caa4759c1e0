// The one executable: `roost serve` is the node, every other subcommand a client or an admin tool.

import ArgumentParser
import Core
import Foundation

@main
struct Roost: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "roost",
    abstract: "A distributed vector store for the edge.",
    discussion: """
      EXAMPLES
        roost serve --data ./data                     start a node
        roost create docs --dimension 128             create a collection
        roost import docs vectors.fbin                fill it
        roost search docs --id 17 --k 5               search it

      EXIT CODES
        0 done          2 not found       3 exists already   64 wrong usage    65 damaged data
        69 no node      70 internal       74 file or disk    75 try again      1 other failures
      """,
    version: productVersion,
    subcommands: [],
    groupedSubcommands: [
      CommandGroup(name: "Node", subcommands: [ServeCommand.self]),
      CommandGroup(
        name: "Collections",
        subcommands: [CreateCommand.self, DropCommand.self, ListCommand.self, StatsCommand.self]),
      CommandGroup(
        name: "Records",
        subcommands: [
          ImportCommand.self, ExportCommand.self, PutCommand.self, GetCommand.self, DeleteCommand.self,
          ScanCommand.self, CountCommand.self, FacetCommand.self,
        ]),
      CommandGroup(name: "Search", subcommands: [SearchCommand.self]),
      CommandGroup(
        name: "Care",
        subcommands: [
          FlushCommand.self, CompactCommand.self, VerifyCommand.self, BackupCommand.self, RestoreCommand.self,
        ]),
      CommandGroup(name: "WebAssembly", subcommands: [ModuleCommand.self, KeyCommand.self]),
    ])

  static func main() async {
    let wantsJSON = CommandLine.arguments.contains("--json")
    do {
      var command = try parseAsRoot()
      if var command = command as? any AsyncParsableCommand {
        try await command.run()
      } else {
        try command.run()
      }
    } catch let error as RoostError {
      ErrorReport.print(error, asJSON: wantsJSON)
      Foundation.exit(error.exitCode)
    } catch {
      exit(withError: error)
    }
  }
}
