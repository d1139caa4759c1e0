// From a record id to its row: an open-addressing hash table in a section. `spec/storage.md`, "Id table".
//
// slot := 0, or hash's upper 32 bits << 32 | row + 1. Home slot: (lower 32 bits × slots) >> 32,
// linear probing. The 32 bits of hash spare a look at the id for all but a false match in billions.

import CKernels
import Core
import Glibc

extension RecordID {
  /// A hash that is part of the file format: FNV-1a over the encoded id, then the finalizer of MurmurHash3.
  static func stableHash(_ encoded: UnsafeRawBufferPointer) -> UInt64 {
    var hash: UInt64 = 0xcbf2_9ce4_8422_2325
    for byte in encoded { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    hash = (hash ^ (hash >> 33)) &* 0xff51_afd7_ed55_8ccd
    hash = (hash ^ (hash >> 33)) &* 0xc4ce_b9fe_1a85_ec53
    return hash ^ (hash >> 33)
  }

  var encodedBytes: [UInt8] {
    var writer = ByteWriter(reserving: 16)
    encode(into: &writer)
    return writer.bytes
  }
}

/// Orders encoded ids as `RecordID` orders: by tag, then numbers by value and keys by their bytes.
func compareEncodedIDs(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
  guard let x = a.first, let y = b.first, x == y else { return Int(a.first ?? 0) - Int(b.first ?? 0) }
  let skip = x == 0 ? 1 : 2  // a key's length byte does not take part
  let common = min(a.count, b.count) - skip
  guard common > 0, let p = a.baseAddress, let q = b.baseAddress else { return a.count - b.count }
  let order = memcmp(p + skip, q + skip, common)
  return order != 0 ? Int(order) : a.count - b.count
}

enum IDTable {
  static func slotCount(rows: Int) -> Int { rows + rows / 2 + 1 }

  /// Builds the table for rows whose encoded ids `id` yields, in `table`: `slotCount` zeros.
  static func build(
    rows: Int, into table: UnsafeMutableBufferPointer<UInt64>, id: (Int) -> UnsafeRawBufferPointer
  ) {
    let slots = table.count
    precondition(slots == slotCount(rows: rows))
    for row in 0..<rows {
      let hash = RecordID.stableHash(id(row))
      var slot = home(hash, slots)
      while table[slot] != 0 { slot = slot + 1 == slots ? 0 : slot + 1 }
      table[slot] = ((hash & 0xffff_ffff_0000_0000) | UInt64(row + 1)).littleEndian
    }
  }

  @inline(__always)
  static func home(_ hash: UInt64, _ slots: Int) -> Int {
    Int(((hash & 0xffff_ffff) &* UInt64(slots)) >> 32)
  }

  /// The row that a used slot names, if its bits of the hash are right.
  @inline(__always)
  static func row(in word: UInt64, hash: UInt64, rows: Int) throws(RoostError) -> Int? {
    guard word >> 32 == hash >> 32 else { return nil }
    let row = Int(word & 0xffff_ffff) - 1
    guard row >= 0, row < rows else {
      throw RoostError(.corrupted, "the id table names row \(row) of \(rows)")
    }
    return row
  }

  /// The row of an encoded id.
  /// - Parameter slot: reads one slot of the table; `id`: the encoded id of a row.
  static func find(
    _ encoded: UnsafeRawBufferPointer, slots: Int, rows: Int, slot read: (Int) throws(RoostError) -> UInt64,
    id: (Int) throws(RoostError) -> UnsafeRawBufferPointer
  ) throws(RoostError) -> UInt32? {
    let hash = RecordID.stableHash(encoded)
    var slot = home(hash, slots)
    for _ in 0..<slots {
      let word = try read(slot)
      if word == 0 { return nil }
      if let row = try row(in: word, hash: hash, rows: rows) {
        let candidate = try id(row)
        if candidate.count == encoded.count, compareEncodedIDs(candidate, encoded) == 0 { return UInt32(row) }
      }
      slot = slot + 1 == slots ? 0 : slot + 1
    }
    return nil
  }
}
