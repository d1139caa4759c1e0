// scan: records in the order of their ids or of a field.

import ArgumentParser
import Core
import Wire

struct ScanCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "scan", abstract: "List records in ascending order of id, or in the order of a field.",
    discussion: """
      With --order-by, records without a value of the field come last. To go on where a scan stopped, give
      the id and the value that it names.

      EXAMPLES
        roost scan packages --limit 5 --fields section,summary
        roost scan packages --filter 'section = "games" and size < 100' --after abuse
        roost scan packages --order-by size --descending --limit 10 --fields size,summary
        roost scan packages --order-by size --descending --after warsow-data --after-value 1048576
      """)

  @Argument(help: "The collection.") var collection: String
  @OptionGroup var filter: FilterOption
  @Option(help: "Records to list at most.") var limit = 20
  @Option(help: "Order by this field, such as size or author.name.") var orderBy: String?
  @Flag(help: "With --order-by: greatest values first.") var descending = false
  @Option(help: "Begin behind this id.") var after: String?
  @Option(
    help: "With --order-by and --after: the value of that record, as JSON; leave it out if it has none.")
  var afterValue: String?
  @Flag(help: "Show the vectors, too.") var vectors = false
  @OptionGroup var fields: FieldOptions
  @OptionGroup var node: NodeOptions
  @OptionGroup var output: OutputOptions

  func validate() throws {
    guard limit > 0 else { throw ValidationError("--limit must be positive") }
    guard orderBy != nil || !descending else { throw ValidationError("--descending needs --order-by") }
    guard afterValue == nil || (orderBy != nil && after != nil) else {
      throw ValidationError("--after-value needs --order-by and --after")
    }
  }

  func run() async throws {
    try validateName(collection, what: "collection")
    let filter = try filter.parsed()
    let fields = try fields.parsed()
    let start = try cursor()
    var records: [Record] = []
    var next: ScanCursor?
    let client = try await node.client()
    let pages =
      if let orderBy {
        client.scan(
          collection, orderedBy: ScanOrder(try FieldPath(orderBy), descending: descending), after: start,
          limit: limit, filter: filter, includeVector: vectors)
      } else {
        client.scan(collection, after: start?.id, limit: limit, filter: filter, includeVector: vectors)
      }
    for try await page in pages {
      records += page.records.map { $0.keeping(fields) }
      next = page.next
    }
    try output.print(
      .object([
        "records": .array(records.map { $0.json(includeVector: vectors) }), "next": json(next),
      ])
    ) {
      guard !records.isEmpty else { return "no records" }
      return records.table(fields, vectors: vectors).text(width: Console.columns) + hint(next)
    }
  }

  private func cursor() throws(RoostError) -> ScanCursor? {
    guard let after else { return nil }
    let id = try RecordID(text: after)
    guard let afterValue else { return ScanCursor(id: id) }
    return ScanCursor(
      id: id, value: try Value(json: try JSON.argument(afterValue, "--after-value"), at: "--after-value"))
  }

  /// The id, or with an order the id and the value.
  private func json(_ next: ScanCursor?) -> JSON {
    guard let next else { return .null }
    guard orderBy != nil else { return next.id.json }
    return .object(["id": next.id.json, "value": next.value?.json])
  }

  private func hint(_ next: ScanCursor?) -> String {
    guard let next else { return "" }
    let value = next.value.map { " --after-value '\($0.json.text)'" } ?? ""
    return "\n… more with --after \(next.id.text)\(value)"
  }
}
