// How far a walk over a graph goes. A beam of fixed width spends as much on an easy query as on a hard one; the
// distance to what has been found tells them apart (adaptive beam search, arXiv:2505.15636).
// `spec/decisions/014-walks-that-end-by-distance.md` has the figures.

import Core

/// When a walk by estimates ends: once the nearest row that is left is farther than `slack` times the `k`th
/// nearest found, or has `width` nearer ones.
struct WalkReach: Sendable, Equatable {
  /// Of a search of the ten nearest with `effortMeasured`: it finds as many of them as a beam of that width.
  private static let slackMeasured: Float = 0.15
  private static let effortMeasured = 64
  /// Fewer rows are walked by the beam alone: there is little to save, and estimates between rows of very different
  /// lengths err by more than the slack.
  private static let rowsMin = 4_096

  let k: Int
  /// Candidates kept at most, so that a query without near rows ends, too.
  let width: Int
  /// Infinite for distances that are no ratios.
  let slack: Float

  init(k: Int, effort: Int, metric: Metric, rows: Int = .max) {
    precondition(k > 0)
    self.k = k
    let effort = max(k, effort)
    switch metric {
    case .l2, .cosine:
      width = effort + min(effort / 2, 4 * k)
      let measured = Self.slackMeasured * (10 * Float(effort) / Float(Self.effortMeasured * k)).squareRoot()
      slack = rows < Self.rowsMin ? .infinity : 1 + measured
    case .innerProduct, .hamming:
      width = effort
      slack = .infinity
    }
  }

  /// No row beyond this need be looked at when the `k`th nearest so far is at `distance`.
  @inline(__always)
  func bound(_ distance: Float) -> Float { slack == .infinity ? slack : slack * max(0, distance) }

  /// The same for what has been found, nearest first.
  @inline(__always)
  func bound(_ found: Beam) -> Float { min(found.bound, bound(found.distance(at: k - 1))) }
}
