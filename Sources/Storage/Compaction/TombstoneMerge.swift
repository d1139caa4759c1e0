// Which tombstones the output of a merge keeps: the newest of each id, unless a newer row stands in for it
// or the policy lets it go.

import Core

/// Which tombstones a merge may drop. One that is kept makes every write older than it lose, however late it
/// comes; one that is gone does not.
public enum TombstonePolicy: Sendable {
  /// Those whose record no segment outside the merge holds any more: enough for a node that stamps all
  /// versions itself.
  case whenUnneeded
  /// Of these, those with versions up to the one returned, which is asked for when a merge begins. To be
  /// returned once no write with a version up to it can arrive any more: in a cluster, when every replica is
  /// known to hold everything up to it.
  case upTo(@Sendable () -> Version)

  /// The greatest version that may go now.
  var limit: Version {
    switch self {
    case .whenUnneeded: Version(time: .max, node: .max)
    case .upTo(let version): version()
    }
  }
}

/// The tombstones of several segments, merged by id.
///
/// Safety of `@unchecked Sendable`: only the task that writes the segment takes from it.
final class MergedTombstones: TombstoneStream, @unchecked Sendable {
  private struct Cursor {
    var segment: Segment
    var rank = 0
    var id: UnsafeRawBufferPointer
    var version: Version
  }

  private let inputs: [Segment]
  private let others: [Segment]
  private let limit: Version
  private let isKept: (Int, Int) -> Bool
  private var cursors: [Cursor] = []
  private var hasStarted = false
  /// Tombstones that were left out because the policy allowed it.
  private(set) var dropped = 0

  /// - Parameters:
  ///   - others: the segments that are not merged; one that holds a row of the id keeps its tombstone.
  ///   - limit: no tombstone with a greater version is dropped.
  ///   - isKept: whether a row (input, row) goes into the output.
  init(
    _ inputs: [Segment], others: [Segment], limit: Version,
    isKept: @escaping @Sendable (Int, Int) -> Bool
  ) {
    self.inputs = inputs
    self.others = others
    self.limit = limit
    self.isKept = isKept
  }

  func next() throws(RoostError) -> Tombstone? {
    if !hasStarted {
      hasStarted = true
      for segment in inputs where segment.tombstoneCount > 0 {
        let (id, version) = try segment.tombstone(atRank: 0)
        cursors.append(Cursor(segment: segment, id: id, version: version))
      }
    }
    while let tombstone = try takeNewest() {
      if try isSuperseded(tombstone) { continue }
      if try mayGo(tombstone) {
        dropped += 1
        continue
      }
      return tombstone
    }
    return nil
  }

  /// The newest tombstone of the least id, which all cursors then have left behind.
  private func takeNewest() throws(RoostError) -> Tombstone? {
    guard var least = cursors.first?.id else { return nil }
    for cursor in cursors.dropFirst() where compareEncodedIDs(cursor.id, least) < 0 { least = cursor.id }
    let id = Array(least)
    var newest = Version.zero
    var index = 0
    while index < cursors.count {
      guard compareEncodedIDs(cursors[index].id, least) == 0 else {
        index += 1
        continue
      }
      newest = max(newest, cursors[index].version)
      cursors[index].rank += 1
      if cursors[index].rank == cursors[index].segment.tombstoneCount {
        cursors.remove(at: index)
        continue
      }
      (cursors[index].id, cursors[index].version) =
        try cursors[index].segment.tombstone(atRank: cursors[index].rank)
      index += 1
    }
    return Tombstone(id: id, version: newest)
  }

  /// Whether the output holds a newer row of the id: what is older loses against that, too.
  private func isSuperseded(_ tombstone: Tombstone) throws(RoostError) -> Bool {
    for (input, segment) in inputs.enumerated() {
      if let row = try row(of: tombstone, in: segment), isKept(input, row),
        try segment.version(row) > tombstone.version
      {
        return true
      }
    }
    return false
  }

  private func mayGo(_ tombstone: Tombstone) throws(RoostError) -> Bool {
    guard tombstone.version <= limit else { return false }
    for segment in others where try row(of: tombstone, in: segment) != nil { return false }
    return true
  }

  private func row(of tombstone: Tombstone, in segment: Segment) throws(RoostError) -> Int? {
    try tombstone.id.withUnsafeBufferPointer { (id) throws(RoostError) in
      try segment.row(of: UnsafeRawBufferPointer(id)).map(Int.init)
    }
  }
}
