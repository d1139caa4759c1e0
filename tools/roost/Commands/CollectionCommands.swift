// create, drop, list, stats: collections as a whole.

import ArgumentParser
import Core
import Wire

struct CreateCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "create", abstract: "Create a collection.",
    discussion: """
      EXAMPLES
        roost create images --dimension 512 --metric cosine
        roost create codes --dimension 128 --element u8
        roost create prints --dimension 1024 --element binary
        roost create archive --dimension 384 --metric cosine --layout compact --recall 0.95
        roost create docs --vector title:384:f32:cosine --vector image:512:i8:l2
        roost create packages --dimension 256 --metric cosine --embedder ngrams --text-field description
        roost create logs --dimension 64 --index level,host,time
        roost create notes --dimension 384 --embedder minilm --text-field text --transform 'language={"field": "text"}'
      """)

  @Argument(help: "The name: letters, digits, '-', '_' and '.'.")
  var name: String
  @Option(
    name: .shortAndLong, help: "Elements of a vector, bits of a binary one: 1 to \(Limits.dimensionMax).")
  var dimension: Int?
  @Option(
    help: ArgumentHelp(
      "A named vector instead of --dimension; more than one may be given.",
      valueName: "name:dimension[:element[:metric[:degree]]]"))
  var vector: [String] = []
  @Option(help: "Type of the elements.")
  var element = ElementChoice.f32
  @Option(name: .shortAndLong, help: "How distance is measured; without it, l2, or hamming for bits.")
  var metric: MetricChoice?
  @Option(help: "What the graph may take on disk.")
  var layout = LayoutChoice.fast
  @Option(help: "Share of the true nearest that searches aim for, 0.5 to 0.999.")
  var recall = RecallTarget.standard.share
  @Option(help: "Neighbours of a graph node: 32, or 64 for hard data.")
  var degree = 32
  @Option(help: "Candidates looked at when a vector is linked into the graph, 16 to 1000.")
  var buildEffort = 100
  @Option(help: "Module that turns text, images or other bytes into vectors.")
  var embedder: String?
  @Option(help: "Payload field with the text, or the bytes, for the embedder.")
  var textField: String?
  @Option(
    help: ArgumentHelp(
      "Payload fields to index for filters: all, none, or names with commas between them.",
      valueName: "fields"))
  var index = IndexChoice(indexing: .all)
  @Option(help: "Named vector that the embedder makes; without it, the first.")
  var embedInto: String?
  @Option(
    help: ArgumentHelp(
      "A module that derives attributes of what is put, and its parameters; may be repeated.",
      valueName: "module[={json}]"))
  var transform: [String] = []
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard (embedder == nil) == (textField == nil) else {
      throw ValidationError("--embedder and --text-field go together")
    }
    guard embedInto == nil || embedder != nil else { throw ValidationError("--embed-into needs --embedder") }
    guard (dimension == nil) != vector.isEmpty else {
      throw ValidationError("say either --dimension, or --vector once or more")
    }
    guard vector.isEmpty || metric == nil && element == .f32 && degree == 32 else {
      throw ValidationError("type, metric and degree of a named vector are part of --vector")
    }
  }

  func run() async throws {
    var fields: [VectorField] = []
    if let dimension {
      fields = [
        VectorField(dimension: dimension, element: element.element, metric: metric?.metric, degree: degree)
      ]
    }
    for text in vector { fields.append(try VectorField(text: text)) }
    for index in fields.indices { fields[index].buildEffort = buildEffort }
    let schema = CollectionSchema(
      fields: fields, layout: layout.layout, recall: RecallTarget(share: recall),
      embedder: embedder.flatMap { module in
        textField.map {
          EmbedderReference(module: module, sourceField: $0, vectorField: embedInto ?? fields[0].name)
        }
      }, indexing: index.indexing, transforms: try transforms())
    try await node.client().createCollection(name, schema: schema)
    try output.printDone(
      .object([JSON.Member("created", .string(name))] + schema.json),
      "created '\(name)': \(schema.vectorsText)")
  }

  private func transforms() throws(RoostError) -> [TransformReference] {
    var transforms: [TransformReference] = []
    for text in transform {
      guard let mark = text.firstIndex(of: "=") else {
        transforms.append(TransformReference(module: text))
        continue
      }
      let json = try JSON.argument(String(text[text.index(after: mark)...]), "--transform")
      transforms.append(
        TransformReference(
          module: String(text[..<mark]), parameters: try Payload(json: json, at: "--transform")))
    }
    return transforms
  }
}

struct DropCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "drop", abstract: "Delete a collection with all its records.",
    discussion: """
      Asks on a terminal; elsewhere --yes is required.

      EXAMPLES
        roost drop images
        roost drop images --yes
      """)

  @Argument(help: "The collection.") var name: String
  @Flag(name: .shortAndLong, help: "Do not ask.") var yes = false
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let client = try await node.client()
    let found = try await client.describe(name)
    if !yes {
      guard Console.isInputTerminal else {
        throw RoostError(
          .invalidArgument, "nobody can be asked", at: "drop", remedy: "pass --yes to drop '\(name)'")
      }
      Console.errorPart("Delete '\(name)' with \(Figures.count(Int(found.liveRecords))) records? [y/N] ")
      guard let answer = readLine(), ["y", "yes"].contains(answer.lowercased()) else {
        throw RoostError(.cancelled, "nothing was deleted")
      }
    }
    try await client.dropCollection(name)
    try output.printDone(
      .object(["dropped": .string(name), "records": JSON(found.liveRecords)]),
      "dropped '\(name)' with \(Figures.count(Int(found.liveRecords))) records")
  }
}

struct ListCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "list", abstract: "List the collections of a node.",
    discussion: """
      EXAMPLES
        roost list
        roost list --json
      """)

  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let collections = try await node.client().listCollections()
    let json = collections.map { collection in
      JSON.object(
        [JSON.Member("name", .string(collection.name)), JSON.Member("records", JSON(collection.liveRecords))]
          + collection.schema.json)
    }
    try output.print(.object(["collections": .array(json)])) {
      guard !collections.isEmpty else { return "no collections; create one with `roost create`" }
      var table = Table(
        ("name", .left), ("records", .right), ("dimension", .right), ("element", .left), ("metric", .left),
        ("embedder", .left))
      for collection in collections {
        let schema = collection.schema
        func each(_ text: (VectorField) -> String) -> String {
          schema.fields.map { ($0.name.isEmpty ? "" : $0.name + " ") + text($0) }.joined(separator: ", ")
        }
        table.add(
          collection.name, Figures.count(Int(collection.liveRecords)), each { String($0.dimension) },
          schema.fields.map(\.element.name).joined(separator: ", "),
          schema.fields.map(\.metric.name).joined(separator: ", "),
          schema.embedder.map { "\($0.module) on \($0.sourceField)" } ?? "–")
      }
      return table.text(width: Console.columns)
    }
  }
}

struct StatsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "stats", abstract: "Show figures of the node or of a collection.",
    discussion: """
      EXAMPLES
        roost stats
        roost stats images --json
      """)

  @Argument(help: "The collection; without it, the node.") var collection: String?
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    if let collection { try validateName(collection, what: "collection") }
    let stats = try await node.client().stats(of: collection)
    try output.print(stats.json) {
      var table = Table(("figure", .left), ("value", .left))
      for (name, value) in StatsCommand.flatten(stats.fields, "") { table.add(name, value) }
      return table.text(width: Console.columns)
    }
  }

  private static func flatten(_ fields: [String: Value], _ prefix: String) -> [(String, String)] {
    fields.sorted { $0.key < $1.key }.flatMap { name, value in
      switch value {
      case .map(let inner): return flatten(inner, prefix + name + ".")
      case .int(let number): return [(prefix + name, Figures.count(Int(number)))]
      case .double(let number): return [(prefix + name, Figures.decimal(number, 3))]
      case .string(let text): return [(prefix + name, text)]
      default: return [(prefix + name, value.json.text)]
      }
    }
  }
}
