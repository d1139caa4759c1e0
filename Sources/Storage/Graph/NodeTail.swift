// What stands behind the blocks of a run when there is room: the entries and ids of its rows, so that the
// read that finds a row also brings its id, its version and the place of its payload. `spec/graph.md`,
// "Nodes".

import Core

/// Entries and ids of all rows of a segment, as their sections hold them; complete, and only read.
struct RowEntries: Sendable {
  /// `Segment.rowEntryBytes` a row.
  let rows: AnonymousMemory
  /// Encoded ids, one after the other.
  let ids: AnonymousMemory
  let count: Int
  let idBytes: Int

  func id(_ row: Int) -> Range<Int> { idOffset(row)..<idOffset(row + 1) }

  /// An entry begins with where its id does.
  private func idOffset(_ row: Int) -> Int {
    precondition(row >= 0 && row <= count)
    if row == count { return idBytes }
    return Int(UInt32(littleEndian: (rows.base + row * Segment.rowEntryBytes).load(as: UInt32.self)))
  }
}

extension NodeLayout {
  private static let entriesPresent: UInt8 = 1

  /// From the start of a run to its tail.
  var tailOffset: Int { ((blocksPerRun - 1) * stride + blockBytes + 7) & ~7 }

  /// The bytes behind the blocks of a run.
  var tailBytes: Int { max(0, runBytes - tailOffset) }

  /// Writes the tail of a run of zeros; leaves it empty when the entries of its rows do not fit.
  func writeTail(_ entries: RowEntries, rows: Range<Int>, into run: UnsafeMutableRawPointer) {
    guard let last = rows.last else { return }
    let ids = entries.id(rows.lowerBound).lowerBound..<entries.id(last).upperBound
    guard 1 + rows.count * Segment.rowEntryBytes + ids.count <= tailBytes else { return }
    var target = UnsafeMutableRawBufferPointer(start: run + tailOffset, count: tailBytes)
    func put(_ bytes: AnonymousMemory, _ range: Range<Int>) {
      target.copyMemory(
        from: UnsafeRawBufferPointer(start: bytes.base + range.lowerBound, count: range.count))
      target = UnsafeMutableRawBufferPointer(rebasing: target[range.count...])
    }
    target[0] = Self.entriesPresent
    target = UnsafeMutableRawBufferPointer(rebasing: target[1...])
    for row in rows {
      put(entries.rows, row * Segment.rowEntryBytes..<(row + 1) * Segment.rowEntryBytes)
      put(entries.ids, entries.id(row))
    }
  }

  /// Entry and encoded id of the `index`th row of a run; nil when its tail does not hold them.
  /// - Parameter refuse: makes the error for a tail that ends too early.
  func readTail(
    _ run: UnsafeRawPointer, index: Int, refuse: () -> RoostError
  ) throws(RoostError) -> (entry: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer)? {
    guard tailBytes > 0, run.load(fromByteOffset: tailOffset, as: UInt8.self) == Self.entriesPresent else {
      return nil
    }
    var offset = tailOffset + 1
    for position in 0...index {
      let idOffset = offset + Segment.rowEntryBytes
      guard idOffset + 2 <= runBytes else { throw refuse() }
      let idBytes = encodedIDBytes(
        tag: run.load(fromByteOffset: idOffset, as: UInt8.self),
        length: run.load(fromByteOffset: idOffset + 1, as: UInt8.self))
      guard idOffset + idBytes <= runBytes else { throw refuse() }
      if position == index {
        return (
          UnsafeRawBufferPointer(start: run + offset, count: Segment.rowEntryBytes),
          UnsafeRawBufferPointer(start: run + idOffset, count: idBytes)
        )
      }
      offset = idOffset + idBytes
    }
    return nil
  }
}

/// Bytes of an encoded id that begins with these two: a number of eight bytes, or a key of `length`.
func encodedIDBytes(tag: UInt8, length: UInt8) -> Int { tag == 0 ? 9 : 2 + Int(length) }
