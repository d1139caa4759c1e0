// What a query sees: a set of segments and memtables as of one sequence number. Nothing that happens
// later changes it.

import Core

/// One place where rows live.
enum RowSource: Sendable {
  /// A memtable and how many of its rows belong to the snapshot.
  case memtable(Memtable, rows: Int)
  case segment(Segment)

  var rowCount: Int {
    switch self {
    case .memtable(_, let rows): rows
    case .segment(let segment): segment.rowCount
    }
  }

  var deadAt: AtomicWords {
    switch self {
    case .memtable(let memtable, _): memtable.deadAt
    case .segment(let segment): segment.deadAt
    }
  }

  func idBytes(_ row: Int) throws(RoostError) -> UnsafeRawBufferPointer {
    switch self {
    case .memtable(let memtable, _): memtable.entries.idBytes(row)
    case .segment(let segment): try segment.idBytes(row)
    }
  }

  func id(_ row: Int) throws(RoostError) -> RecordID {
    var reader = ByteReader(try idBytes(row))
    return try RecordID(from: &reader)
  }

  func version(_ row: Int) throws(RoostError) -> Version {
    switch self {
    case .memtable(let memtable, _): memtable.entries.version(row)
    case .segment(let segment): try segment.version(row)
    }
  }

  /// The encoded payload; valid while the source and the blocks in `kept` are referenced.
  func payload(_ row: Int, keeping kept: inout [PayloadBlock]) throws(RoostError) -> UnsafeRawBufferPointer {
    switch self {
    case .memtable(let memtable, _): return memtable.entries.payload(row)
    case .segment(let segment):
      let place = try segment.payloadPlace(row)
      let block = try segment.payloads.block(place.block)
      if kept.last !== block { kept.append(block) }
      return try block.payload(at: place.offset)
    }
  }

  func decodedPayload(_ row: Int) throws(RoostError) -> Payload {
    var kept: [PayloadBlock] = []
    let bytes = try payload(row, keeping: &kept)
    let payload = try Payload(encoded: bytes)
    return withExtendedLifetime(kept) { payload }
  }

  /// The stored bytes of a row's vector in memory or in a mapping; empty when it has none of this field.
  func vector(_ row: Int, field: Int) throws(RoostError) -> UnsafeRawBufferPointer {
    let none = UnsafeRawBufferPointer(start: nil, count: 0)
    switch self {
    case .memtable(let memtable, _):
      guard memtable.hasVector(row: row, field: field) else { return none }
      let graph = memtable.graphs[field]
      return UnsafeRawBufferPointer(start: graph.vector(UInt32(row)), count: graph.shape.rowBytes)
    case .segment(let segment):
      let vectors = segment.fields[field]
      guard let node = try vectors.rows.node(ofRow: row) else { return none }
      return UnsafeRawBufferPointer(
        start: try vectors.graph.mappedVector(node), count: vectors.graph.layout.shape.rowBytes)
    }
  }

  /// The stored bytes of a row's vector; nil when it has none of this field.
  func vectorBytes(_ row: Int, field: Int) async throws(RoostError) -> [UInt8]? {
    switch self {
    case .memtable(let memtable, _):
      guard memtable.hasVector(row: row, field: field) else { return nil }
      let graph = memtable.graphs[field]
      return Array(UnsafeRawBufferPointer(start: graph.vector(UInt32(row)), count: graph.shape.rowBytes))
    case .segment(let segment):
      let vectors = segment.fields[field]
      guard let node = try vectors.rows.node(ofRow: row) else { return nil }
      return try await vectors.graph.vectorBytes(row: node)
    }
  }

  /// Whether every row of the graph belongs to the snapshot and is alive.
  var isAllLive: Bool {
    switch self {
    case .memtable: false
    case .segment(let segment): segment.deadCount == 0
    }
  }

  @inline(__always)
  func isLive(_ row: Int, at sequence: UInt64) -> Bool {
    let death = deadAt.load(row)
    return death == 0 || death > sequence
  }

  /// The row of an id in this source that is live at `sequence`.
  func liveRow(of id: RecordID, encoded: UnsafeRawBufferPointer, at sequence: UInt64) throws(RoostError)
    -> Int?
  {
    switch self {
    case .memtable(let memtable, let rows):
      // The table knows the newest row of an id; an older snapshot may need an earlier one.
      guard let slot = memtable.slot(of: id) else { return nil }
      switch slot {
      case .row(let row) where row < rows: return isLive(Int(row), at: sequence) ? Int(row) : nil
      case .tombstone(_, let death) where death <= sequence: return nil
      default: break
      }
      return try earlierRow(of: encoded, in: memtable, rows: rows, at: sequence)
    case .segment(let segment):
      guard let row = try segment.row(of: encoded), isLive(Int(row), at: sequence) else { return nil }
      return Int(row)
    }
  }

  private func earlierRow(
    of encoded: UnsafeRawBufferPointer, in memtable: Memtable, rows: Int, at sequence: UInt64
  ) throws(RoostError) -> Int? {
    for row in stride(from: rows - 1, through: 0, by: -1)
    where isLive(row, at: sequence) && compareEncodedIDs(memtable.entries.idBytes(row), encoded) == 0 {
      return row
    }
    return nil
  }
}

struct Snapshot: Sendable {
  let sequence: UInt64
  /// Newest first: the active memtable, sealed ones, segments.
  let sources: [RowSource]
  let liveCount: Int

  func locate(_ id: RecordID) throws(RoostError) -> (source: RowSource, row: Int)? {
    let encoded = IOBuffer(id.encodedBytes)
    for source in sources {
      if let row = try source.liveRow(of: id, encoded: encoded.bytes, at: sequence) { return (source, row) }
    }
    return nil
  }
}
