// import: many records from a file, several requests at a time.

import ArgumentParser
import Core
import Storage
import Wire

struct ImportCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "import", abstract: "Put the records of a file into a collection.",
    discussion: """
      The extension names the format. A .jsonl file has one record a line:
        {"id": 7, "vector": [0.1, 0.2], "payload": {"title": "a"}}
      Named vectors stand in "vectors": {"title": [0.1, 0.2], "image": [3, 4, 5]}.
      Without an id, the number of the line is the id. Vector files (.fbin, .u8bin, .i8bin,
      .f16bin, .bf16bin, .bbin, .fvecs, .bvecs, .npy) hold vectors only; the number of the row is the id. So
      ids are the same each time, and an import that was interrupted is finished with --resume.

      EXAMPLES
        roost import images vectors.fbin
        roost import packages packages.jsonl --resume
        zcat packages.jsonl.gz | roost import packages -
      """)

  @Argument(help: "The collection.") var collection: String
  @Argument(help: "The file; '-' reads JSON lines from standard input.") var file: String
  @Option(help: "The named vector that the rows of a vector file are; without it, the first.") var using:
    String?
  @Option(help: "Records in a request, at most \(Limits.batchRecordsMax).") var batch = 500
  @Option(help: "Requests on their way at a time.") var concurrency = 4
  @Option(help: "Id of the first row or line when it has none of its own.") var firstId: UInt64 = 0
  @Option(help: "Rows or lines to leave out at the beginning.") var skip = 0
  @Option(help: "Records to import at most.") var limit: Int?
  @Flag(help: "Ask the node first and send only records whose id it does not have.") var resume = false
  @Flag(name: .shortAndLong, help: "No progress.") var quiet = false
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (1...Limits.batchRecordsMax).contains(batch) else {
      throw ValidationError("--batch must be in 1...\(Limits.batchRecordsMax)")
    }
    guard (1...64).contains(concurrency) else { throw ValidationError("--concurrency must be in 1...64") }
    guard skip >= 0, limit ?? 0 >= 0 else { throw ValidationError("--skip and --limit must not be negative") }
  }

  func run() async throws {
    let client = try await node.client(timeoutMs: 120_000)
    let runtime = try Runtime.system()
    let schema = try await client.describe(collection).schema
    let source = try await open(schema, runtime)
    var progress = Progress("importing", isSilent: quiet || output.json, clock: runtime.clock)
    let total: Tally
    do {
      total = try await send(source, client, &progress)
    } catch {
      progress.end()
      await source.close()
      guard let error = error as? RoostError, error.remedy.isEmpty else { throw error }
      throw RoostError(
        error.kind, error.message, at: error.place,
        remedy: "mend the cause, then run the same command with --resume to go on")
    }
    progress.end()
    await source.close()
    let seconds = progress.seconds
    try output.printDone(
      .object([
        "imported": JSON(total.sent), "skipped": JSON(total.skipped), "seconds": JSON(seconds),
      ]),
      "imported \(Figures.count(total.sent)) records in \(Figures.seconds(seconds))"
        + " (\(Figures.count(Int(Double(total.sent) / max(seconds, 1e-6))))/s)"
        + (total.skipped > 0 ? ", \(Figures.count(total.skipped)) were there already" : ""))
  }

  private struct Tally {
    var sent = 0
    var skipped = 0
  }

  private func open(_ schema: CollectionSchema, _ runtime: Runtime) async throws -> any RecordSource {
    if file == "-" || file.lowercased().hasSuffix(".jsonl") || file.lowercased().hasSuffix(".ndjson") {
      return try await JSONLinesSource(
        file, schema: schema, firstID: firstId, skip: skip, limit: limit, files: runtime.files)
    }
    guard VectorFileFormat(path: file) != nil else {
      let formats = VectorFileFormat.allCases.map { ".\($0.rawValue)" }.joined(separator: ", ")
      throw RoostError(
        .invalidArgument, "the extension names no format", at: file,
        remedy: "the formats are .jsonl, \(formats)")
    }
    let field = schema.fields[try schema.index(ofField: using ?? "", at: "--using")]
    return try await VectorFileSource(
      file, schema: schema, field: field, firstID: firstId, skip: skip, limit: limit, files: runtime.files)
  }

  /// Reads the next batch while earlier ones are on their way.
  private func send(
    _ source: any RecordSource, _ client: Client, _ progress: inout Progress
  ) async throws -> Tally {
    let collection = collection
    let resume = resume
    return try await withThrowingTaskGroup(of: Tally.self) { group in
      var total = Tally()
      var inFlight = 0
      while true {
        if inFlight == concurrency, let done = try await group.next() {
          inFlight -= 1
          total.sent += done.sent
          total.skipped += done.skipped
          progress.update(fraction: source.fraction, items: total.sent + total.skipped)
        }
        let records = try await source.next(batch)
        if records.isEmpty { break }
        inFlight += 1
        group.addTask {
          var missing = records
          if resume {
            let found = try await client.get(records.map(\.id), from: collection, includeVector: false)
            missing = zip(records, found).filter { $0.1 == nil }.map(\.0)
          }
          if !missing.isEmpty {
            do throws(RoostError) {
              try await client.put(missing, into: collection)
            } catch {
              let (first, last) = (records[0].id.text, records[records.count - 1].id.text)
              throw error.located(at: "records \(first) to \(last)")
            }
          }
          return Tally(sent: missing.count, skipped: records.count - missing.count)
        }
      }
      for try await done in group {
        total.sent += done.sent
        total.skipped += done.skipped
        progress.update(fraction: source.fraction, items: total.sent + total.skipped)
      }
      return total
    }
  }
}
