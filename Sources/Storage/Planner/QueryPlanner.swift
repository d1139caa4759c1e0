// Chooses how a source is searched, from how many rows pass the filter and what scans and walks cost there.
// A pure function; the constants were measured, `spec/decisions/008-filtered-search.md`.

import Core

/// What the planner must know about a source.
struct SourceTraits: Sendable, Equatable {
  var rows: Int
  var vectorBytes: Int
  var degree: Int
  /// Nil when the vectors are in memory; else the rows that one read brings.
  var rowsPerRead: Int?
  /// Bytes of a row's codes where rows can be ranked by them.
  var codeBytes: Int?
  /// Whether the neighbours of a row are ranked by links.
  var hasLinks = false
}

/// What is known about the rows that pass.
struct PassingRows: Sendable, Equatable {
  var evidence: SearchExplanation.Evidence
  /// Rows that the indexes name, or all.
  var named: Int
  /// Expected share of these that passes.
  var share: Double

  var expected: Double { Double(named) * share }
  var isNamed: Bool { evidence == .indexed || evidence == .indexedAndSampled }
}

struct QueryPlanner: Sendable {
  // Microseconds on the machine of the benchmarks; only their ratios matter.
  private static let compare = 0.008
  private static let compareByte = 0.00006
  /// Rows that lie side by side are compared in this share of the time.
  private static let inOrder = 0.6
  private static let list = 0.1
  private static let bridge = 0.05
  private static let evaluate = 0.15
  private static let read = 12.0
  private static let codeCompare = 0.004
  private static let codeCompareByte = 0.00007
  /// With links: an expansion in a walk over rows that pass, a bridge, the rows behind bridges.
  private static let linkedExpansion = 1.0
  private static let linkedBridge = 0.16
  private static let rankBehind = 0.3
  private static let seeding = 14.0
  /// With links: an expansion in a walk over all rows.
  private static let linkedAnyExpansion = 0.5
  /// Nodes expanded for each candidate kept, and rows met first at each of them.
  private static let expansionsPerEffort = 1.3
  private static let freshPerNode = 10.0
  private static let linkedExpansionsPerEffort = 0.75
  /// Rows in a run that searches by page reads make do with a third of the effort.
  private static let pagedEffortShare = 3.0

  struct Choice: Sendable, Equatable {
    var method: SearchExplanation.Method
    /// Microseconds; negative when not considered.
    var scanCost = -1.0
    var walkCost = -1.0
  }

  /// - Parameter exact: the query asks for an exact answer.
  static func choose(_ source: SourceTraits, _ passing: PassingRows, k: Int, effort: Int, exact: Bool)
    -> Choice
  {
    if passing.named == 0 { return Choice(method: .nothing) }
    let scan: SearchExplanation.Method = passing.isNamed ? .indexedScan : .scan
    if exact { return Choice(method: scan) }
    let isMapped = source.rowsPerRead == nil
    let walk: SearchExplanation.Method = passing.isNamed && isMapped ? .filteredGraph : .graph
    var choice = Choice(
      method: walk, scanCost: scanCost(source, passing),
      walkCost: walkCost(source, passing, effort: max(k, effort), method: walk))
    if choice.scanCost <= choice.walkCost { choice.method = scan }
    if passing.isNamed && source.codeBytes != nil {
      let coded = codedCost(source, passing, k: k)
      if coded < min(choice.scanCost, choice.walkCost) {
        choice.method = .codedScan
        choice.scanCost = coded
      }
    }
    // A walk that must find nearly all rows that pass finds some of them late.
    let isNarrow = passing.evidence != .unfiltered && passing.expected <= Double(max(4 * k, 64))
    if isNarrow { choice.method = scan }
    return choice
  }

  /// Rows that a coded scan reads: by 4-bit codes the `k` nearest are nearly always among the first 4 k.
  static func codedKeep(_ passing: PassingRows, k: Int) -> Int {
    let wanted = Double(max(4 * k, 32)) / max(passing.share, 1e-3)
    return min(max(passing.named, k), Int(wanted.rounded(.up)))
  }

  /// The effort of a walk over the rows that pass. Where two steps lead to fewer rows than are wanted at each
  /// (`LinkedFilteredSearch`), walks end early for want of ways, and more of them make up for it.
  static func linkedEffort(_ effort: Int, share: Double, degree: Int) -> Int {
    share * Double(degree) < 1.5 ? 2 * effort : effort
  }

  private static func codedCost(_ source: SourceTraits, _ passing: PassingRows, k: Int) -> Double {
    let one =
      source.rowsPerRead == nil ? compare + Double(source.vectorBytes) * compareByte : read
    return Double(passing.named) * (codeCompare + Double(source.codeBytes ?? 0) * codeCompareByte)
      + Double(codedKeep(passing, k: k)) * one
  }

  private static func scanCost(_ source: SourceTraits, _ passing: PassingRows) -> Double {
    let rows = Double(passing.named)
    guard let rowsPerRead = source.rowsPerRead else {
      let one = compare + Double(source.vectorBytes) * compareByte
      return rows * (passing.isNamed ? one : one * inOrder)
    }
    return min(rows, Double(source.rows) / Double(rowsPerRead)) * read
  }

  private static func walkCost(
    _ source: SourceTraits, _ passing: PassingRows, effort: Int, method: SearchExplanation.Method
  ) -> Double {
    let namedShare = Double(passing.named) / Double(max(source.rows, 1))
    if source.hasLinks {
      let expansions = Double(effort) * linkedExpansionsPerEffort
      guard method == .filteredGraph else {
        let share = max(passing.expected / Double(max(source.rows, 1)), 1e-9)
        let tried = passing.evidence == .unfiltered || passing.evidence == .indexed ? 0 : evaluate
        return min(expansions / share, Double(source.rows)) * (linkedAnyExpansion + tried)
      }
      let walks = Double(linkedEffort(effort, share: namedShare, degree: source.degree)) / Double(effort)
      let bridges = min(Double(source.degree), max(0, 0.6 - namedShare) / namedShare)
      let each = linkedExpansion + bridges * linkedBridge + (bridges > 0 ? rankBehind : 0)
      return seeding + walks * expansions / max(passing.share, 1e-9) * each
    }
    let expansions = Double(effort) * expansionsPerEffort
    let fresh = freshPerNode * (compare + Double(source.vectorBytes) * compareByte)
    if method == .filteredGraph {
      let bridges = min(Double(source.degree), 0.5 / namedShare) * (namedShare < 0.5 ? 1 : 0)
      return expansions / max(passing.share, 1e-9) * (list + fresh + bridges * bridge)
    }
    // All rows are walked, so the share of all that pass counts.
    let share = max(passing.expected / Double(max(source.rows, 1)), 1e-9)
    if source.rowsPerRead != nil { return expansions / pagedEffortShare / share * read }
    let tried = passing.evidence == .unfiltered || passing.evidence == .indexed ? 0 : evaluate
    return min(expansions / share, Double(source.rows)) * (list + fresh + tried * freshPerNode)
  }
}
