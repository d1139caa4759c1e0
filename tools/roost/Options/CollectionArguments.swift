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
    var members = [
      JSON.Member("dimension", JSON(dimension)), JSON.Member("element", .string(element.name)),
      JSON.Member("metric", .string(metric.name)), JSON.Member("degree", JSON(degree)),
      JSON.Member("build_effort", JSON(buildEffort)), JSON.Member("layout", .string(layout.name)),
      JSON.Member("recall", JSON(recall.share)),
    ]
    if let embedder {
      members.append(
        JSON.Member(
          "embedder",
          .object(["module": .string(embedder.module), "text_field": .string(embedder.sourceField)])))
    }
    switch indexing {
    case .all: members.append(JSON.Member("index", .string("all")))
    case .none: members.append(JSON.Member("index", .string("none")))
    case .fields(let fields): members.append(JSON.Member("index", .array(fields.map { .string($0) })))
    }
    return members
  }
}
