// The frames of a manifest: what changed about the set of files. `spec/storage.md`, "Manifest".

import Core

/// Segments and their dead rows, the first WAL that still matters, and what was flushed.
struct ManifestState: Sendable {
  var schema: CollectionSchema
  /// Every file number below this has been given out.
  var nextFileNumber: UInt64
  /// WALs with lower numbers are obsolete.
  var walFloor: UInt64
  /// Everything up to this sequence number is in segments.
  var flushedSequence: UInt64
  var lastVersion: Version
  /// Dead rows of each segment by segment number.
  var segments: [UInt64: [UInt32]] = [:]
}

/// One change of the manifest's state; applied as a whole.
struct VersionEdit: Sendable {
  var nextFileNumber: UInt64
  var walFloor: UInt64
  var flushedSequence: UInt64
  var lastVersion: Version
  var addedSegments: [UInt64] = []
  var removedSegments: [UInt64] = []
  /// Rows that died since the last edit, ascending.
  var deadRows: [UInt64: [UInt32]] = [:]

  func apply(to state: inout ManifestState) throws(RoostError) {
    state.nextFileNumber = nextFileNumber
    state.walFloor = walFloor
    state.flushedSequence = flushedSequence
    state.lastVersion = lastVersion
    for number in removedSegments {
      guard state.segments.removeValue(forKey: number) != nil else {
        throw RoostError(.corrupted, "an edit removes segment \(number), which does not exist")
      }
    }
    for number in addedSegments {
      guard state.segments.updateValue([], forKey: number) == nil else {
        throw RoostError(.corrupted, "an edit adds segment \(number), which exists")
      }
    }
    for (number, rows) in deadRows {
      guard state.segments[number] != nil else {
        throw RoostError(.corrupted, "an edit marks rows of segment \(number), which does not exist")
      }
      state.segments[number]?.append(contentsOf: rows)
    }
  }
}

enum ManifestRecord {
  case snapshot(ManifestState)
  case edit(VersionEdit)

  private static let snapshotTag: UInt8 = 1
  private static let editTag: UInt8 = 2

  func encoded() -> [UInt8] {
    var writer = ByteWriter()
    switch self {
    case .snapshot(let state):
      writer.u8(Self.snapshotTag)
      state.schema.encode(into: &writer)
      Self.encodeCounters(
        state.nextFileNumber, state.walFloor, state.flushedSequence, state.lastVersion, into: &writer)
      Self.encodeRows(state.segments, into: &writer)
    case .edit(let edit):
      writer.u8(Self.editTag)
      Self.encodeCounters(
        edit.nextFileNumber, edit.walFloor, edit.flushedSequence, edit.lastVersion, into: &writer)
      for numbers in [edit.addedSegments, edit.removedSegments] {
        writer.count(numbers.count)
        for number in numbers { writer.u64(number) }
      }
      Self.encodeRows(edit.deadRows, into: &writer)
    }
    return writer.bytes
  }

  init(decoding body: [UInt8]) throws(RoostError) {
    self = try body.withReader { (reader) throws(RoostError) in
      let record: ManifestRecord
      switch try reader.u8() {
      case Self.snapshotTag:
        let schema = try CollectionSchema(from: &reader)
        let counters = try Self.decodeCounters(from: &reader)
        record = .snapshot(
          ManifestState(
            schema: schema, nextFileNumber: counters.next, walFloor: counters.floor,
            flushedSequence: counters.sequence, lastVersion: counters.version,
            segments: try Self.decodeRows(from: &reader)))
      case Self.editTag:
        let counters = try Self.decodeCounters(from: &reader)
        record = .edit(
          VersionEdit(
            nextFileNumber: counters.next, walFloor: counters.floor, flushedSequence: counters.sequence,
            lastVersion: counters.version, addedSegments: try Self.decodeNumbers(from: &reader),
            removedSegments: try Self.decodeNumbers(from: &reader),
            deadRows: try Self.decodeRows(from: &reader)))
      case let tag: throw RoostError(.corrupted, "unknown manifest record \(tag)")
      }
      try reader.expectEnd("manifest record")
      return record
    }
  }

  private static func encodeCounters(
    _ next: UInt64, _ floor: UInt64, _ sequence: UInt64, _ version: Version, into writer: inout ByteWriter
  ) {
    writer.u64(next)
    writer.u64(floor)
    writer.u64(sequence)
    version.encode(into: &writer)
  }

  private static func decodeCounters(
    from reader: inout ByteReader
  ) throws(RoostError) -> (next: UInt64, floor: UInt64, sequence: UInt64, version: Version) {
    (try reader.u64(), try reader.u64(), try reader.u64(), try Version(from: &reader))
  }

  private static func decodeNumbers(from reader: inout ByteReader) throws(RoostError) -> [UInt64] {
    let count = try reader.count("segment count", atMost: Limits.segmentsMax)
    var numbers: [UInt64] = []
    for _ in 0..<count { numbers.append(try reader.u64()) }
    return numbers
  }

  /// Per segment: its number, a count, and the rows ascending as differences.
  private static func encodeRows(_ rows: [UInt64: [UInt32]], into writer: inout ByteWriter) {
    writer.count(rows.count)
    for (number, dead) in rows.sorted(by: { $0.key < $1.key }) {
      writer.u64(number)
      writer.count(dead.count)
      var previous: UInt32 = 0
      for row in dead.sorted() {
        writer.varint(UInt64(row - previous))
        previous = row
      }
    }
  }

  private static func decodeRows(from reader: inout ByteReader) throws(RoostError) -> [UInt64: [UInt32]] {
    var result: [UInt64: [UInt32]] = [:]
    for _ in 0..<(try reader.count("segment count", atMost: Limits.segmentsMax)) {
      let number = try reader.u64()
      let count = try reader.count("row count", atMost: reader.remaining)
      var rows: [UInt32] = []
      rows.reserveCapacity(count)
      var previous: UInt64 = 0
      for _ in 0..<count {
        previous += try reader.varint() & 0xffff_ffff
        guard previous <= UInt64(UInt32.max) else {
          throw RoostError(.corrupted, "a dead row exceeds 32 bits")
        }
        rows.append(UInt32(previous))
      }
      guard result.updateValue(rows, forKey: number) == nil else {
        throw RoostError(.corrupted, "segment \(number) stands twice")
      }
    }
    return result
  }
}
