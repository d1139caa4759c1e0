// search: nearest neighbours of a vector, a record, a text or a file.

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
        roost search packages --text "edit photos" --score popular --score-param field=installs --weight 0.3
        roost search packages --id gimp --fields section,size,summary
        roost search packages --id gimp --json
        roost search packages --id gimp --radius 0.4 --limit 100
        roost search packages --like gimp --like inkscape --unlike blender --strategy best-score
        roost search packages --text "a game" --group-by section --k 5 --group-size 2
        roost search packages --text "a game" --diversity 0.7 --exclude 0ad
        roost search packages --id gimp --filter 'size < 500' --explain
        roost search docs --using image --id 7
        roost search photos --file harbour.jpg
      """)

  @Argument(help: "The collection.") var collection: String
  @OptionGroup(title: "NEAR WHAT") var target: TargetOptions
  @OptionGroup(title: "WHICH OF THOSE NEAR") var form: FormOptions
  @Option(help: "The named vector to search; without it, the first (for a text or a file, the embedder's).")
  var using: String?
  @Option(help: "Candidates kept on the way: more finds more and takes longer.") var effort: Int?
  @Flag(help: "Compare with every record.") var exact = false
  @OptionGroup var filter: FilterOption
  @Option(help: ArgumentHelp("A record that must not be found; may be repeated.", valueName: "id"))
  var exclude: [String] = []
  @OptionGroup(title: "CODE OF YOUR OWN") var modules: ModuleOptions
  @Flag(help: "Show the vectors, too.") var vectors = false
  @Flag(help: "Leave the payloads out.") var noPayloads = false
  @Flag(help: "Show how each part of the collection was searched, and why so.") var explain = false
  @OptionGroup var fields: FieldOptions
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard fields.fields == nil || !noPayloads else {
      throw ValidationError("--fields and --no-payloads exclude each other")
    }
  }

  func run() async throws {
    let filter = try filter.parsed()
    let fields = try fields.parsed()
    let client = try await node.client()
    let runtime = try Runtime.system()
    let schema = try await client.describe(collection).schema
    let field = schema.fields[try schema.index(ofField: using ?? "", at: "--using")]
    var excluded: [RecordID] = []
    for text in exclude { excluded.append(try RecordID(text: text)) }
    let query = SearchQuery(
      target: try await target.parsed(schema, field, collection, runtime), form: form.parsed, effort: effort,
      exact: exact, filter: filter, module: try modules.filterCall,
      score: try modules.scoreCall, excluded: excluded,
      includePayload: !noPayloads, includeVector: vectors, explain: explain,
      using: using ?? "")
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
      let explanation = answer.explanations.first.flatMap { $0 }.map {
        ExplanationText.table($0)
      }
      guard !hits.isEmpty else {
        return "no records found in \(Figures.seconds(seconds))" + ModuleText.served(answer.modules)
          + (explanation ?? "")
      }
      let table = table(hits, fields)
      let coverage = answer.coverage
      let gaps =
        coverage.isFull ? "" : "; only \(coverage.shardsAnswered) of \(coverage.shardsTotal) shards answered"
      return table.text(width: Console.columns)
        + "\n\(hits.count) records in \(Figures.seconds(seconds))\(gaps)"
        + ModuleText.served(answer.modules) + (explanation ?? "")
    }
  }

  private func table(_ hits: [SearchHit], _ fields: FieldColumns?) -> Table {
    let payloads = hits.map { $0.payload ?? Payload() }
    let isGrouped = hits.contains { $0.group != nil }
    let isScored = hits.contains { $0.score != nil }
    var table = Table(
      columns: [("", .right)] + (isGrouped ? [("group", .left)] : []) + [("id", .left), ("distance", .right)]
        + (isScored ? [("score", .right)] : []) + RecordCells.columns(for: payloads, fields, vectors: vectors)
    )
    for (rank, hit) in hits.enumerated() {
      let group = isGrouped ? [hit.group?.json.text ?? ""] : []
      let score = isScored ? [hit.score.map { Figures.distance($0) } ?? ""] : []
      table.add(
        [String(rank + 1)] + group + [hit.id.text, Figures.distance(hit.distance)] + score
          + RecordCells.cells(hit.payload, hit.vector?.json, fields))
    }
    return table
  }

  private func json(_ answer: SearchAnswer, _ seconds: Double) -> JSON {
    .object([
      "hits": .array(
        answer.hits[0].map { hit in
          .object([
            "id": hit.id.json, "distance": JSON(hit.distance),
            "score": hit.score.map { JSON($0) }, "group": hit.group?.json,
            "payload": hit.payload?.json, "vector": hit.vector?.json,
          ])
        }),
      "modules": .array(
        answer.modules.map(\.json)),
      "coverage": .object([
        "shards_answered": JSON(Int(answer.coverage.shardsAnswered)),
        "shards_total": JSON(Int(answer.coverage.shardsTotal)),
      ]),
      "seconds": JSON(seconds),
      "explanation": answer.explanations.first.flatMap { $0 }.map(ExplanationText.json),
    ])
  }
}
