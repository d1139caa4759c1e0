// Coded symbols as bytes: 17 bytes of sums, and the count as what it differs from the expected one.

import Core

/// Layouts in `spec/gossip.md`, section Coded symbols.
enum SymbolCodec {
  /// Key u56, version u48, check u32.
  static func writeSums(_ cell: CodedSymbol, into writer: inout ByteWriter) {
    // Seven, six and four bytes, little-endian, as two words and a byte.
    writer.u64(cell.key | cell.version << 56)
    writer.u64(cell.version >> 8 | UInt64(cell.check) << 40)
    writer.u8(UInt8(cell.check >> 24))
  }

  static func readSums(_ reader: inout ByteReader) throws(RoostError) -> CodedSymbol {
    let low = try reader.u64()
    let high = try reader.u64()
    let last = try reader.u8()
    return CodedSymbol(
      key: low, version: low >> 56 | high << 8, check: UInt32(high >> 40) | UInt32(last) << 24, count: 0)
  }

  /// - Parameter items: digests of the sender in the range, of which `cells` starting at index `from` are
  ///   made.
  static func write(_ cells: ArraySlice<CodedSymbol>, from: Int, items: UInt64, into writer: inout ByteWriter)
  {
    for (offset, cell) in cells.enumerated() {
      writeSums(cell, into: &writer)
      let expected = SymbolMapping.expectedCount(items: items, index: UInt64(from + offset))
      writer.varint(zigzag(Int64(cell.count) - Int64(expected)))
    }
  }

  /// Reads symbols to the end of the bytes.
  static func read(from: Int, items: UInt64, _ reader: inout ByteReader) throws(RoostError) -> [CodedSymbol] {
    var cells: [CodedSymbol] = []
    cells.reserveCapacity(reader.remaining / 18)
    while !reader.isAtEnd {
      let start = reader.offset
      var cell = try readSums(&reader)
      let difference = unzigzag(try reader.varint())
      let expected = SymbolMapping.expectedCount(items: items, index: UInt64(from + cells.count))
      let (count, overflow) = Int64(expected).addingReportingOverflow(difference)
      guard !overflow, let exact = Int32(exactly: count), exact >= 0 else {
        throw RoostError(
          .corrupted, "a coded symbol of \(expected) + \(difference) digests", at: "byte \(start)")
      }
      cell.count = exact
      cells.append(cell)
    }
    return cells
  }

  private static func zigzag(_ value: Int64) -> UInt64 { UInt64(bitPattern: value << 1 ^ value >> 63) }
  private static func unzigzag(_ value: UInt64) -> Int64 {
    Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
  }
}
