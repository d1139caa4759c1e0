// Applies logged operations to the memtable: the step that live writes and recovery share.

import Core

/// What the segments know about an id: its living row, or else when it was deleted last.
enum SegmentFact: Sendable {
  case row(SegmentRow)
  case tombstone(Version)
}

/// A living row of a segment.
struct SegmentRow: Sendable {
  var segment: Segment
  var row: UInt32
  var version: Version
}

struct ApplyBatch: Sendable {
  var operations: [WriteOperation]
  /// For each operation what `resolveInSegments` found.
  var existing: [SegmentFact?]
  var sequence: UInt64
}

extension Collection {
  /// Rows that are linked into the graph by the committing task itself; more go to the workers.
  private static let inlineRowsMax = 8

  /// Looks up what the operations would replace, or lose against. The only part of a write that reads
  /// segments, and so the only one that can meet damage.
  func resolveInSegments(_ operations: [WriteOperation]) async throws(RoostError) -> [SegmentFact?] {
    let segments = published.withLock { $0.segments }
    guard !segments.isEmpty else { return Array(repeating: nil, count: operations.count) }
    var result: [SegmentFact?] = []
    result.reserveCapacity(operations.count)
    let ids = operations.map(\.id.encodedBytes)
    for segment in segments { await segment.warmIDs(ids) }
    for encoded in ids {
      var found: SegmentFact?
      for segment in segments.reversed() {
        if let row = try await segment.findRow(of: encoded), segment.deadAt.load(Int(row)) == 0 {
          let version = try await RowSource.segment(segment).readVersion(Int(row), again: true)
          found = .row(SegmentRow(segment: segment, row: row, version: version))
          break
        }
      }
      result.append(found)
    }
    // A living row is newer than every tombstone of its id.
    let remembering = segments.filter { $0.tombstoneCount > 0 }
    let missing = result.indices.filter { if case nil = result[$0] { true } else { false } }
    guard !remembering.isEmpty, !missing.isEmpty else { return result }
    for (index, version) in zip(missing, try await tombstones(of: missing.map { ids[$0] }, in: remembering)) {
      result[index] = version.map { .tombstone($0) }
    }
    return result
  }

  /// When the ids were deleted last, for those that tombstones of the segments remember. On a worker, as it may
  /// have to wait for pages.
  private func tombstones(
    of ids: [[UInt8]], in segments: [Segment]
  ) async throws(RoostError) -> [Version?] {
    let result = await runtime.workers.run { () -> Result<[Version?], RoostError> in
      do throws(RoostError) {
        var versions = [Version?](repeating: nil, count: ids.count)
        for segment in segments {
          for (index, id) in ids.enumerated() {
            let found = try id.withUnsafeBufferPointer { (id) throws(RoostError) in
              try segment.tombstone(of: UnsafeRawBufferPointer(id))
            }
            if let found { versions[index] = max(versions[index] ?? .zero, found) }
          }
        }
        return .success(versions)
      } catch { return .failure(error) }
    }
    return try result.get()
  }

  /// Applies batches in order, links new rows into the graph, and publishes. Requires the write lock,
  /// room in the active memtable, and operations that were validated.
  func apply(_ batches: [ApplyBatch]) async -> [WriteOutcome] {
    let (active, sealed) = published.withLock { ($0.active, $0.sealed) }
    var outcomes: [WriteOutcome] = []
    var liveDelta = 0
    let firstRow = active.rowCount
    for batch in batches {
      var outcome = WriteOutcome()
      for (operation, fact) in zip(batch.operations, batch.existing) {
        let id = operation.id
        let existing = locate(id, active: active, sealed: sealed, inSegments: fact)
        // Last writer wins: what is not newer than what is known changes nothing, so retries are harmless.
        if let existing, existing.version >= operation.version {
          if case .tombstone = existing { writer.refusedSequence = batch.sequence }
          continue
        }
        let wasLive = existing?.kill(batch.sequence) ?? false
        switch operation {
        case .put(_, let version, let vectors, let payload):
          _ = active.append(id: id, version: version, vectors: vectors, payload: payload)
          if !wasLive { liveDelta += 1 }
        case .delete(_, let version):
          active.bury(id: id, version: version, sequence: batch.sequence)
          if wasLive {
            liveDelta -= 1
            outcome.deleted += 1
          }
        }
      }
      active.finish(call: batch.sequence)
      outcomes.append(outcome)
    }
    let rowCount = active.rowCount
    await link(firstRow..<rowCount, in: active)
    let sequence = batches.last?.sequence
    published.withLock { state in
      if let sequence { state.sequence = sequence }
      state.activeRows = rowCount
      state.liveCount += liveDelta
    }
    return outcomes
  }

  private func link(_ rows: Range<Int>, in memtable: Memtable) async {
    for (field, graph) in memtable.graphs.enumerated() {
      guard memtable.hasSeveralFields else {
        await link(rows, in: graph)
        continue
      }
      await link(rows.filter { memtable.hasVector(row: $0, field: field) }, in: graph)
    }
  }

  private func link(_ rows: some RandomAccessCollection<Int> & Sendable, in graph: GrowingGraph) async {
    if rows.count <= Self.inlineRowsMax {
      graph.scratches.with { scratch in
        for row in rows { graph.insert(row: UInt32(row), scratch: scratch) }
      }
    } else {
      await graph.insertAll(rows: rows, workers: runtime.workers, roundsVectors: true)
    }
  }

  private enum Existing {
    case memtableRow(Memtable, UInt32)
    case tombstone(Version)
    case segmentRow(SegmentRow)

    var version: Version {
      switch self {
      case .memtableRow(let memtable, let row): memtable.entries.version(Int(row))
      case .tombstone(let version): version
      case .segmentRow(let place): place.version
      }
    }

    /// Marks the row as dead; false when there is none.
    func kill(_ sequence: UInt64) -> Bool {
      switch self {
      case .memtableRow(let memtable, let row):
        memtable.deadAt.store(sequence, at: Int(row))
        return true
      case .tombstone: return false
      case .segmentRow(let place): return place.segment.kill(row: place.row, at: sequence)
      }
    }
  }

  private func locate(
    _ id: RecordID, active: Memtable, sealed: [Memtable], inSegments fact: SegmentFact?
  ) -> Existing? {
    if let slot = active.slot(of: id) { return existing(slot, active) }
    for memtable in sealed.reversed() {
      if let slot = memtable.slot(of: id) { return existing(slot, memtable) }
    }
    switch fact {
    case .row(let row): return .segmentRow(row)
    case .tombstone(let version): return .tombstone(version)
    case nil: return nil
    }
  }

  private func existing(_ slot: Memtable.Slot, _ memtable: Memtable) -> Existing {
    switch slot {
    case .row(let row): .memtableRow(memtable, row)
    case .tombstone(let version, _): .tombstone(version)
    }
  }
}
