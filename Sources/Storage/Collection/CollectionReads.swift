// Reading by id, in id order, and counting.

import Core

extension Collection {
  /// Rows that a long read visits before it lets others on its executor run.
  static let rowsPerSlice = 4096

  /// Looks up records by id; nil stands where there is none.
  public func get(_ ids: [RecordID], includeVector: Bool = true) async throws(RoostError) -> [Record?] {
    try beginReading()
    defer { readers.leave() }
    guard ids.count <= Limits.batchRecordsMax else {
      throw RoostError(
        .limitExceeded, "\(ids.count) ids in one call, the limit is \(Limits.batchRecordsMax)", at: "get")
    }
    let snapshot = snapshot()
    var records: [Record?] = []
    records.reserveCapacity(ids.count)
    await snapshot.warm(ids)
    for id in ids {
      guard let (source, row) = try await snapshot.find(id) else {
        records.append(nil)
        continue
      }
      records.append(try await record(id, source, row, includeVector: includeVector))
    }
    return records
  }

  func record(_ id: RecordID, _ source: RowSource, _ row: Int, includeVector: Bool) async throws(RoostError)
    -> Record
  {
    var vectors = RecordVectors()
    if includeVector {
      for (index, field) in schema.fields.enumerated() {
        guard let bytes = try await source.vectorBytes(row, field: index) else { continue }
        vectors[field.name] = Vector(element: field.element, bytes: bytes)
      }
    }
    return Record(
      id: id, vectors: vectors,
      payload: try await source.readDecodedPayload(row, again: true),
      version: try await source.readVersion(row, again: true))
  }

  /// How many records there are, or how many pass a filter.
  public func count(filter: Filter? = nil) async throws(RoostError) -> Int {
    try beginReading()
    defer { readers.leave() }
    let snapshot = snapshot()
    guard let filter else { return snapshot.liveCount }
    let native = try NativeFilter(filter)
    var count = 0
    for source in snapshot.sources {
      let match = try SourceMatch(native, in: source)
      if let rows = match.rows, match.rest.isEmpty, source.isAllLive {
        count += rows.count
        continue
      }
      var acceptor = FilteredRows(source, at: snapshot.sequence, filters: match.rest)
      let named = match.rows?.rows
      let total = named?.count ?? source.rowCount
      for start in stride(from: 0, to: total, by: Self.rowsPerSlice) {
        let slice = start..<min(start + Self.rowsPerSlice, total)
        let rows = named.map { Array($0[slice]) } ?? slice.map { UInt32($0) }
        count += try await acceptor.accepted(rows).reduce(0) { $0 + ($1 ? 1 : 0) }
        await Task.yield()
      }
    }
    return count
  }

  /// Records in the order of their ids, starting after `after`.
  /// - Returns: up to `limit` records that pass the filter; fewer only at the end.
  public func scan(
    after: RecordID? = nil, limit: Int, filter: Filter? = nil, includeVector: Bool = true
  ) async throws(RoostError) -> [Record] {
    try beginReading()
    defer { readers.leave() }
    guard (1...Limits.batchRecordsMax).contains(limit) else {
      throw RoostError(
        .invalidArgument, "limit is \(limit), it must be in 1...\(Limits.batchRecordsMax)", at: "scan")
    }
    let snapshot = snapshot()
    let native = try filter.map { (filter) throws(RoostError) in try NativeFilter(filter) }
    var found: [(id: RecordID, source: RowSource, row: Int)] = []
    for source in snapshot.sources {
      var cursor = try await IDOrder(source, after: after)
      let match = try SourceMatch(native, in: source)
      var acceptor = FilteredRows(
        source, at: snapshot.sequence, filters: match.rest, rows: match.rows)
      var taken = 0
      while taken < limit {
        let rows = try await cursor.next(max(limit - taken, 256))
        if rows.isEmpty { break }
        await source.warm(rows.prefix(limit - taken))
        for (row, passes) in zip(rows, try await acceptor.accepted(rows)) where passes && taken < limit {
          found.append((try await source.readID(Int(row)), source, Int(row)))
          taken += 1
        }
        await Task.yield()
      }
    }
    // A living id stands in exactly one source, so merging is sorting.
    found.sort { $0.id < $1.id }
    var records: [Record] = []
    records.reserveCapacity(min(limit, found.count))
    for (id, source, row) in found.prefix(limit) {
      records.append(try await record(id, source, row, includeVector: includeVector))
    }
    return records
  }
}

/// Walks a source in the order of its ids.
private struct IDOrder {
  private let source: RowSource
  private let sorted: [UInt32]
  private var rank: Int

  init(_ source: RowSource, after: RecordID?) async throws(RoostError) {
    self.source = source
    switch source {
    case .memtable(let memtable, _):
      let sorted = try memtable.sortedRows()
      self.sorted = sorted
      rank = 0
      if let after {
        rank = try after.encodedBytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
          let cursor = UnsafeRawBufferPointer(raw)
          var low = 0
          var high = sorted.count
          while low < high {
            let middle = (low + high) / 2
            if compareEncodedIDs(memtable.entries.idBytes(Int(sorted[middle])), cursor) <= 0 {
              low = middle + 1
            } else {
              high = middle
            }
          }
          return low
        }
      }
    case .segment(let segment):
      sorted = []
      rank = try await segment.findRank(after: after?.encodedBytes)
    }
  }

  /// The next rows, at most `count`; empty at the end. May hold rows that are newer than the snapshot.
  mutating func next(_ count: Int) async throws(RoostError) -> [UInt32] {
    switch source {
    case .memtable:
      let end = min(sorted.count, rank + count)
      defer { rank = end }
      return Array(sorted[rank..<end])
    case .segment(let segment):
      let end = min(segment.rowCount, rank + count)
      defer { rank = end }
      return try await segment.readRows(atRanks: rank..<end)
    }
  }
}

extension RowAcceptor {
  mutating func accepted(_ rows: [UInt32]) async throws(RoostError) -> [Bool] {
    if needsPreparing { try await prepare(rows) }
    var verdicts = [Bool](repeating: false, count: rows.count)
    try rows.withUnsafeBufferPointer { (rows) throws(RoostError) in
      try verdicts.withUnsafeMutableBufferPointer { (verdicts) throws(RoostError) in
        try accept(rows: rows, verdicts: verdicts)
      }
    }
    return verdicts
  }
}
