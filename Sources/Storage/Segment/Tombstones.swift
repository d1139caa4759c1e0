// Deleted ids and when: what keeps an older write from bringing a record back. `spec/storage.md`, "Tombstones".

import Core

/// A remembered delete.
struct Tombstone: Sendable, Equatable {
  /// The encoded id (`RecordID.encode`).
  var id: [UInt8]
  var version: Version
}

/// Hands out tombstones in the order of their ids, each id once. Used by one task.
protocol TombstoneStream: AnyObject, Sendable {
  func next() throws(RoostError) -> Tombstone?
}

/// Tombstones in memory, ascending by id.
///
/// Safety of `@unchecked Sendable`: only the task that writes the segment takes from it.
final class SortedTombstones: TombstoneStream, @unchecked Sendable {
  private let tombstones: [Tombstone]
  private var position = 0

  init(_ sorted: [Tombstone]) { tombstones = sorted }

  func next() -> Tombstone? {
    guard position < tombstones.count else { return nil }
    defer { position += 1 }
    return tombstones[position]
  }
}

extension Segment {
  /// Deletes that this segment remembers.
  var tombstoneCount: Int { footer.tombstoneCount }

  /// The tombstone at a place of the id order.
  func tombstone(atRank rank: Int) throws(RoostError) -> (id: UnsafeRawBufferPointer, version: Version) {
    let section = footer.section(.tombstones)
    let offsets = section.byteCount - tombstoneCount * 4
    let place = offsets + rank * 4
    let start = Int(
      UInt32(littleEndian: try file.bytes(section, place..<place + 4).loadUnaligned(as: UInt32.self)))
    guard start + 2 <= offsets else { throw misplacedTombstone(rank) }
    let head = try file.bytes(section, start..<start + 2)
    let end = start + encodedIDBytes(tag: head[0], length: head[1])
    guard end + Version.byteCount <= offsets else { throw misplacedTombstone(rank) }
    var reader = ByteReader(try file.bytes(section, end..<end + Version.byteCount))
    return (try file.bytes(section, start..<end), try Version(from: &reader))
  }

  /// When an id was deleted, if this segment remembers it. O(log tombstones).
  func tombstone(of encodedID: UnsafeRawBufferPointer) throws(RoostError) -> Version? {
    var low = 0
    var high = tombstoneCount
    while low < high {
      let middle = (low + high) / 2
      let (id, version) = try tombstone(atRank: middle)
      let order = compareEncodedIDs(id, encodedID)
      if order == 0 { return version }
      if order < 0 { low = middle + 1 } else { high = middle }
    }
    return nil
  }

  /// Checks that every tombstone decodes and that their ids ascend.
  func verifyTombstones() throws(RoostError) {
    var previous: UnsafeRawBufferPointer?
    for rank in 0..<tombstoneCount {
      let (id, _) = try tombstone(atRank: rank)
      var reader = ByteReader(id)
      _ = try RecordID(from: &reader)
      if let previous, compareEncodedIDs(previous, id) >= 0 { throw misplacedTombstone(rank) }
      previous = id
    }
  }

  private func misplacedTombstone(_ rank: Int) -> RoostError {
    .corrupted(
      "tombstone \(rank) lies outside its section or out of order", file: file.path,
      offset: UInt64(footer.section(.tombstones).firstPage * PagedFile.pageBytes))
  }
}

extension SegmentWriter {
  private static let tombstonesPerPiece = 4096

  private struct Piece: Sendable {
    var bytes: [UInt8]
    var offsets: [UInt32] = []
    var lastVersion = Version.zero
  }

  /// Writes the section of tombstones: all of them, then where each begins (4 bytes each are kept until then).
  /// - Returns: how many they are, and the greatest version among them.
  static func writeTombstones(
    _ tombstones: any TombstoneStream, to writer: PagedFileWriter, footer: inout SegmentFooter,
    workers: any Workers
  ) async throws(RoostError) {
    writer.beginSection()
    var offsets = ByteWriter()
    var start = 0
    while true {
      let base = start
      let piece = try await workers.run { collect(tombstones, from: base) }.get()
      if piece.offsets.isEmpty { break }
      for offset in piece.offsets { offsets.u32(offset) }
      footer.tombstoneCount += piece.offsets.count
      footer.lastVersion = max(footer.lastVersion, piece.lastVersion)
      start += piece.bytes.count
      try await writer.append(piece.bytes)
    }
    try await writer.append(offsets.bytes)
    footer.sections[.tombstones] = try await writer.endSection()
  }

  private static func collect(_ tombstones: any TombstoneStream, from base: Int) -> Result<Piece, RoostError>
  {
    var writer = ByteWriter()
    var piece = Piece(bytes: [])
    do throws(RoostError) {
      while piece.offsets.count < tombstonesPerPiece, let tombstone = try tombstones.next() {
        guard let offset = UInt32(exactly: base + writer.count) else {
          throw RoostError(.limitExceeded, "a segment's tombstones exceed 4 GiB", at: "segment")
        }
        piece.offsets.append(offset)
        writer.raw(tombstone.id)
        tombstone.version.encode(into: &writer)
        piece.lastVersion = max(piece.lastVersion, tombstone.version)
      }
    } catch { return .failure(error) }
    piece.bytes = writer.bytes
    return .success(piece)
  }
}
