// Reading what rows hold without stalling the thread: from memory and mappings at once, from segments that
// are read page by page through the ring. Work on other threads (merges, verification) may use the direct
// way of `RowSource` instead.

import Core

extension RowSource {
  /// The segment, when its rows are read page by page.
  var pagedSegment: Segment? {
    if case .segment(let segment) = self, !segment.file.isMapped { return segment }
    return nil
  }

  /// - Parameter again: a search has just had the row's page.
  func readID(_ row: Int, again: Bool = false) async throws(RoostError) -> RecordID {
    guard let segment = pagedSegment else { return try id(row) }
    return try RecordID(encoded: try await segment.readHead(row, again: again).id)
  }

  /// The encoded id.
  func readIDBytes(_ row: Int, again: Bool = false) async throws(RoostError) -> [UInt8] {
    guard let segment = pagedSegment else { return Array(try idBytes(row)) }
    return try await segment.readHead(row, again: again).id
  }

  func readVersion(_ row: Int, again: Bool = false) async throws(RoostError) -> Version {
    guard let segment = pagedSegment else { return try version(row) }
    return try await segment.readHead(row, again: again).version
  }

  /// The encoded payload; valid while the source and the blocks in `kept` are referenced.
  func readPayload(
    _ row: Int, keeping kept: inout [PayloadBlock], again: Bool = false
  ) async throws(RoostError) -> UnsafeRawBufferPointer {
    guard let segment = pagedSegment else { return try payload(row, keeping: &kept) }
    let head = try await segment.readHead(row, again: again)
    let block = try await segment.payloads.read(head.payloadBlock)
    if kept.last !== block { kept.append(block) }
    return try block.payload(at: head.payloadOffset)
  }

  func readDecodedPayload(_ row: Int, again: Bool = false) async throws(RoostError) -> Payload {
    var kept: [PayloadBlock] = []
    let bytes = try await readPayload(row, keeping: &kept, again: again)
    let payload = try Payload(encoded: bytes)
    return withExtendedLifetime(kept) { payload }
  }

  /// The row of an id in this source that is live at `sequence`.
  func findLiveRow(
    of id: RecordID, encoded: [UInt8], at sequence: UInt64
  ) async throws(RoostError) -> Int? {
    guard let segment = pagedSegment else {
      return try encoded.withUnsafeBufferPointer { (raw) throws(RoostError) in
        try liveRow(of: id, encoded: UnsafeRawBufferPointer(raw), at: sequence)
      }
    }
    guard let row = try await segment.findRow(of: encoded), isLive(Int(row), at: sequence) else { return nil }
    return Int(row)
  }

  /// Reads ahead what the reads of these rows will need, many pages at once.
  func warm(_ rows: some Sequence<UInt32>) async { await pagedSegment?.warmRuns(of: rows) }
}

extension Snapshot {
  func find(_ id: RecordID) async throws(RoostError) -> (source: RowSource, row: Int)? {
    let encoded = id.encodedBytes
    for source in sources {
      if let row = try await source.findLiveRow(of: id, encoded: encoded, at: sequence) {
        return (source, row)
      }
    }
    return nil
  }

  /// Reads ahead the runs of rows that were found.
  func warm(_ rows: [Found]) async {
    for (index, source) in sources.enumerated() where source.pagedSegment != nil {
      await source.warm(rows.lazy.filter { $0.source == index }.map(\.row))
    }
  }

  /// Reads ahead what looking for these ids will need.
  func warm(_ ids: [RecordID]) async {
    guard sources.contains(where: { $0.pagedSegment != nil }) else { return }
    let encoded = ids.map(\.encodedBytes)
    for source in sources { await source.pagedSegment?.warmIDs(encoded) }
  }
}

extension RecordID {
  init(encoded: [UInt8]) throws(RoostError) {
    self = try encoded.withUnsafeBufferPointer { (raw) throws(RoostError) in
      var reader = ByteReader(UnsafeRawBufferPointer(raw))
      return try RecordID(from: &reader)
    }
  }
}
