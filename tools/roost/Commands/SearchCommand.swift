// search: nearest neighbours of a vector, a record or a text.

import ArgumentParser
import Core
import Storage
import Wire

struct SearchCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "search", abstract: "Find the nearest neighbours of a vector, a record or a text.",
    discussion: """
      EXAMPLES
        roost search points --vector '[0.1, 0.2, 0.3]' --k 5
        roost search points --vector-file queries.fbin --row 3 --exact
        roost search packages --text "edit photos" --filter 'section = "graphics" and size in 100..2000'
        roost search packages --text "edit photos" --module cheap --param budget=500
        roost search packages --id gimp --fields section,size,summary
        roost search packages --id gimp --json
      """)

  @Argument(help: "The collection.") var collection: String
  @Option(name: .shortAndLong, help: "Search near this vector, a JSON array.") var vector: String?
  @Option(help: "Search near a row of this vector file.") var vectorFile: String?
  @Option(help: "The row of --vector-file.") var row = 0
  @Option(help: "Search near the vector of this record.") var id: String?
  @Option(name: .shortAndLong, help: "Search near this text; the collection must have an embedder.")
  var text: String?
  @Option(name: .shortAndLong, help: "How many neighbours, 1 to \(Limits.kMax).") var k = 10
  @Option(help: "Candidates kept on the way: more finds more and takes longer.") var effort: Int?
  @Flag(help: "Compare with every record.") var exact = false
  @OptionGroup var filter: FilterOption
  @Option(help: "A published filter module that decides about candidates.") var module: String?
  @Option(help: ArgumentHelp("A parameter of the module; JSON, or else text.", valueName: "name=value"))
  var param: [String] = []
  @Flag(help: "Show the vectors, too.") var vectors = false
  @Flag(help: "Leave the payloads out.") var noPayloads = false
  @OptionGroup var fields: FieldOptions
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard [vector, vectorFile, id, text].compactMap({ $0 }).count == 1 else {
      throw ValidationError("say what to search near: one of --vector, --vector-file, --id, --text")
    }
    guard module != nil || param.isEmpty else { throw ValidationError("--param needs --module") }
    guard fields.fields == nil || !noPayloads else {
      throw ValidationError("--fields and --no-payloads exclude each other")
    }
    guard row >= 0 else { throw ValidationError("--row must not be negative") }
  }

  func run() async throws {
    let filter = try filter.parsed()
    let fields = try fields.parsed()
    let client = try await node.client()
    let runtime = try Runtime.system()
    let query = SearchQuery(
      target: try await target(client, runtime), k: k, effort: effort, exact: exact, filter: filter,
      module: try moduleCall(), includePayload: !noPayloads, includeVector: vectors)
    try query.validate()
    let start = runtime.clock.monotonicNanos()
    var answer = try await client.search([query], in: collection)
    let seconds = Double(runtime.clock.monotonicNanos() - start) / 1e9
    if let fields {
      for index in answer.hits[0].indices {
        answer.hits[0][index].payload = answer.hits[0][index].payload.map(fields.keeping)
      }
    }
    let hits = answer.hits[0]
    try output.print(json(answer, seconds)) {
      guard !hits.isEmpty else { return "no records found in \(Figures.seconds(seconds))" }
      let table = table(hits, fields)
      let coverage = answer.coverage
      let gaps =
        coverage.isFull ? "" : "; only \(coverage.shardsAnswered) of \(coverage.shardsTotal) shards answered"
      return table.text(width: Console.columns)
        + "\n\(hits.count) records in \(Figures.seconds(seconds))\(gaps)"
    }
  }

  private func table(_ hits: [SearchHit], _ fields: FieldColumns?) -> Table {
    let payloads = hits.map { $0.payload ?? Payload() }
    var table = Table(
      columns: [("", .right), ("id", .left), ("distance", .right)]
        + RecordCells.columns(for: payloads, fields, vectors: vectors))
    for (rank, hit) in hits.enumerated() {
      table.add(
        [String(rank + 1), hit.id.text, Figures.distance(hit.distance)]
          + RecordCells.cells(hit.payload, hit.vector, fields))
    }
    return table
  }

  private func target(_ client: Client, _ runtime: Runtime) async throws(RoostError) -> SearchTarget {
    let schema = try await client.describe(collection).schema
    if let text {
      guard schema.embedder != nil else {
        throw RoostError(
          .invalidArgument, "the collection has no embedder for texts", at: "collection \(collection)",
          remedy: "search with --vector or --id")
      }
      return .text(text)
    }
    if let id { return .record(try RecordID(text: id)) }
    var found: Vector
    if let vectorFile {
      let reader = try await VectorFileReader.open(vectorFile, files: runtime.files)
      try reader.seek(toRow: row)
      let rows = try await reader.next(1)
      await reader.close()
      guard let rows else {
        throw RoostError(
          .invalidArgument, "the file has \(reader.count) rows, there is no row \(row)", at: vectorFile)
      }
      found = rows.vector(0)
      if found.element != schema.element, schema.element == .f32 { found = Vector(found.floats) }
    } else {
      found = try Vector(
        json: try JSON.argument(vector ?? "", "--vector"), element: schema.element, at: "--vector")
    }
    try schema.validate(found)
    return .vector(found)
  }

  private func moduleCall() throws(RoostError) -> ModuleCall? {
    guard let module else { return nil }
    try validateName(module, what: "module")
    var parameters = Payload()
    for text in param {
      guard let mark = text.firstIndex(of: "="), mark != text.startIndex else {
        throw RoostError(.invalidArgument, "'\(text)' is not name=value", at: "--param")
      }
      let name = String(text[..<mark])
      let value = String(text[text.index(after: mark)...])
      if let json = try? JSON(parsing: value) {
        parameters[name] = try Value(json: json, at: "--param \(name)")
      } else {
        parameters[name] = .string(value)
      }
    }
    try parameters.validate()
    return ModuleCall(module: module, parameters: parameters)
  }

  private func json(_ answer: SearchAnswer, _ seconds: Double) -> JSON {
    .object([
      "hits": .array(
        answer.hits[0].map { hit in
          .object([
            "id": hit.id.json, "distance": JSON(hit.distance), "payload": hit.payload?.json,
            "vector": hit.vector?.json,
          ])
        }),
      "modules": .array(
        answer.modules.map { .object(["name": .string($0.name), "sha256": .string($0.sha256)]) }),
      "coverage": .object([
        "shards_answered": JSON(Int(answer.coverage.shardsAnswered)),
        "shards_total": JSON(Int(answer.coverage.shardsTotal)),
      ]),
      "seconds": JSON(seconds),
    ])
  }
}
