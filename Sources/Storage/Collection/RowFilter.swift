// Decides which rows of a source may be results: alive in the snapshot, not excluded, and passing
// every filter of the query.

import Core

/// Accepts rows that are alive at a sequence number.
struct LiveRows: RowAcceptor {
  let deadAt: AtomicWords
  let sequence: UInt64
  /// Rows at or above it came after the snapshot.
  let rowLimit: UInt32
  /// Nothing is dead and nothing is newer, so there is nothing to ask.
  var acceptsAll = false

  func accept(rows: UnsafeBufferPointer<UInt32>, verdicts: UnsafeMutableBufferPointer<Bool>) {
    for index in rows.indices { verdicts[index] = isLive(rows[index]) }
  }

  @inline(__always)
  func isLive(_ row: UInt32) -> Bool {
    let death = row < rowLimit ? deadAt.load(Int(row)) : 1
    return row < rowLimit && (death == 0 || death > sequence)
  }
}

/// Accepts living rows that also pass the filters. Confined to one query; keeps its scratch.
struct FilteredRows: RowAcceptor {
  let source: RowSource
  let live: LiveRows
  let filters: [any CandidateFilter]
  /// Rows that are refused whatever they hold, ascending.
  let excluded: [UInt32]
  /// Rows that indexes name; all others fail.
  let rows: RowBitmap?
  private let readsIDs: Bool
  /// Vector fields that filters read, each once.
  private let vectorFields: [Int]
  private var ids: [UnsafeRawBufferPointer] = []
  private var kept: [PayloadBlock] = []
  private var payloads: [UnsafeRawBufferPointer] = []
  private var places: [Int] = []
  private var passed: [Bool] = []
  /// Payloads that `prepare` has brought, by row; they point into `preparedBlocks`.
  private var prepared: [UInt32: UnsafeRawBufferPointer] = [:]
  private var preparedBlocks: [PayloadBlock] = []
  private var preparedIDs: [UInt32: IOBuffer] = [:]
  /// By row, per field of `vectorFields`; nil for a record without that vector.
  private var preparedVectors: [UInt32: [IOBuffer?]] = [:]
  /// Of the candidates that are left, `[candidates × vectorFields]`.
  private var vectors: [UnsafeRawBufferPointer] = []
  private var vectorsOfField: [UnsafeRawBufferPointer] = []

  init(
    _ source: RowSource, at sequence: UInt64, filters: [any CandidateFilter], excluded: [UInt32] = [],
    rows: RowBitmap? = nil
  ) {
    self.source = source
    live = LiveRows(deadAt: source.deadAt, sequence: sequence, rowLimit: UInt32(source.rowCount))
    self.filters = filters
    self.excluded = excluded
    self.rows = rows
    readsIDs = filters.contains(where: \.readsIDs)
    vectorFields = Set(filters.compactMap(\.readsVector)).sorted()
  }

  /// Rows that are looked up one by one in their runs, which the search has just read; more are looked up in
  /// the section of entries, where they stand together.
  private static let singleRowsMax = 16

  var needsPreparing: Bool { !filters.isEmpty && source.pagedSegment != nil }

  mutating func prepare(_ rows: [UInt32]) async throws(RoostError) {
    prepared.removeAll(keepingCapacity: true)
    preparedBlocks.removeAll(keepingCapacity: true)
    preparedIDs.removeAll(keepingCapacity: true)
    preparedVectors.removeAll(keepingCapacity: true)
    guard needsPreparing, let segment = source.pagedSegment else { return }
    for row in rows
    where live.isLive(row) && !excluded.containsAscending(row) && (self.rows.map { $0.contains(row) } ?? true)
    {
      let place =
        try await rows.count <= Self.singleRowsMax
        ? segment.readPayloadPlace(inRunOf: Int(row)) : segment.readPayloadPlace(Int(row))
      let block = try await segment.payloads.read(place.block)
      if preparedBlocks.last !== block { preparedBlocks.append(block) }
      prepared[row] = try block.payload(at: place.offset)
      if readsIDs {
        preparedIDs[row] = IOBuffer(
          try await source.readIDBytes(Int(row), again: rows.count <= Self.singleRowsMax))
      }
      if vectorFields.isEmpty { continue }
      var vectors: [IOBuffer?] = []
      for field in vectorFields {
        vectors.append(try await source.vectorBytes(Int(row), field: field).map { IOBuffer($0) })
      }
      preparedVectors[row] = vectors
    }
  }

  mutating func accept(
    rows: UnsafeBufferPointer<UInt32>, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    live.accept(rows: rows, verdicts: verdicts)
    if !excluded.isEmpty {
      for index in rows.indices where excluded.containsAscending(rows[index]) { verdicts[index] = false }
    }
    if let known = self.rows {
      for index in rows.indices where verdicts[index] { verdicts[index] = known.contains(rows[index]) }
    }
    guard !filters.isEmpty else { return }
    kept.removeAll(keepingCapacity: true)
    payloads.removeAll(keepingCapacity: true)
    ids.removeAll(keepingCapacity: true)
    vectors.removeAll(keepingCapacity: true)
    places.removeAll(keepingCapacity: true)
    for index in rows.indices where verdicts[index] {
      if let payload = prepared[rows[index]] {
        payloads.append(payload)
      } else {
        payloads.append(try source.payload(Int(rows[index]), keeping: &kept))
      }
      if readsIDs {
        if let id = preparedIDs[rows[index]] {
          ids.append(id.bytes)
        } else {
          ids.append(try source.idBytes(Int(rows[index])))
        }
      }
      for (place, field) in vectorFields.enumerated() {
        if let prepared = preparedVectors[rows[index]] {
          vectors.append(prepared[place]?.bytes ?? UnsafeRawBufferPointer(start: nil, count: 0))
        } else {
          vectors.append(try source.vector(Int(rows[index]), field: field))
        }
      }
      places.append(index)
    }
    for filter in filters where !places.isEmpty { try apply(filter, verdicts) }
  }

  /// Runs one filter on the candidates that are left and keeps those that pass.
  private mutating func apply(
    _ filter: any CandidateFilter, _ verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    passed.removeAll(keepingCapacity: true)
    passed.append(contentsOf: repeatElement(false, count: places.count))
    vectorsOfField.removeAll(keepingCapacity: true)
    if let field = filter.readsVector, let place = vectorFields.firstIndex(of: field) {
      for index in places.indices { vectorsOfField.append(vectors[index * vectorFields.count + place]) }
    }
    try payloads.withUnsafeBufferPointer { (payloads) throws(RoostError) in
      try ids.withUnsafeBufferPointer { (ids) throws(RoostError) in
        try vectorsOfField.withUnsafeBufferPointer { (vectors) throws(RoostError) in
          try passed.withUnsafeMutableBufferPointer { (passed) throws(RoostError) in
            try filter.evaluate(
              CandidateBatch(ids: ids, payloads: payloads, vectors: vectors), verdicts: passed)
          }
        }
      }
    }
    var count = 0
    for index in places.indices {
      if passed[index] {
        places[count] = places[index]
        payloads[count] = payloads[index]
        if readsIDs { ids[count] = ids[index] }
        for place in vectorFields.indices {
          vectors[count * vectorFields.count + place] = vectors[index * vectorFields.count + place]
        }
        count += 1
      } else {
        verdicts[places[index]] = false
      }
    }
    places.removeLast(places.count - count)
    payloads.removeLast(payloads.count - count)
    if readsIDs { ids.removeLast(ids.count - count) }
    vectors.removeLast(vectors.count - count * vectorFields.count)
  }
}
