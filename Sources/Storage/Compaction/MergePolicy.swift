// Which segments to merge: size-tiered, so that a record is rewritten about log(n) times, with a bound
// on how many segments a query must visit.

import Core

/// A segment as the policy sees it.
struct MergeCandidate: Sendable, Equatable {
  var number: UInt64
  var liveRows: Int
  var deadRows: Int
  var tombstones = 0

  /// What a merge has to write.
  var size: Int { liveRows + tombstones }
}

enum MergePolicy {
  /// Segments at most this many times larger than the smallest of a tier belong to it.
  private static let tierRatio = 4.0
  /// A segment with more than this share of dead rows is rewritten on its own.
  private static let deadShareMax = 0.3

  /// The numbers of the segments to merge next, or nil. Pure; oldest segment first.
  static func pick(_ candidates: [MergeCandidate], perTier: Int) -> [UInt64]? {
    let bySize = candidates.sorted { ($0.size, $0.number) < ($1.size, $1.number) }
    var start = 0
    while start < bySize.count {
      let limit = Double(max(bySize[start].size, 1)) * tierRatio
      let end = bySize[start...].firstIndex { Double($0.size) > limit } ?? bySize.count
      if end - start >= perTier { return bySize[start..<end].map(\.number) }
      start += 1
    }
    let wasteful = candidates.first { candidate in
      let rows = candidate.liveRows + candidate.deadRows
      return rows > 0 && Double(candidate.deadRows) > deadShareMax * Double(rows)
    }
    return wasteful.map { [$0.number] }
  }
}
