// --fields: some of the payload instead of all of it, as columns for people.

import ArgumentParser
import Core

struct FieldOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "Show only these payload fields, such as name,summary; a.b is inside the map a.", valueName: "names"))
  var fields: String?

  /// Nil when the whole payload is to be shown. Throws `.invalidArgument` for an empty or malformed name.
  func parsed() throws(RoostError) -> FieldColumns? {
    guard let fields else { return nil }
    var paths: [FieldPath] = []
    for text in fields.split(separator: ",", omittingEmptySubsequences: false) {
      let name = String(text.trimmingPrefix(" "))
      do throws(RoostError) { paths.append(try FieldPath(name)) } catch {
        throw RoostError(
          .invalidArgument, "'\(name)' is no name of a field: \(error.message)", at: "--fields",
          remedy: "write names with commas between them, such as --fields name,summary")
      }
    }
    return FieldColumns(paths: paths)
  }
}

/// The fields to show, in order.
struct FieldColumns {
  /// The last column of a table takes what room there is; the others are cut here.
  private static let charactersMax = 40

  let paths: [FieldPath]

  /// The payload without its other fields.
  func keeping(_ payload: Payload) -> Payload {
    var kept: [String: Value] = [:]
    for path in paths { FieldColumns.copy(path.names[...], from: payload.fields, to: &kept) }
    return Payload(kept)
  }

  private static func copy(
    _ names: ArraySlice<String>, from source: [String: Value], to target: inout [String: Value]
  ) {
    guard let name = names.first, let value = source[name] else { return }
    let inner = names.dropFirst()
    guard !inner.isEmpty else {
      target[name] = value
      return
    }
    guard case .map(let map) = value else { return }
    var kept: [String: Value] = [:]
    if case .map(let before)? = target[name] { kept = before }
    copy(inner, from: map, to: &kept)
    if !kept.isEmpty { target[name] = .map(kept) }
  }

  /// Titles and alignments for `payloads`; columns of numbers are aligned as such.
  func columns(for payloads: [Payload]) -> [(String, Table.Alignment)] {
    paths.map { path in
      let values = payloads.compactMap { FieldColumns.value($0, path) }
      let areNumbers = values.allSatisfy { value in
        switch value {
        case .int, .double: true
        default: false
        }
      }
      return (path.text, areNumbers && !values.isEmpty ? .right : .left)
    }
  }

  /// One cell per column; empty where the field is missing.
  /// - Parameter areLast: whether the table ends with them.
  func cells(_ payload: Payload, areLast: Bool) -> [String] {
    paths.enumerated().map { (index, path) in
      guard let value = FieldColumns.value(payload, path) else { return "" }
      var text = value.json.text
      if case .string(let content) = value { text = content }
      let isLast = areLast && index == paths.count - 1
      guard !isLast, text.count > FieldColumns.charactersMax else { return text }
      return text.prefix(FieldColumns.charactersMax - 1) + "…"
    }
  }

  private static func value(_ payload: Payload, _ path: FieldPath) -> Value? {
    var value: Value = .map(payload.fields)
    for name in path.names {
      guard case .map(let map) = value, let inner = map[name] else { return nil }
      value = inner
    }
    return value
  }
}
