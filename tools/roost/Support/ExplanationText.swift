// What `roost search --explain` shows.

import Core

enum ExplanationText {
  /// One line for each memtable and segment.
  static func table(_ explanation: SearchExplanation) -> String {
    var table = Table(
      ("source", .left), ("rows", .right), ("passing", .right), ("known by", .left), ("method", .left),
      ("scan/walk est.", .right), ("compared", .right), ("expanded", .right), ("reads", .right),
      ("µs", .right))
    for source in explanation.sources {
      table.add(
        source.name, Figures.count(source.rows),
        source.evidence == .unfiltered || source.evidence == .indexed
          ? Figures.count(source.passing) : "~" + Figures.count(source.passing),
        source.evidence.name, source.method.name,
        source.scanCost < 0 ? "–" : "\(Int(source.scanCost))/\(Int(source.walkCost)) µs",
        Figures.count(source.rowsCompared), Figures.count(source.nodesExpanded),
        Figures.count(source.pagesRead), Figures.count(source.micros))
    }
    return "\n\n" + table.text(width: Console.columns) + "\nin the engine: \(explanation.micros) µs"
  }

  static func json(_ explanation: SearchExplanation) -> JSON {
    .object([
      "micros": JSON(explanation.micros),
      "sources": .array(
        explanation.sources.map { source in
          .object([
            "name": .string(source.name), "rows": JSON(source.rows), "method": .string(source.method.name),
            "evidence": .string(source.evidence.name), "passing": JSON(source.passing),
            "effort": JSON(source.effort), "scan_cost": JSON(source.scanCost),
            "walk_cost": JSON(source.walkCost), "rows_compared": JSON(source.rowsCompared),
            "nodes_expanded": JSON(source.nodesExpanded), "pages_read": JSON(source.pagesRead),
            "micros": JSON(source.micros),
          ])
        }),
    ])
  }
}
