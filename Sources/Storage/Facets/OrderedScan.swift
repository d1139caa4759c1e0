// A scan in the order of a field. Without an index of the field one pass over all payloads finds the next
// rows, as many as a bounded memory holds.

import Core

/// A record of an ordered scan and the value that it was ordered by; nil when it has none.
public struct OrderedRecord: Sendable, Equatable {
  public var record: Record
  public var value: Value?

  /// The place behind this record.
  public var cursor: ScanCursor { ScanCursor(id: record.id, value: value) }
}

/// A scan at work: it sees one snapshot, and holds it. Confined to one task.
public struct OrderedScan {
  /// Rows that one pass finds at most.
  static let rowsPerPass = 65_536

  private let collection: Collection
  private let snapshot: Snapshot
  private let order: ScanOrder
  private let filter: NativeFilter?
  private let includeVector: Bool
  private let expecting: Int
  private var after: OrderedRow?
  private var found: [OrderedRow] = []
  private var position = 0
  /// Whether `found` ends with the last row of the scan.
  private var isLast = false

  init(
    _ collection: Collection, _ order: ScanOrder, after: ScanCursor?, filter: Filter?, includeVector: Bool,
    expecting: Int
  ) throws(RoostError) {
    self.collection = collection
    self.order = order
    self.includeVector = includeVector
    self.expecting = min(max(1, expecting), Self.rowsPerPass)
    snapshot = collection.snapshot()
    self.filter = try filter.map { (filter) throws(RoostError) in try NativeFilter(filter) }
    guard let after else { return }
    var key: SortKey?
    if let value = after.value {
      key = SortKey(value)
      guard key != nil, value != .null else {
        throw RoostError(.invalidArgument, "nothing is ordered by an array, a map or null", at: "scan.after")
      }
    }
    self.after = OrderedRow(key: key?.bytes, id: after.id.encodedBytes, source: 0, row: 0)
  }

  /// The next records, at most `limit`; fewer only at the end.
  public mutating func next(_ limit: Int) async throws(RoostError) -> [OrderedRecord] {
    guard (1...Limits.batchRecordsMax).contains(limit) else {
      throw RoostError(
        .invalidArgument, "limit is \(limit), it must be in 1...\(Limits.batchRecordsMax)", at: "scan")
    }
    try collection.beginReading()
    defer { collection.readers.leave() }
    var records: [OrderedRecord] = []
    while records.count < limit {
      if position == found.count {
        if isLast { break }
        try await find()
        if found.isEmpty { break }
      }
      let row = found[position]
      position += 1
      records.append(
        OrderedRecord(
          record: try await collection.record(
            RecordID(encoded: row.id), snapshot.sources[row.source], Int(row.row),
            includeVector: includeVector), value: row.key.map { SortKey(bytes: $0).value }))
    }
    return records
  }

  /// One pass over all rows for those behind the last.
  private mutating func find() async throws(RoostError) {
    var best = BestRows(
      descending: order.isDescending, after: found.last ?? after, capacity: expecting)
    var key = OrderKey(order)
    for (index, source) in snapshot.sources.enumerated() {
      var payloads = PayloadRows(source, try SourceMatch(filter, in: source), at: snapshot.sequence)
      while let slice = try await payloads.next() {
        for (row, payload) in slice {
          try key.read(payload)
          let bytes = key.isFound ? key.bytes : nil
          guard best.mayTake(bytes) else { continue }
          best.offer(
            OrderedRow(
              key: bytes, id: try await source.readIDBytes(Int(row)), source: index, row: row))
        }
      }
    }
    if found.last != nil { after = found.last }
    found = best.finish()
    position = 0
    isLast = !best.isCut
  }
}

/// Finds the value that a record is ordered by. Keeps its memory from one record to the next.
private struct OrderKey {
  private let field: PayloadField
  private let isDescending: Bool
  /// The key of the least or greatest value.
  private(set) var bytes: [UInt8] = []
  private(set) var isFound = false
  private var candidate: [UInt8] = []

  init(_ order: ScanOrder) {
    field = PayloadField(order.path)
    isDescending = order.isDescending
  }

  mutating func read(_ payload: UnsafeRawBufferPointer) throws(RoostError) {
    isFound = false
    let field = self.field
    try field.forEachValue(in: payload) { (value) throws(RoostError) in
      if case .null = value { return }
      candidate.removeAll(keepingCapacity: true)
      SortKey.append(value, to: &candidate)
      if isFound {
        let order = SortKey.compare(candidate, bytes)
        guard isDescending ? order > 0 : order < 0 else { return }
      }
      swap(&bytes, &candidate)
      isFound = true
    }
  }
}

extension Collection {
  /// Begins a scan in the order of a field, behind `after`. A record that changes between two scans may be
  /// seen by both or by none, at its old or its new place; no other record is seen twice or passed over.
  /// - Parameter expecting: how many records will be asked for, if known; it decides how many are found in
  ///   one pass over the collection.
  public func scan(
    orderedBy order: ScanOrder, after: ScanCursor? = nil, filter: Filter? = nil, includeVector: Bool = true,
    expecting: Int = .max
  ) throws(RoostError) -> OrderedScan {
    try requireOpen()
    return try OrderedScan(
      self, order, after: after, filter: filter, includeVector: includeVector, expecting: expecting)
  }
}
