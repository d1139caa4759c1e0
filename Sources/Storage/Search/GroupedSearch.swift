// The nearest records of each value of a payload field.

import Core

/// Lets pass what belongs to a group, and to which.
private struct GroupCondition: CandidateFilter {
  let field: PayloadField
  /// These groups only; nil: any.
  var allowed: Set<GroupKey>?
  var refused: Set<GroupKey> = []

  var preferredBatch: Int { 32 }

  func evaluate(
    _ batch: CandidateBatch, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    for index in 0..<batch.count {
      guard let key = try field.groupKey(in: batch.payloads[index]) else {
        verdicts[index] = false
        continue
      }
      verdicts[index] = !refused.contains(key) && (allowed?.contains(key) ?? true)
    }
  }
}

extension SearchRun {
  private static let firstCount = 64

  /// Up to `size` rows for each of up to `limit` values of `field`: groups by their nearest row, the rows of
  /// each nearest first.
  ///
  /// Two phases, each of which asks for more until it has enough or has seen everything. The first looks
  /// for groups, leaving out those that are full; the second fills those chosen, leaving out all others. As
  /// what is asked for doubles and full groups drop out, no group that is large can hide the small ones.
  mutating func grouped(
    by field: PayloadField, groups limit: Int, size: Int
  ) async throws(RoostError) -> [(found: Found, key: GroupKey)] {
    var groups = FoundGroups(size: size)
    var count = min(max(Self.firstCount, limit * size), max(rowTotal, 1))
    var isComplete = false
    while true {
      let found = try await best(count, also: [GroupCondition(field: field, refused: groups.full)])
      try await groups.add(found, field, snapshot)
      isComplete = found.count < count
      if isComplete || groups.count >= limit { break }
      count = min(count * 2, max(rowTotal, 1) + 1)
      try await pause()
    }
    let isEverything = isComplete && groups.full.isEmpty
    groups.keepNearest(limit)
    count = max(Self.firstCount, limit * size)
    while !isEverything {
      let open = groups.open
      if open.isEmpty { break }
      let found = try await best(count, also: [GroupCondition(field: field, allowed: open)])
      try await groups.add(found, field, snapshot)
      if found.count < count { break }
      count = min(count * 2, max(rowTotal, 1) + 1)
      try await pause()
    }
    return groups.hits
  }
}

/// Groups and what has been found of each.
private struct FoundGroups {
  let size: Int
  private var members: [GroupKey: [Found]] = [:]
  private var seen: Set<RowPlace> = []

  init(size: Int) { self.size = size }

  var count: Int { members.count }
  var full: Set<GroupKey> { Set(members.filter { $0.value.count >= size }.keys) }
  var open: Set<GroupKey> { Set(members.filter { $0.value.count < size }.keys) }

  mutating func add(_ rows: [Found], _ field: PayloadField, _ snapshot: Snapshot) async throws(RoostError) {
    var kept: [PayloadBlock] = []
    for found in rows where seen.insert(found.place).inserted {
      kept.removeAll(keepingCapacity: true)
      let payload = try await snapshot.sources[found.source].readPayload(
        Int(found.row), keeping: &kept, again: true)
      let key = try withExtendedLifetime(kept) { () throws(RoostError) in try field.groupKey(in: payload) }
      if let key { members[key, default: []].append(found) }
    }
  }

  private func ordered() -> [(key: GroupKey, rows: [Found])] {
    members.map { ($0.key, Array($0.value.sorted(by: Found.precedes).prefix(size))) }
      .sorted { Found.precedes($0.1[0], $1.1[0]) }
  }

  mutating func keepNearest(_ limit: Int) {
    members = Dictionary(uniqueKeysWithValues: ordered().prefix(limit).map { ($0.key, $0.rows) })
  }

  var hits: [(found: Found, key: GroupKey)] {
    ordered().flatMap { group in group.rows.map { ($0, group.key) } }
  }
}
