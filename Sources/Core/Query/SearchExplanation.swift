// How a search was answered: what was chosen for each part of a collection, why, and what it cost.

public struct SearchExplanation: Sendable, Equatable {
  /// How the rows of one source were searched. The raw values are those of the wire.
  public enum Method: UInt8, Sendable, CaseIterable {
    /// No row passes the filter.
    case nothing = 0
    /// Every row is compared.
    case scan = 1
    /// The rows that the indexes name are compared.
    case indexedScan = 2
    /// The graph is walked over the rows that the indexes name, and across those between them.
    case filteredGraph = 3
    /// The graph is walked over all rows; those that fail a filter are passed over.
    case graph = 4
    /// The rows that the indexes name are ranked by codes in memory; the nearest are read and compared.
    case codedScan = 5

    public var name: String {
      switch self {
      case .nothing: "nothing"
      case .scan: "scan"
      case .indexedScan: "indexed-scan"
      case .filteredGraph: "filtered-graph"
      case .graph: "graph"
      case .codedScan: "coded-scan"
      }
    }
  }

  /// Where the number of passing rows comes from.
  public enum Evidence: UInt8, Sendable, CaseIterable {
    case unfiltered = 0
    /// The indexes, exactly.
    case indexed = 1
    /// The indexes name rows, and a sample of these was tried.
    case indexedAndSampled = 2
    /// A sample of all rows was tried.
    case sampled = 3

    public var name: String {
      switch self {
      case .unfiltered: "unfiltered"
      case .indexed: "indexed"
      case .indexedAndSampled: "indexed-and-sampled"
      case .sampled: "sampled"
      }
    }
  }

  /// One memtable or segment.
  public struct Source: Sendable, Equatable {
    public var name: String
    public var rows: Int
    public var method: Method
    public var evidence: Evidence
    /// Rows that pass, or are expected to.
    public var passing: Int
    /// Candidates kept during a walk.
    public var effort: Int
    /// What the planner expected of a scan and of a walk, in microseconds; negative when not considered.
    public var scanCost: Float
    public var walkCost: Float
    public var rowsCompared: Int
    public var nodesExpanded: Int
    public var pagesRead: Int
    public var micros: Int

    public init(
      name: String, rows: Int, method: Method, evidence: Evidence, passing: Int, effort: Int, scanCost: Float,
      walkCost: Float, rowsCompared: Int = 0, nodesExpanded: Int = 0, pagesRead: Int = 0, micros: Int = 0
    ) {
      self.name = name
      self.rows = rows
      self.method = method
      self.evidence = evidence
      self.passing = passing
      self.effort = effort
      self.scanCost = scanCost
      self.walkCost = walkCost
      self.rowsCompared = rowsCompared
      self.nodesExpanded = nodesExpanded
      self.pagesRead = pagesRead
      self.micros = micros
    }
  }

  public var sources: [Source]
  /// For the whole query, in the engine.
  public var micros: Int

  public init(sources: [Source] = [], micros: Int = 0) {
    self.sources = sources
    self.micros = micros
  }

  public var pagesRead: Int { sources.reduce(0) { $0 + $1.pagesRead } }
}
