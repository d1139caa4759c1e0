// put, get, delete, count: records by id and by attribute.

import ArgumentParser
import Core
import Wire

struct PutCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "put", abstract: "Put one record, replacing the one with its id.",
    discussion: """
      A payload is a JSON object. What JSON has no type for is written {"$datetime": "2026-01-02T03:04:05Z"},
      {"$geo": [48.2, 16.37]} or {"$bytes": "base64"}.

      EXAMPLES
        roost put points 7 --vector '[0.1, 0.2, 0.3]' --payload '{"tag": "red", "size": 12}'
        roost put docs 1 --vector title='[0.1, 0.2]' --vector image='[3, -7, 1]'
        roost put packages editor-one --payload '{"description": "a small text editor"}'
        roost put photos 12 --file harbour.jpg --payload '{"place": "Oslo"}'
      """)

  @Argument(help: "The collection.") var collection: String
  @Argument(help: "The id. Digits alone are a number, the rest a key.") var id: String
  @Flag(help: "Take an id of digits as a key, too.") var keys = false
  @Option(
    name: .shortAndLong,
    help: ArgumentHelp(
      "The vector, a JSON array; not needed if the collection has an embedder. Once for each named vector.",
      valueName: "[name=]array"))
  var vector: [String] = []
  @Option(name: .shortAndLong, help: "The attributes, a JSON object.") var payload: String?
  @Option(
    name: .shortAndLong,
    help: "An image or other file for the collection's embedder; the file itself is not stored.")
  var file: String?
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    let id = try RecordID.parse(id, asKey: keys)
    let client = try await node.client()
    let schema = try await client.describe(collection).schema
    var record = PutRecord(id: id, vector: nil)
    for text in vector {
      let (name, vector) = try Vector.argument(text, schema)
      guard record.vectors[name] == nil else {
        throw RoostError(.invalidArgument, "two vectors for one field", at: "--vector")
      }
      record.vectors[name] = vector
    }
    if let payload {
      record.payload = try Payload(json: try JSON.argument(payload, "--payload"), at: "--payload")
    }
    if let file {
      record.source = .bytes(try InputFile.read(file, atMost: Limits.embedderBytesMax, what: "file"))
    }
    try schema.check(record, at: "record \(id.text)")
    let versions = try await client.put([record], into: collection)
    try output.printDone(
      .object(["id": id.json, "version": versions.first.map { .string("\($0.time)-\($0.node)") }]),
      "put \(id.text)")
  }
}

struct GetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "get", abstract: "Show records by id.",
    discussion: """
      Exit code 2 when one of them does not exist.

      EXAMPLES
        roost get points 7
        roost get packages editor-one editor-two --json --no-vectors
        roost get packages editor-one editor-two --fields section,summary
      """)

  @Argument(help: "The collection.") var collection: String
  @OptionGroup var identifiers: IdentifierArguments
  @Flag(help: "Leave the vectors out.") var noVectors = false
  @OptionGroup var fields: FieldOptions
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try validateName(collection, what: "collection")
    let ids = try identifiers.parsed()
    let fields = try fields.parsed()
    let found = try await node.client().get(ids, from: collection, includeVector: !noVectors)
    let records = found.compactMap { $0?.keeping(fields) }
    let missing = zip(ids, found).filter { $0.1 == nil }.map(\.0)
    try output.print(
      .object([
        "records": .array(records.map { $0.json(includeVector: !noVectors) }),
        "missing": .array(missing.map(\.json)),
      ])
    ) {
      guard let fields else {
        return records.map { $0.description(includeVector: !noVectors) }.joined(separator: "\n\n")
      }
      // A line has no room for a vector that nobody has asked for.
      return records.isEmpty ? "" : records.table(fields, vectors: false).text(width: Console.columns)
    }
    if !missing.isEmpty {
      throw RoostError(
        .notFound, "no record \(missing.map(\.text).joined(separator: ", "))", at: "collection \(collection)",
        remedy: "look around with `roost scan \(collection)`")
    }
  }
}

struct DeleteCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "delete", abstract: "Delete records by id.",
    discussion: """
      Exit code 2 when none of them existed.

      EXAMPLES
        roost delete points 7 8 9
        roost delete packages editor-one
      """)

  @Argument(help: "The collection.") var collection: String
  @OptionGroup var identifiers: IdentifierArguments
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try validateName(collection, what: "collection")
    let ids = try identifiers.parsed()
    let count = try await node.client().delete(ids, from: collection)
    try output.printDone(
      .object(["deleted": JSON(count), "missing": JSON(ids.count - count)]),
      "deleted \(Figures.count(count)) of \(Figures.count(ids.count)) records")
    if count == 0 { throw ExitCode(2) }
  }
}

struct CountCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "count", abstract: "Count records.",
    discussion: """
      EXAMPLES
        roost count packages
        roost count packages --filter 'section in ("games", "graphics")'
        roost count packages --filter 'description matches "image editor" and added >= 2026-01-31'
        roost count shops --filter 'place within 5 km of geo"48.2,16.37" and reviews[stars >= 4 and lang = "en"]'
      """)

  @Argument(help: "The collection.") var collection: String
  @OptionGroup var filter: FilterOption
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func run() async throws {
    try validateName(collection, what: "collection")
    let count = try await node.client().count(in: collection, filter: try filter.parsed())
    try output.print(.object(["count": JSON(count)])) { Figures.count(count) }
  }
}

/// The last columns of a table of records.
enum RecordCells {
  static func columns(
    for payloads: [Payload], _ fields: FieldColumns?, vectors: Bool
  ) -> [(String, Table.Alignment)] {
    guard let fields else { return [("payload", .left)] }
    return fields.columns(for: payloads) + (vectors ? [("vector", .left)] : [])
  }

  /// - Parameter vector: as JSON; nil when vectors are not to be shown.
  static func cells(_ payload: Payload?, _ vector: JSON?, _ fields: FieldColumns?) -> [String] {
    let vector = vector?.text
    guard let fields else { return [(vector.map { $0 + " " } ?? "") + (payload?.json.text ?? "")] }
    return fields.cells(payload ?? Payload(), areLast: vector == nil) + [vector].compactMap { $0 }
  }
}

extension [Record] {
  func table(_ fields: FieldColumns?, vectors: Bool) -> Table {
    var table = Table(
      columns: [("id", .left)] + RecordCells.columns(for: map(\.payload), fields, vectors: vectors))
    for record in self {
      table.add(
        [record.id.text] + RecordCells.cells(record.payload, vectors ? record.vectors.cell : nil, fields))
    }
    return table
  }
}

extension Record {
  /// The record with these fields of its payload; itself for nil.
  func keeping(_ fields: FieldColumns?) -> Record {
    guard let fields else { return self }
    var record = self
    record.payload = fields.keeping(payload)
    return record
  }

  func json(includeVector: Bool) -> JSON {
    let vectors = vectors.json
    return .object([
      "id": id.json, "vector": includeVector ? vectors.vector : nil,
      "vectors": includeVector ? vectors.vectors : nil, "payload": payload.json,
      "version": .string("\(version.time)-\(version.node)"),
    ])
  }

  /// A block of lines for people.
  func description(includeVector: Bool) -> String {
    var lines = ["id       \(Table.onOneLine(id.text))"]
    if includeVector {
      for entry in vectors {
        let vector = entry.vector
        let shown = vector.floats.prefix(8).map { "\($0)" }.joined(separator: ", ")
        let name = entry.name.isEmpty ? "vector  " : Table.onOneLine(entry.name)
        lines.append(
          "\(name) [\(shown)\(vector.dimension > 8 ? ", …" : "")] (\(vector.dimension) × \(vector.element.name))"
        )
      }
    }
    for (name, value) in payload.fields.sorted(by: { $0.key < $1.key }) {
      var text = value.json.text
      if case .string(let content) = value { text = content }
      lines.append("  \(Table.onOneLine(name)): \(Table.onOneLine(text))")
    }
    return lines.joined(separator: "\n")
  }
}

extension RecordVectors {
  /// For a table: the only vector, or all by name.
  fileprivate var cell: JSON? {
    count == 1 ? self[0].vector.json : .object(map { JSON.Member($0.name, $0.vector.json) })
  }
}

extension Vector {
  /// Reads a JSON array, with NAME= before it for a named vector.
  static func argument(
    _ text: String, _ schema: CollectionSchema
  ) throws(RoostError) -> (name: String, vector: Vector) {
    var (name, array) = ("", text)
    if let mark = text.firstIndex(of: "="), !text.hasPrefix("[") {
      name = String(text[..<mark])
      array = String(text[text.index(after: mark)...])
    }
    let field = schema.fields[try schema.index(ofField: name, at: "--vector")]
    return (
      name,
      try Vector(json: try JSON.argument(array, "--vector"), element: field.element, at: "--vector")
    )
  }
}
