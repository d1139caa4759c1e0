// The payloads of all rows of a source that pass, slice by slice.

import Core

/// Goes through the rows that are alive and that a `SourceMatch` lets pass. Where indexes name the rows, no
/// others are looked at. Confined to one query.
struct PayloadRows {
  /// Rows that are tried before others on the executor may run, and whose payload blocks are held.
  private static let rowsPerSlice = 512

  private let source: RowSource
  private let named: [UInt32]?
  private var acceptor: FilteredRows
  private var position = 0
  /// What the payloads of the last slice point into.
  private var kept: [PayloadBlock] = []

  init(_ source: RowSource, _ match: SourceMatch, at sequence: UInt64) {
    self.source = source
    named = match.rows?.rows
    acceptor = FilteredRows(source, at: sequence, filters: match.rest)
  }

  /// The next rows that pass, possibly none; nil at the end. The payloads are valid until the next call.
  mutating func next() async throws(RoostError) -> [(row: UInt32, payload: UnsafeRawBufferPointer)]? {
    let total = named?.count ?? source.rowCount
    guard position < total else { return nil }
    if Task.isCancelled { throw RoostError(.cancelled, "the request was cancelled", at: "collection") }
    if position > 0 { await Task.yield() }
    let slice = position..<min(position + Self.rowsPerSlice, total)
    position = slice.upperBound
    let rows = named.map { Array($0[slice]) } ?? slice.map { UInt32($0) }
    let verdicts = try await acceptor.accepted(rows)
    kept.removeAll(keepingCapacity: true)
    var found: [(row: UInt32, payload: UnsafeRawBufferPointer)] = []
    found.reserveCapacity(rows.count)
    for (row, passes) in zip(rows, verdicts) where passes {
      found.append((row, try await payload(Int(row))))
    }
    return found
  }

  private mutating func payload(_ row: Int) async throws(RoostError) -> UnsafeRawBufferPointer {
    guard let segment = source.pagedSegment else { return try source.payload(row, keeping: &kept) }
    let place = try await segment.readPayloadPlace(row)
    let block = try await segment.payloads.read(place.block)
    if kept.last !== block { kept.append(block) }
    return try block.payload(at: place.offset)
  }
}
