// flush, compact, verify, backup, restore: what keeps a collection healthy.

import ArgumentParser
import Core
import Foundation
import Node
import Storage
import Synchronization
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
    let client = try await node.client(timeoutMs: maintenanceTimeoutMs)
    try await client.showingProgress(of: collection, isSilent: output.json) { () async throws(RoostError) in
      try await client.flush(collection)
    }
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
    let client = try await node.client(timeoutMs: maintenanceTimeoutMs)
    try await client.showingProgress(of: collection, isSilent: output.json) { () async throws(RoostError) in
      try await client.compact(collection)
    }
    try output.printDone(.object(["compacted": .string(collection)]), "compacted '\(collection)'")
  }
}

struct VerifyCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "verify", abstract: "Read every file of a collection and check every checksum.",
    discussion: """
      Through a node, or offline with --folder for a collection that no node has open, or a backup.
      Exit code 65 when something is damaged.

      With --recall it also searches for stored vectors, once through the graph with the effort that a search
      has by default and once by comparing with every record, and reports how many of the ten nearest the graph
      finds, with a 95% confidence interval, and what to do when they are fewer than 95%.

      EXAMPLES
        roost verify images
        roost verify images --recall --samples 1000
        roost verify --folder /backups/images-monday
      """)

  @Argument(help: "The collection.") var collection: String?
  @Option(help: "Check this folder of a collection instead, without a node.") var folder: String?
  @Flag(help: "Measure recall@10, too.") var recall = false
  @Option(help: "Stored vectors to search for with --recall.") var samples = 200
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (collection == nil) != (folder == nil) else {
      throw ValidationError("name a collection, or a folder with --folder")
    }
    guard (1...100_000).contains(samples) else { throw ValidationError("--samples must be in 1...100000") }
  }

  func run() async throws {
    let answer: VerifyAnswer
    if let folder {
      answer = try await verifyFolder(folder)
    } else {
      let name = collection ?? ""
      try validateName(name, what: "collection")
      let client = try await node.client(timeoutMs: maintenanceTimeoutMs)
      let wanted = recall ? samples : 0
      answer = try await client.showingProgress(of: name, isSilent: output.json) {
        () async throws(RoostError) in try await client.verify(name, recallSamples: wanted)
      }
    }
    let problems = answer.problems.map { problem in
      JSON.object([
        "kind": .string("\(problem.kind)"), "message": .string(problem.message),
        "place": .string(problem.place),
      ])
    }
    let recall = answer.recall.map { recall in
      JSON.object([
        "queries": JSON(Int(recall.queries)), "k": JSON(Int(recall.k)), "effort": JSON(Int(recall.effort)),
        "recall": JSON(recall.recall), "low": JSON(recall.low), "high": JSON(recall.high),
        "advice": .string(recall.advice),
      ])
    }
    try output.print(
      .object([
        "files": JSON(answer.filesChecked), "bytes": JSON(answer.bytesChecked), "problems": .array(problems),
        "recall": recall,
      ])
    ) {
      let read = "\(Figures.count(Int(answer.filesChecked))) files, \(Figures.bytes(answer.bytesChecked))"
      var lines = ["sound: \(read)"]
      if !answer.problems.isEmpty {
        lines = ["damaged: \(answer.problems.count) problems in \(read)"]
        lines += answer.problems.map { "  \($0.message) (at \($0.place))" }
      }
      if let recall = answer.recall { lines.append(Self.line(recall)) }
      return lines.joined(separator: "\n")
    }
    if !answer.problems.isEmpty { throw ExitCode(65) }
  }

  private static func line(_ recall: RecallAnswer) -> String {
    guard recall.queries > 0 else { return "recall: there are too few records to tell" }
    func percent(_ share: Double) -> String { String(format: "%.1f%%", share * 100) }
    let line =
      "recall@\(recall.k): \(percent(recall.recall)), with 95% confidence \(percent(recall.low)) to "
      + "\(percent(recall.high)) (\(recall.queries) stored vectors, effort \(recall.effort))"
    return recall.advice.isEmpty ? line : line + "\n  \(recall.advice)"
  }

  /// Without a node. Recall needs the collection open, which changes nothing but how it was closed.
  private func verifyFolder(_ folder: String) async throws -> VerifyAnswer {
    let runtime = try Runtime.system()
    let shown = Mutex(Progress("verifying", isSilent: output.json, clock: runtime.clock))
    let report = try await Collection.verify(folder, runtime: runtime) { fraction in
      shown.withLock { $0.update(fraction: fraction, items: nil) }
    }
    shown.withLock { $0.end() }
    var answer = VerifyAnswer(
      filesChecked: UInt64(report.files), bytesChecked: report.bytes, problems: report.problems)
    guard recall, report.isSound else { return answer }
    let collection = try await Collection.open(
      folder, options: StorageOptions(compactsAutomatically: false), runtime: runtime)
    let searching = Mutex(Progress("searching", isSilent: output.json, clock: runtime.clock))
    let samples = samples
    let measured = try await collection.measureRecall(samples: samples) { done in
      searching.withLock { $0.update(fraction: Double(done) / Double(samples), items: done) }
    }
    searching.withLock { $0.end() }
    try await collection.close()
    answer.recall = RecallAnswer(
      queries: UInt32(measured.queries), k: UInt32(measured.k), effort: UInt32(measured.effort),
      recall: measured.recall, low: measured.low, high: measured.high, advice: measured.advice ?? "")
    return answer
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
