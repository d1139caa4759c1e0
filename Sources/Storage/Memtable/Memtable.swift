// The newest records, in memory and in the WAL of the same number. Searchable through growing graphs, one for
// each vector field; sealed when full, written out as a segment, then dropped.

import Core
import Synchronization

/// One writer (the commit loop) appends; readers hold a row count from their snapshot and see no more.
final class Memtable: Sendable {
  /// The number of the WAL that holds the same writes.
  let number: UInt64
  let capacity: Int
  let entries: EntryArena
  /// One for each field; all number their rows as the memtable does.
  let graphs: [GrowingGraph]
  /// By row, the fields of which it has a vector; nil with one field, of which every row has one.
  private let masks: AtomicWords?
  /// Sequence number at which each row was overwritten or deleted; 0 while it lives.
  let deadAt: AtomicWords
  /// Rows that pass filters asked lately.
  let answers = MemtableAnswers()
  private let state = Mutex(State())

  enum Slot: Sendable, Equatable {
    case row(UInt32)
    /// A delete, and its sequence number.
    case tombstone(Version, sequence: UInt64)
  }

  private struct State {
    var rowCount = 0
    var slots: [RecordID: Slot] = [:]
    var sortedRows: [UInt32] = []
    var lastSequence: UInt64 = 0
    var deleteCount = 0
    var tombstoneCount = 0
  }

  init(number: UInt64, schema: CollectionSchema, options: StorageOptions) throws(RoostError) {
    self.number = number
    capacity = options.memtableRows
    entries = try EntryArena(capacity: capacity, bytes: options.memtableEntryBytes)
    var graphs: [GrowingGraph] = []
    for field in schema.fields {
      graphs.append(
        try GrowingGraph(
          shape: field.shape, degree: field.degree,
          buildEffort: min(options.memtableEffort, field.buildEffort), capacity: capacity,
          keepsReachable: true))
    }
    self.graphs = graphs
    masks = graphs.count > 1 ? try AtomicWords(count: capacity) : nil
    deadAt = try AtomicWords(count: capacity)
  }

  /// Rows that the writer has appended; readers use the count of their snapshot instead.
  var rowCount: Int { state.withLock { $0.rowCount } }
  /// The newest call in the WAL of this memtable.
  var lastSequence: UInt64 { state.withLock { $0.lastSequence } }
  var isEmpty: Bool { state.withLock { $0.slots.isEmpty } }
  var hasSeveralFields: Bool { masks != nil }

  func hasVector(row: Int, field: Int) -> Bool {
    masks.map { $0.load(row) & (1 << UInt64(field)) != 0 } ?? true
  }

  /// Whether there is room for so many more operations. Deletes count as rows, or a long series of them
  /// would never fill a memtable.
  func fits(rows: Int, entryBytes: Int) -> Bool {
    state.withLock { $0.rowCount + $0.deleteCount } + rows <= capacity && entries.fits(bytes: entryBytes)
  }

  func slot(of id: RecordID) -> Slot? { state.withLock { $0.slots[id] } }

  func version(of slot: Slot) -> Version {
    switch slot {
    case .row(let row): entries.version(Int(row))
    case .tombstone(let version, _): version
    }
  }

  /// Writer only: appends a row and makes it the slot of its id. The row is in no graph yet.
  func append(id: RecordID, version: Version, vectors: StoredVectors, payload: [UInt8]) -> UInt32 {
    let row = rowCount
    var writer = ByteWriter(reserving: 16)
    id.encode(into: &writer)
    vectors.bytes.withUnsafeBytes { bytes in
      var start = 0
      for (field, graph) in graphs.enumerated() where vectors.has(field: field) {
        let end = start + graph.shape.rowBytes
        graph.vectors.set(row, from: UnsafeRawBufferPointer(rebasing: bytes[start..<end]))
        start = end
      }
    }
    masks?.store(UInt64(vectors.mask), at: row)
    entries.set(row: row, id: writer.bytes, version: version, payload: payload)
    state.withLock { state in
      if case .tombstone = state.slots.updateValue(.row(UInt32(row)), forKey: id) {
        state.tombstoneCount -= 1
      }
      state.rowCount = row + 1
    }
    return UInt32(row)
  }

  /// Writer only: remembers a delete. The row that it kills, if any, is marked by the caller.
  func bury(id: RecordID, version: Version, sequence: UInt64) {
    state.withLock { state in
      let before = state.slots.updateValue(.tombstone(version, sequence: sequence), forKey: id)
      if case .tombstone = before {} else { state.tombstoneCount += 1 }
      state.deleteCount += 1
    }
  }

  /// Writer only: a call was applied. One that changed nothing counts, too: its frame is in the WAL, and
  /// recovery goes on right after the last call that was flushed.
  func finish(call sequence: UInt64) { state.withLock { $0.lastSequence = sequence } }

  var tombstoneCount: Int { state.withLock { $0.tombstoneCount } }

  /// The remembered deletes, ascending by id.
  var tombstones: [Tombstone] {
    let found: [(id: RecordID, version: Version)] = state.withLock { state in
      state.slots.compactMap { id, slot in
        if case .tombstone(let version, _) = slot { (id, version) } else { nil }
      }
    }
    return found.sorted { $0.id < $1.id }
      .map { Tombstone(id: $0.id.encodedBytes, version: $0.version) }
  }

  /// All rows in the order of their ids (several versions of one id stand side by side).
  func sortedRows() throws(RoostError) -> [UInt32] {
    let (count, cached) = state.withLock { ($0.rowCount, $0.sortedRows) }
    if cached.count == count { return cached }
    let sorted = (0..<UInt32(count)).sorted { a, b in
      compareEncodedIDs(entries.idBytes(Int(a)), entries.idBytes(Int(b))) < 0
    }
    state.withLock { $0.sortedRows = sorted }
    return sorted
  }

  /// Bytes that the rows have taken so far.
  var memoryBytes: Int {
    graphs.reduce(entries.usedBytes + rowCount * 24) {
      $0 + $1.count * ($1.vectors.stride + $1.neighboursMax * 4)
    }
  }
}
