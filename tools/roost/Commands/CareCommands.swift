// flush, compact, verify, backup, restore: what keeps a collection healthy.

import ArgumentParser
import Core
import Foundation
import Node
import Storage
import Wire

/// Long enough for the largest collection; the node goes on by itself anyway.
private let maintenanceTimeoutMs = 6 * 3_600_000

struct FlushCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "flush", abstract: "Write what a collection has in memory to segments.",
    discussion: """
      Nothing is lost without it: writes are in the log. It makes the next start quicker.

      EXAMPLES
        roost flush images
      """)

  @Argument(help: "The collection.") var collection: String
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try validateName(collection, what: "collection")
    try await node.client(timeoutMs: maintenanceTimeoutMs).flush(collection)
    try output.printDone(.object(["flushed": .string(collection)]), "flushed '\(collection)'")
  }
}

struct CompactCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "compact", abstract: "Merge the segments of a collection and drop what is dead.",
    discussion: """
      The node does this by itself as needed; searches and writes go on meanwhile.

      EXAMPLES
        roost compact images
      """)

  @Argument(help: "The collection.") var collection: String
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try validateName(collection, what: "collection")
    try await node.client(timeoutMs: maintenanceTimeoutMs).compact(collection)
    try output.printDone(.object(["compacted": .string(collection)]), "compacted '\(collection)'")
  }
}

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read every file of a collection and check every checksum.",
    discussion: """
      Through a node, or offline with --folder for a collection that no node has open, or a backup.
      Exit code 65 when something is damaged.

      EXAMPLES
        roost verify images
        roost verify --folder /backups/images-monday
      """)

  @Argument(help: "The collection.") var collection: String?
  @Option(help: "Check this folder of a collection instead, without a node.") var folder: String?
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (collection == nil) != (folder == nil) else {
      throw ValidationError("name a collection, or a folder with --folder")
    }
  }

  func run() async throws {
    let answer: VerifyAnswer
    if let folder {
      let report = try await Collection.verify(folder, runtime: try Runtime.system())
      answer = VerifyAnswer(
        filesChecked: UInt64(report.files), bytesChecked: report.bytes, problems: report.problems)
    } else {
      let name = collection ?? ""
      try validateName(name, what: "collection")
      answer = try await node.client(timeoutMs: maintenanceTimeoutMs).verify(name)
    }
    let problems = answer.problems.map { problem in
      JSON.object([
        "kind": .string("\(problem.kind)"), "message": .string(problem.message),
        "place": .string(problem.place),
      ])
    }
    try output.print(
      .object([
        "files": JSON(answer.filesChecked), "bytes": JSON(answer.bytesChecked), "problems": .array(problems),
      ])
    ) {
      let read = "\(Figures.count(Int(answer.filesChecked))) files, \(Figures.bytes(answer.bytesChecked))"
      guard !answer.problems.isEmpty else { return "sound: \(read)" }
      return
        (["damaged: \(answer.problems.count) problems in \(read)"]
        + answer.problems.map { "  \($0.message) (at \($0.place))" }).joined(separator: "\n")
    }
    if !answer.problems.isEmpty { throw ExitCode(65) }
  }
}

struct BackupCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "backup", abstract: "Write a consistent copy of a collection to a new folder.",
    discussion: """
      The folder is on the node's machine and, because files are linked where possible, best on the
      same disk. Copy it elsewhere afterwards; `roost verify --folder` checks the copy.

      EXAMPLES
        roost backup images /backups/images-monday
      """)

  @Argument(help: "The collection.") var collection: String
  @Argument(help: "A folder that does not exist yet.", completion: .directory) var folder: String
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try validateName(collection, what: "collection")
    let target = absolutePath(folder)
    try await node.client(timeoutMs: maintenanceTimeoutMs).backup(collection, to: target)
    try output.printDone(
      .object(["collection": .string(collection), "folder": .string(target)]),
      "backed up '\(collection)' to \(target)")
  }
}

struct RestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore", abstract: "Turn a backup into a collection of a node that is not running.",
    discussion: """
      Every checksum of the backup is verified first. Start the node afterwards; it finds the collection.

      EXAMPLES
        roost restore /backups/images-monday --data ./data --name images
      """)

  @Argument(help: "The folder of the backup.", completion: .directory) var backup: String
  @Option(help: "The node's data folder.", completion: .directory) var data: String
  @Option(help: "The collection's name.") var name: String
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let target = try await NodeServer.restore(
      absolutePath(backup), as: name, dataPath: absolutePath(data), runtime: try Runtime.system())
    try output.printDone(
      .object(["restored": .string(name), "folder": .string(target)]),
      "restored '\(name)' to \(target)")
  }
}

/// The node may have another working folder than this process.
func absolutePath(_ path: String) -> String {
  path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
}
