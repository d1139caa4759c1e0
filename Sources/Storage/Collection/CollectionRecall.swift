// The self-check of the index: stored vectors as queries, the graph against exact search over one snapshot.

import Core

/// How well the graph finds what an exact search finds.
public struct RecallReport: Sendable, Equatable {
  /// Recall below this comes with advice.
  public static let goodRecall = 0.95

  /// Stored vectors that were searched for; 0 when there were fewer than two records.
  public var queries = 0
  public var k: Int
  /// Candidates that each search kept: what the collection does by default, unless asked otherwise.
  public var effort: Int
  /// The mean share of the `k` nearest other records that were found. A record at the distance of the k-th, but
  /// for rounding, counts as found.
  public var recall = 1.0
  /// A 95% confidence interval of `recall`: Wilson's (JASA 1927), each query counted as one trial, which is on
  /// the safe side.
  public var low = 0.0
  public var high = 1.0
  /// Recall with four times the effort; measured only when `recall` is low.
  public var recallWithMoreEffort: Double?

  public init(k: Int, effort: Int) {
    self.k = k
    self.effort = effort
  }

  /// What to do about low recall; nil when it is good.
  public var advice: String? {
    guard queries > 0, recall < Self.goodRecall else { return nil }
    if let more = recallWithMoreEffort, more >= Self.goodRecall {
      return "search with more effort: \(effort * 4) instead of \(effort) finds them"
    }
    return
      "more effort does not help; compact the collection, and if that does not help either, import it into "
      + "one with a larger degree or build effort"
  }
}

extension Collection {
  /// Samples stored vectors of the first field as queries, each without its own record, and compares graph search with exact
  /// search. Each exact search compares with every record.
  /// - Parameters:
  ///   - samples: how many vectors; all of them when there are fewer.
  ///   - effort: nil for what a search without an effort takes.
  ///   - progress: called with the number of queries done.
  /// - Throws: `.cancelled` when the task is cancelled.
  public func measureRecall(
    samples: Int = 200, k: Int = 10, effort: Int? = nil, progress: @Sendable (Int) -> Void = { _ in }
  ) async throws(RoostError) -> RecallReport {
    try beginReading()
    defer { readers.leave() }
    let snapshot = snapshot()
    let chosen = sampleRows(snapshot, samples)
    var report = RecallReport(k: k, effort: effort ?? schema.recall.effort(nearest: k))
    guard snapshot.liveCount > 1, !chosen.isEmpty else { return report }
    var probes: [RecallProbe] = []
    var sum = 0.0
    for (source, row) in chosen {
      guard let bytes = try await source.vectorBytes(row, field: 0) else { continue }
      var probe = RecallProbe(
        id: try await source.readID(row), vector: Vector(element: schema.fields[0].element, bytes: bytes))
      probe.exact = try await hits(probe, k: k, effort: nil, snapshot)
      sum += probe.share(
        of: try await hits(probe, k: k, effort: report.effort, snapshot), schema.fields[0].metric)
      probes.append(probe)
      progress(probes.count)
      if Task.isCancelled { throw RoostError(.cancelled, "the check was cancelled", at: path) }
    }
    guard !probes.isEmpty else { return report }
    report.queries = probes.count
    report.recall = sum / Double(probes.count)
    (report.low, report.high) = RecallReport.interval(report.recall, trials: probes.count)
    if report.recall < RecallReport.goodRecall {
      let more = min(report.effort * 4, Limits.effortMax)
      var sum = 0.0
      for probe in probes {
        sum += probe.share(of: try await hits(probe, k: k, effort: more, snapshot), schema.fields[0].metric)
      }
      report.recallWithMoreEffort = sum / Double(probes.count)
    }
    return report
  }

  /// Living rows, spread at random over all sources.
  private func sampleRows(_ snapshot: Snapshot, _ samples: Int) -> [(source: RowSource, row: Int)] {
    var random = SplitMix64(seed: runtime.random.next())
    let total = snapshot.sources.reduce(0) { $0 + $1.rowCount }
    var chosen: [(RowSource, Int)] = []
    func place(_ number: Int) -> (RowSource, Int)? {
      var rest = number
      for source in snapshot.sources {
        if rest < source.rowCount { return source.isLive(rest, at: snapshot.sequence) ? (source, rest) : nil }
        rest -= source.rowCount
      }
      return nil
    }
    if snapshot.liveCount <= samples {
      for number in 0..<total { if let found = place(number) { chosen.append(found) } }
      return chosen
    }
    var taken: Set<Int> = []
    // Dead rows cost a try; with nine in ten dead there are still enough.
    for _ in 0..<samples * 16 where chosen.count < samples {
      let number = Int(random.next() % UInt64(total))
      if taken.insert(number).inserted, let found = place(number) { chosen.append(found) }
    }
    return chosen
  }

  /// The `k` nearest other records.
  /// - Parameter effort: nil to compare with every record.
  private func hits(
    _ probe: RecallProbe, k: Int, effort: Int?, _ snapshot: Snapshot
  ) async throws(RoostError) -> [SearchHit] {
    let query = SearchQuery(
      target: .vector(probe.vector), k: min(k + 1, Limits.kMax), effort: effort, exact: effort == nil,
      includePayload: false)
    let hits = try await explainedSearch(query, code: QueryCode(), forcing: nil, in: snapshot).hits
    return Array(hits.lazy.filter { $0.id != probe.id }.prefix(k))
  }
}

/// One query of the check and the true answer.
private struct RecallProbe {
  let id: RecordID
  let vector: Vector
  var exact: [SearchHit] = []

  /// How much of the true answer was found.
  func share(of found: [SearchHit], _ metric: Metric) -> Double {
    guard let last = exact.last?.distance else { return 1 }
    // Distances are sums of 32-bit products; those of cosine are differences to 1.
    let limit = last + max(abs(last), metric == .cosine ? 1 : 0) * 1e-6
    let near = found.reduce(0) { $0 + ($1.distance <= limit ? 1 : 0) }
    return Double(min(near, exact.count)) / Double(exact.count)
  }
}

extension RecallReport {
  /// Wilson's score interval at 95%.
  static func interval(_ mean: Double, trials: Int) -> (low: Double, high: Double) {
    let (n, z) = (Double(trials), 1.96)
    let center = (mean + z * z / (2 * n)) / (1 + z * z / n)
    let half = z / (1 + z * z / n) * (mean * (1 - mean) / n + z * z / (4 * n * n)).squareRoot()
    return (min(mean, max(0, center - half)), max(mean, min(1, center + half)))
  }
}
