// Arguments that several commands share.

import ArgumentParser
import Core

struct FilterOption: ParsableArguments {
  @Option(
    name: .long,
    help: ArgumentHelp(
      "Only records that pass, such as 'size in 1..9 and not tag = \"x\"'.", valueName: "text"))
  var filter: String?

  /// Throws `.invalidArgument` with the text and a caret under the place of the error.
  func parsed() throws(RoostError) -> Filter? {
    guard let filter else { return nil }
    do {
      return try Filter(text: filter)
    } catch {
      guard let position = Filter.position(of: error) else { throw error }
      let lines = filter.split(separator: "\n", omittingEmptySubsequences: false)
      let caret = String(repeating: " ", count: position.character - 1) + "^"
      throw RoostError(
        error.kind, "\(error.message) (at \(error.place))\n  \(lines[position.line - 1])\n  \(caret)",
        remedy: error.remedy)
    }
  }
}

struct IdentifierArguments: ParsableArguments {
  @Argument(help: "Record ids. Digits alone are a number, the rest a key.")
  var ids: [String]

  @Flag(help: "Take ids of digits as keys, too.")
  var keys = false

  func parsed() throws(RoostError) -> [RecordID] {
    var parsed: [RecordID] = []
    for text in ids { parsed.append(try RecordID.parse(text, asKey: keys)) }
    return parsed
  }
}

extension RecordID {
  static func parse(_ text: String, asKey: Bool) throws(RoostError) -> RecordID {
    guard asKey else { return try RecordID(text: text) }
    let id = RecordID.key(text)
    try id.validate()
    return id
  }
}

extension JSON {
  /// Reads JSON that was given as an argument.
  static func argument(_ text: String, _ name: String) throws(RoostError) -> JSON {
    do {
      return try JSON(parsing: text)
    } catch {
      throw RoostError(
        .invalidArgument, "\(error.message), \(error.place)", at: name,
        remedy: "put the JSON into single quotes")
    }
  }
}

extension CollectionSchema {
  var json: [JSON.Member] {
    var members =
      isUnnamed
      ? fields[0].json
      : [
        JSON.Member(
          "vectors",
          .array(
            fields.map { field in
              .object([JSON.Member("name", .string(field.name))] + field.json)
            }))
      ]
    members.append(JSON.Member("layout", .string(layout.name)))
    members.append(JSON.Member("recall", JSON(recall.share)))
    if let embedder {
      let filled = isUnnamed ? nil : JSON.string(embedder.vectorField)
      members.append(
        JSON.Member(
          "embedder",
          .object([
            "module": .string(embedder.module), "text_field": .string(embedder.sourceField),
            "vector_field": filled,
          ])))
    }
    switch indexing {
    case .all: members.append(JSON.Member("index", .string("all")))
    case .none: members.append(JSON.Member("index", .string("none")))
    case .fields(let fields): members.append(JSON.Member("index", .array(fields.map { .string($0) })))
    }
    if !transforms.isEmpty {
      members.append(
        JSON.Member(
          "transforms",
          .array(
            transforms.map {
              .object(["module": .string($0.module), "parameters": $0.parameters.json])
            })))
    }
    return members
  }

  /// Whether the only vector has no name.
  var isUnnamed: Bool { fields.count == 1 && fields[0].name.isEmpty }

  /// The vectors in a few words.
  var vectorsText: String {
    isUnnamed
      ? "\(element.name) vectors of dimension \(dimension), metric \(metric.name)"
      : fields.map {
        "\($0.name.isEmpty ? "(unnamed)" : $0.name) \($0.dimension) × \($0.element.name) \($0.metric.name)"
      }
      .joined(separator: ", ")
  }
}

extension VectorField {
  fileprivate var json: [JSON.Member] {
    [
      JSON.Member("dimension", JSON(dimension)), JSON.Member("element", .string(element.name)),
      JSON.Member("metric", .string(metric.name)), JSON.Member("degree", JSON(degree)),
      JSON.Member("build_effort", JSON(buildEffort)),
    ]
  }

  /// Reads NAME:DIMENSION[:ELEMENT[:METRIC[:DEGREE]]].
  init(text: String) throws(RoostError) {
    let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
    func refuse(_ message: String) -> RoostError {
      RoostError(
        .invalidArgument, "\(message) in '\(text)'", at: "--vector",
        remedy: "write NAME:DIMENSION[:ELEMENT[:METRIC[:DEGREE]]], such as title:384:f32:cosine")
    }
    guard (2...5).contains(parts.count) else { throw refuse("\(parts.count) parts") }
    guard let dimension = Int(parts[1]) else { throw refuse("'\(parts[1])' is no dimension") }
    var element = VectorElement.f32
    if parts.count > 2 {
      guard let named = VectorElement(name: parts[2].lowercased()) else {
        throw refuse("'\(parts[2])' is no type of elements")
      }
      element = named
    }
    var metric: Metric?
    if parts.count > 3 {
      guard let named = Metric(name: parts[3].lowercased()) else {
        throw refuse("'\(parts[3])' is no metric")
      }
      metric = named
    }
    var degree = 32
    if parts.count > 4 {
      guard let number = Int(parts[4]) else { throw refuse("'\(parts[4])' is no degree") }
      degree = number
    }
    self.init(name: parts[0], dimension: dimension, element: element, metric: metric, degree: degree)
  }
}
