// What a search is near, and which of the records near it are wanted, as options of `roost search`.

import ArgumentParser
import Core
import Storage

/// A vector, a record, a text, a file, or examples of records.
struct TargetOptions: ParsableArguments {
  @Option(name: .shortAndLong, help: "Search near this vector, a JSON array.") var vector: String?
  @Option(help: "Search near a row of this vector file.") var vectorFile: String?
  @Option(help: "The row of --vector-file.") var row = 0
  @Option(help: "Search near the vector of this record.") var id: String?
  @Option(name: .shortAndLong, help: "Search near this text; the collection must have an embedder.")
  var text: String?
  @Option(help: "Search near this image or other file; the collection's embedder must take bytes.")
  var file: String?
  @Option(
    help: ArgumentHelp(
      "An example of what is wanted: a record, or a vector as a JSON array; may be repeated.",
      valueName: "example"))
  var like: [String] = []
  @Option(help: ArgumentHelp("An example of what is not wanted; may be repeated.", valueName: "example"))
  var unlike: [String] = []
  @Option(
    help: ArgumentHelp(
      "What --like and --unlike mean: one search near twice the average of the wanted less that of the "
        + "unwanted (average-vector), or each record compared with every example (best-score)."))
  var strategy = StrategyChoice.averageVector

  enum StrategyChoice: String, ExpressibleByArgument, CaseIterable {
    case averageVector = "average-vector"
    case bestScore = "best-score"
  }

  func validate() throws {
    let hasExamples = !like.isEmpty || !unlike.isEmpty
    guard [vector, vectorFile, id, text, file].compactMap({ $0 }).count + (hasExamples ? 1 : 0) == 1 else {
      throw ValidationError(
        "say what to search near: one of --vector, --vector-file, --id, --text, --file, or --like and --unlike"
      )
    }
    guard row >= 0 else { throw ValidationError("--row must not be negative") }
  }

  func parsed(
    _ schema: CollectionSchema, _ field: VectorField, _ collection: String, _ runtime: Runtime
  ) async throws(RoostError) -> SearchTarget {
    if text != nil || file != nil {
      guard schema.embedder != nil else {
        throw RoostError(
          .invalidArgument, "the collection has no embedder for texts or files",
          at: "collection \(collection)",
          remedy: "search with --vector or --id")
      }
    }
    if let text { return .text(text) }
    if let file { return .bytes(try InputFile.read(file, atMost: Limits.embedderBytesMax, what: "file")) }
    if let id { return .record(try RecordID(text: id)) }
    if let vectorFile { return .vector(try await vectorFromFile(vectorFile, field, runtime)) }
    if let vector { return .vector(try TargetOptions.vector(vector, "--vector", field)) }
    var examples = Recommendation(positive: [], strategy: .averageVector)
    if strategy == .bestScore { examples.strategy = .bestScore }
    for text in like { examples.positive.append(try TargetOptions.example(text, "--like", field)) }
    for text in unlike { examples.negative.append(try TargetOptions.example(text, "--unlike", field)) }
    return .recommend(examples)
  }

  private static func example(
    _ text: String, _ option: String, _ field: VectorField
  ) throws(RoostError) -> SearchPoint {
    text.hasPrefix("[") ? .vector(try vector(text, option, field)) : .record(try RecordID(text: text))
  }

  private static func vector(
    _ text: String, _ option: String, _ field: VectorField
  ) throws(RoostError) -> Vector {
    let vector = try Vector(json: try JSON.argument(text, option), element: field.element, at: option)
    try field.validate(vector)
    return vector
  }

  private func vectorFromFile(
    _ path: String, _ field: VectorField, _ runtime: Runtime
  ) async throws(RoostError) -> Vector {
    let reader = try await VectorFileReader.open(path, files: runtime.files)
    try reader.seek(toRow: row)
    let rows = try await reader.next(1)
    await reader.close()
    guard let rows else {
      throw RoostError(
        .invalidArgument, "the file has \(reader.count) rows, there is no row \(row)", at: path)
    }
    let found = rows.vector(0).fitted(to: field)
    try field.validate(found)
    return found
  }
}

/// The nearest, all within a radius, a varied choice, or the nearest of each group.
struct FormOptions: ParsableArguments {
  @Option(
    name: .shortAndLong, help: "How many neighbours (with --group-by: groups), 1 to \(Limits.kMax).")
  var k = 10
  @Option(help: "All records at this distance or less, nearest first.") var radius: Float?
  @Option(help: "At most so many of those within --radius, 1 to \(Limits.kMax).") var limit: Int?
  @Option(
    help: ArgumentHelp(
      "Choose hits that are unlike each other: 0 goes by nearness alone, 1 by variety alone.",
      valueName: "0...1"))
  var diversity: Float?
  @Option(help: "With --diversity: choose from so many of the nearest, k to \(Limits.diverseCandidatesMax).")
  var candidates: Int?
  @Option(help: ArgumentHelp("The nearest of each value of this payload field.", valueName: "field"))
  var groupBy: String?
  @Option(help: "With --group-by: hits of each group.") var groupSize: Int?

  func validate() throws {
    let forms = [radius != nil, diversity != nil, groupBy != nil].count { $0 }
    guard forms <= 1 else {
      throw ValidationError("--radius, --diversity and --group-by exclude each other")
    }
    guard radius != nil || limit == nil else { throw ValidationError("--limit needs --radius") }
    guard diversity != nil || candidates == nil else {
      throw ValidationError("--candidates needs --diversity")
    }
    guard groupBy != nil || groupSize == nil else { throw ValidationError("--group-size needs --group-by") }
  }

  var parsed: SearchForm {
    if let radius { return .range(radius: radius, limit: limit ?? 1_000) }
    if let diversity { return .diverse(k: k, lambda: 1 - diversity, candidates: candidates) }
    if let groupBy { return .grouped(field: groupBy, groups: k, groupSize: groupSize ?? 1) }
    return .nearest(k: k)
  }
}
