// Columns for people.

/// A table of text; columns are as wide as they must be.
struct Table {
  enum Alignment {
    case left, right
  }

  private let titles: [String]
  private let alignments: [Alignment]
  private var rows: [[String]] = []

  init(_ columns: (String, Alignment)...) { self.init(columns: columns) }

  init(columns: [(String, Alignment)]) {
    titles = columns.map(\.0)
    alignments = columns.map(\.1)
  }

  mutating func add(_ cells: String...) { add(cells) }

  mutating func add(_ cells: [String]) {
    precondition(cells.count == titles.count)
    rows.append(cells.map(Table.onOneLine))
  }

  /// Lines without trailing space; the last column is cut where a line would exceed `width`.
  func text(width: Int) -> String {
    let all = [titles.map { $0.uppercased() }] + rows
    let widths = titles.indices.map { column in all.map { $0[column].count }.max() ?? 0 }
    return all.map { cells in
      var line = ""
      for (column, cell) in cells.enumerated() {
        if column > 0 { line += "  " }
        if column == cells.count - 1, alignments[column] == .left {
          let room = max(10, width - line.count)
          line += cell.count > room ? cell.prefix(room - 1) + "…" : cell
        } else {
          let padding = String(repeating: " ", count: widths[column] - cell.count)
          line += alignments[column] == .left ? cell + padding : padding + cell
        }
      }
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }.joined(separator: "\n")
  }

  /// Stored text may hold anything; control characters must not reach the terminal.
  static func onOneLine(_ text: String) -> String {
    guard text.unicodeScalars.contains(where: { $0.properties.generalCategory == .control }) else {
      return text
    }
    return String(
      String.UnicodeScalarView(
        text.unicodeScalars.map { $0.properties.generalCategory == .control ? " " : $0 }))
  }
}
