// facet: what the values of fields are under a filter.

import ArgumentParser
import Core
import Wire

struct FacetCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "facet", abstract: "Count the values of fields.",
    discussion: """
      Counts are exact. A record counts once for each different value that it holds; of an array every
      element is a value.

      EXAMPLES
        roost facet packages section --top 5
        roost facet packages section tags --filter 'size > 1000'
        roost facet packages --numbers size --interval 10000
        roost facet events kind --dates seen --date-interval 86400 --json
      """)

  @Argument(help: "The collection.") var collection: String
  @Argument(help: "Fields whose values to count, such as section or author.name.") var fields: [String] = []
  @OptionGroup var filter: FilterOption
  @Option(help: "Values to show of each field, the most frequent first.") var top = 10
  @Option(help: ArgumentHelp("Bounds of the numbers of this field; may be repeated.", valueName: "field"))
  var numbers: [String] = []
  @Option(help: "With --numbers: also a histogram with steps of this width.") var interval: Double?
  @Option(help: ArgumentHelp("Bounds of the datetimes of this field; may be repeated.", valueName: "field"))
  var dates: [String] = []
  @Option(
    help: ArgumentHelp("With --dates: also a histogram with steps of so many seconds.", valueName: "seconds"))
  var dateInterval: Double?
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard !(fields + numbers + dates).isEmpty else {
      throw ValidationError("name a field to count, or use --numbers or --dates")
    }
    guard interval ?? 1 > 0, dateInterval ?? 1 > 0 else {
      throw ValidationError("an interval must be positive")
    }
    guard interval == nil || !numbers.isEmpty else { throw ValidationError("--interval needs --numbers") }
    guard dateInterval == nil || !dates.isEmpty else {
      throw ValidationError("--date-interval needs --dates")
    }
  }

  func run() async throws {
    try validateName(collection, what: "collection")
    var facets: [Facet] = []
    for field in fields { facets.append(Facet(try FieldPath(field), .values(top: top))) }
    for field in numbers { facets.append(Facet(try FieldPath(field), .numbers(interval: interval ?? 0))) }
    for field in dates { facets.append(Facet(try FieldPath(field), .datetimes(interval: dateInterval ?? 0))) }
    let query = FacetQuery(facets, filter: try filter.parsed())
    let outcome = try await node.client().facet(query, in: collection)
    let answers = Array(zip(facets, outcome.answers))
    try output.print(
      .object([
        "matched": JSON(outcome.matched),
        "facets": .array(answers.map { FacetCommand.json($0.path.text, $1) }),
      ])
    ) {
      (["\(Figures.count(outcome.matched)) records"]
        + answers.map { FacetCommand.text($0.path.text, $1) }).joined(separator: "\n\n")
    }
  }

  private static func json(_ field: String, _ answer: FacetAnswer) -> JSON {
    switch answer {
    case .values(let distinct, let top):
      .object([
        "field": .string(field), "distinct": JSON(distinct),
        "values": .array(top.map { .object(["value": $0.value.json, "count": JSON($0.count)]) }),
      ])
    case .bounds(let count, let least, let greatest, let histogram):
      .object([
        "field": .string(field), "count": JSON(count), "least": least?.json ?? .null,
        "greatest": greatest?.json ?? .null,
        "histogram": .array(histogram.map { .object(["from": $0.value.json, "count": JSON($0.count)]) }),
      ])
    }
  }

  private static func text(_ field: String, _ answer: FacetAnswer) -> String {
    let name = Table.onOneLine(field)
    switch answer {
    case .values(let distinct, let top):
      let head = "\(name): \(Figures.count(distinct)) different values"
      return top.isEmpty ? head : head + "\n" + table(top, "value")
    case .bounds(let count, let least?, let greatest?, let histogram):
      let head = "\(name): \(Figures.count(count)) values from \(text(least)) to \(text(greatest))"
      return histogram.isEmpty ? head : head + "\n" + table(histogram, "from")
    case .bounds: return "\(name): no values"
    }
  }

  private static func table(_ counts: [ValueCount], _ title: String) -> String {
    var table = Table(columns: [("count", .right), (title, .left)])
    for count in counts { table.add([Figures.count(count.count), text(count.value)]) }
    return table.text(width: Console.columns)
  }

  private static func text(_ value: Value) -> String {
    switch value {
    case .string(let text): Table.onOneLine(text)
    case .datetime(let micros): DatetimeText.format(micros)
    default: value.json.text
    }
  }
}
