// export: all records of a collection as JSON lines that `import` reads back exactly.

import ArgumentParser
import Core
import Storage
import Wire

struct ExportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "export", abstract: "Write the records of a collection as JSON lines.",
    discussion: """
      In ascending order of id, as `roost import` reads them. A file appears under its name only when it
      is complete. Records put or deleted meanwhile may or may not be in it.

      EXAMPLES
        roost export images images.jsonl
        roost export packages --filter 'section = "games"' --no-vectors | head
      """)

  @Argument(help: "The collection.") var collection: String
  @Argument(help: "The file; without it, standard output.") var file: String?
  @OptionGroup var filter: FilterOption
  @Option(help: "Records to write at most.") var limit: Int?
  @Flag(help: "Leave the vectors out.") var noVectors = false
  @Flag(help: "Replace the file if it exists.") var overwrite = false
  @Flag(name: .shortAndLong, help: "No progress.") var quiet = false
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let filter = try filter.parsed()
    let client = try await node.client()
    let runtime = try Runtime.system()
    let found = try await client.describe(collection)
    let expected = filter == nil ? min(limit ?? .max, Int(found.liveRecords)) : nil
    let target = try await LineWriter(file, overwrite: overwrite, files: runtime.files)
    var progress = Progress("exporting", isSilent: quiet || file == nil, clock: runtime.clock)
    var count = 0
    do {
      let pages = client.scan(
        collection, limit: limit ?? .max, filter: filter, includeVector: !noVectors)
      for try await page in pages {
        for record in page.records {
          let line = PutRecord(
            id: record.id, vectors: noVectors ? RecordVectors() : record.vectors, payload: record.payload)
          try await target.write(line.json)
        }
        count += page.records.count
        let fraction = expected.map { min(1, Double(count) / Double(max(1, $0))) }
        progress.update(fraction: fraction, items: count)
      }
      try await target.finish()
    } catch {
      progress.end()
      await target.abandon()
      throw error
    }
    progress.end()
    guard let file else { return }
    try output.printDone(
      .object(["exported": JSON(count), "file": .string(file)]),
      "exported \(Figures.count(count)) records to \(file) in \(Figures.seconds(progress.seconds))")
  }
}

/// Writes JSON lines to standard output, or to a file that gets its name at the end.
private final class LineWriter {
  private let path: String?
  private let files: any FileSystem
  private var file: (any File)?
  private var offset: UInt64 = 0
  private var pending: [UInt8] = []

  private var partialPath: String { (path ?? "") + ".partial" }

  init(_ path: String?, overwrite: Bool, files: any FileSystem) async throws(RoostError) {
    self.path = path
    self.files = files
    guard let path else { return }
    let exists = try await files.exists(path)
    guard overwrite || !exists else {
      throw RoostError(.alreadyExists, "the file exists", at: path, remedy: "pass --overwrite to replace it")
    }
    file = try await files.open(path + ".partial", [.write, .create, .truncate])
  }

  func write(_ json: JSON) async throws(RoostError) {
    json.write(to: &pending)
    pending.append(0x0a)
    if pending.count >= 1 << 18 { try await flush() }
  }

  private func flush() async throws(RoostError) {
    if let file {
      let buffer = IOBuffer(pending)
      try await file.write(buffer, range: 0..<buffer.count, at: offset)
      offset += UInt64(buffer.count)
    } else {
      try Console.write(pending)
    }
    pending.removeAll(keepingCapacity: true)
  }

  func finish() async throws(RoostError) {
    try await flush()
    guard let file, let path else { return }
    try await file.sync()
    await file.close()
    self.file = nil
    try await files.rename(partialPath, to: path)
  }

  func abandon() async {
    guard let file else { return }
    await file.close()
    try? await files.remove(partialPath)
  }
}
