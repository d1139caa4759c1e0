// What a collection's graph is to be good at: how much disk it may take, and how exact searches are to be.

/// What a segment keeps for its graph.
public enum GraphLayout: UInt8, Sendable, CaseIterable {
  /// Codes of its neighbours beside each row: the fastest search in memory. 128 × f32 take about 2.1 KiB a
  /// record without its payload.
  case fast = 1
  /// None of these: 0.8 KiB a record, searches in memory take about twice as long.
  case compact = 2

  public var name: String {
    switch self {
    case .fast: "fast"
    case .compact: "compact"
    }
  }

  public init?(name: String) {
    guard let layout = GraphLayout.allCases.first(where: { $0.name == name }) else { return nil }
    self = layout
  }
}

/// The share of the true nearest that searches are to find when they do not say how much effort to spend.
public struct RecallTarget: Sendable, Equatable {
  /// In thousandths, 500 to 999.
  public let thousandths: Int

  public static let standard = RecallTarget(thousandths: 985)

  public init(thousandths: Int) { self.thousandths = thousandths }

  /// - Parameter share: 0.5 to 0.999.
  public init(share: Double) {
    thousandths = Int((max(0, min(share.isNaN ? 0 : share, 1)) * 1000).rounded())
  }

  public var share: Double { Double(thousandths) / 1000 }
  public var isPossible: Bool { (500...999).contains(thousandths) }

  /// Recall@10 and the effort that reached it on image descriptors of 128 dimensions at degree 32, whose
  /// neighbourhoods are harder than those of most embeddings. See `spec/benchmarks.md`.
  private static let efforts: [(thousandths: Int, effort: Int)] = [
    (500, 10), (900, 22), (950, 32), (975, 48), (985, 64), (990, 80), (995, 112), (999, 256),
  ]

  /// Candidates that a search of the `count` nearest should keep: in proportion between what was measured,
  /// and growing more slowly than `count` beyond ten.
  public func effort(nearest count: Int) -> Int {
    let table = Self.efforts
    let next = table.firstIndex { $0.thousandths >= thousandths } ?? table.count - 1
    var effort = Double(table[next].effort)
    if next > 0, thousandths < table[next].thousandths {
      let (low, high) = (table[next - 1], table[next])
      let part = Double(thousandths - low.thousandths) / Double(high.thousandths - low.thousandths)
      effort = Double(low.effort) + part * Double(high.effort - low.effort)
    }
    if count > 10 { effort *= (Double(count) / 10).squareRoot() }
    return max(Int(effort.rounded(.up)), count + count / 4)
  }
}
