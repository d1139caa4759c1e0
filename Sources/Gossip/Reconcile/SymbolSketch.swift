// The first coded symbols of a shard, kept up to date by every write: what answers "are we in sync?" and
// small differences without looking at a single record.

import Core

/// A maintained prefix of the symbols over all digests of a replica. A change costs about 2 ln(cells)
/// additions.
public struct SymbolSketch: Sendable, Equatable {
  public static let defaultCellCount = 1_024
  public static let cellCountMax = 1 << 20
  public static let itemsMax = UInt64(Int32.max)

  public private(set) var cells: [CodedSymbol]
  /// Digests in the sketch.
  public private(set) var itemCount: UInt64 = 0

  public init(cellCount: Int = SymbolSketch.defaultCellCount) {
    precondition(cellCount > 0 && cellCount <= SymbolSketch.cellCountMax)
    cells = Array(repeating: CodedSymbol(), count: cellCount)
  }

  /// The digest must not be in the sketch.
  public mutating func insert(_ digest: RecordDigest) {
    itemCount += 1
    change(digest, sign: 1)
  }

  /// The digest must be in the sketch.
  public mutating func remove(_ digest: RecordDigest) {
    precondition(itemCount > 0, "nothing is left to remove")
    itemCount -= 1
    change(digest, sign: -1)
  }

  private mutating func change(_ digest: RecordDigest, sign: Int32) {
    cells.withUnsafeMutableBufferPointer { CodedSymbol.spread(digest, over: $0, from: 0, sign: sign) }
  }

  // MARK: - On disk

  private static let magic: UInt32 = 0x6b73_4f52  // "ROsk"
  private static let formatVersion: UInt8 = 1
  private static let headerBytes = 24
  private static let cellBytes = 21

  /// - Parameter sequence: the shard's sequence number up to which all writes are in the sketch; after a
  ///   restart the writes behind it are inserted again.
  public func encoded(sequence: UInt64) -> [UInt8] {
    var writer = ByteWriter(reserving: SymbolSketch.headerBytes + cells.count * SymbolSketch.cellBytes + 4)
    writer.u32(SymbolSketch.magic)
    writer.u8(SymbolSketch.formatVersion)
    writer.zeros(3)
    writer.u64(sequence)
    writer.u32(UInt32(itemCount))
    writer.u32(UInt32(cells.count))
    for cell in cells {
      SymbolCodec.writeSums(cell, into: &writer)
      writer.integer(cell.count)
    }
    writer.u32(crc32c(writer.bytes))
    return writer.bytes
  }

  /// Throws `.corrupted` or `.unsupportedVersion`; the sketch is then computed anew from the records.
  public static func decode(_ bytes: [UInt8]) throws(RoostError) -> (sketch: SymbolSketch, sequence: UInt64) {
    func refuse(_ message: String) -> RoostError { RoostError(.corrupted, message, at: "sketch") }
    guard bytes.count >= headerBytes + 4 else {
      throw refuse("a sketch of \(bytes.count) bytes is cut short")
    }
    return try bytes.withReader { (reader) throws(RoostError) in
      guard try reader.u32() == magic else { throw refuse("the bytes are no sketch") }
      let found = try reader.u8()
      guard found == formatVersion else {
        throw RoostError(.unsupportedVersion, "format version \(found), this program knows 1", at: "sketch")
      }
      guard crc32c(Array(bytes.dropLast(4))) == bytes.suffix(4).reversed().reduce(0, { $0 << 8 | UInt32($1) })
      else { throw refuse("the checksum is wrong") }
      guard try reader.bytes(3).allSatisfy({ $0 == 0 }) else { throw refuse("padding is not zero") }
      let sequence = try reader.u64()
      let items = UInt64(try reader.u32())
      let count = Int(try reader.u32())
      guard items <= itemsMax, count > 0, count <= cellCountMax, reader.remaining == count * cellBytes + 4
      else {
        throw refuse("\(count) cells in \(bytes.count) bytes")
      }
      var sketch = SymbolSketch(cellCount: count)
      sketch.itemCount = items
      for index in 0..<count {
        var cell = try SymbolCodec.readSums(&reader)
        cell.count = try reader.integer(Int32.self)
        sketch.cells[index] = cell
      }
      guard sketch.cells[0].count == Int32(items) else { throw refuse("the first cell does not hold all") }
      return (sketch, sequence)
    }
  }
}

extension CodedSymbol {
  /// Adds the digest to those of `cells` that it goes to; `cells[0]` is the symbol at index `from`.
  @inline(__always)
  static func spread(
    _ digest: RecordDigest, over cells: UnsafeMutableBufferPointer<CodedSymbol>, from: Int, sign: Int32
  ) {
    let seed = digest.seed
    var mapping = SymbolMapping(seed: seed)
    let first = UInt64(from)
    let end = UInt64(from + cells.count)
    while mapping.index < first { mapping.advance() }
    while mapping.index < end {
      cells[Int(mapping.index - first)].add(digest, seed: seed, sign: sign)
      mapping.advance()
    }
  }
}
