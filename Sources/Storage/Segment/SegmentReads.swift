// Reading rows of a segment by page reads: what `Segment` does in a mapping, without a stall of the thread.

import Core

/// What the entry of a row says, and its id.
struct RowHead: Sendable {
  /// Encoded.
  var id: [UInt8]
  var version: Version
  var payloadBlock: Int
  var payloadOffset: Int

  init(entry: UnsafeRawBufferPointer, id: UnsafeRawBufferPointer) throws(RoostError) {
    self.id = Array(id)
    var reader = ByteReader(entry)
    try reader.skip(4)
    payloadBlock = Int(try reader.u32())
    payloadOffset = Int(try reader.u32())
    let node = try reader.u32()
    version = Version(time: try reader.u64(), node: node)
  }
}

extension Segment {
  /// Id, version and place of the payload of a row. One read at most when the run's tail holds them.
  /// - Parameter again: the caller has just had the row's run.
  func readHead(_ row: Int, again: Bool = false) async throws(RoostError) -> RowHead {
    precondition(row >= 0 && row < rowCount)
    if file.isMapped { return try RowHead(entry: entry(row), id: idBytes(row)) }
    let graph = rowGraph
    let layout = graph.layout
    let run = layout.run(of: UInt32(row))
    if layout.tailBytes > 0, row < graph.count {
      let held = try await file.hold(
        page: graph.firstPage(ofRun: run), count: layout.pagesPerRun, again: again)
      let found = try layout.readTail(held.bytes, index: row - layout.firstRow(ofRun: run)) {
        .corrupted(
          "the entry of row \(row) leaves its page", file: file.path, offset: graph.fileOffset(ofRun: run))
      }
      if let found { return try RowHead(entry: found.entry, id: found.id) }
    }
    let start = row * Self.rowEntryBytes
    let entry = try await file.read(footer.section(.rows), start..<start + Self.rowEntryBytes)
    let ids = footer.section(.ids)
    let offset = entry.withUnsafeBytes { Int(UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self))) }
    guard offset + 2 <= ids.byteCount else { throw misplaced("id", row) }
    let longest = min(ids.byteCount, offset + encodedIDBytes(tag: 1, length: UInt8(Limits.keyBytesMax)))
    let id = try await file.read(ids, offset..<longest)
    let count = encodedIDBytes(tag: id[0], length: id[1])
    guard count <= id.count else { throw misplaced("id", row) }
    let result: Result<RowHead, RoostError> = entry.withUnsafeBytes { entry in
      id.withUnsafeBytes { id in
        do throws(RoostError) {
          return .success(try RowHead(entry: entry, id: UnsafeRawBufferPointer(rebasing: id[..<count])))
        } catch { return .failure(error) }
      }
    }
    return try result.get()
  }

  /// Where the payload of a row lies; its run has just been read.
  func readPayloadPlace(inRunOf row: Int) async throws(RoostError) -> (block: Int, offset: Int) {
    let head = try await readHead(row, again: true)
    return (head.payloadBlock, head.payloadOffset)
  }

  /// Where the payload of a row lies, from the section of entries.
  func readPayloadPlace(_ row: Int) async throws(RoostError) -> (block: Int, offset: Int) {
    let start = row * Self.rowEntryBytes + 4
    let bytes = try await file.read(footer.section(.rows), start..<start + 8)
    return bytes.withUnsafeBytes {
      (
        Int(UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self))),
        Int(UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: 4, as: UInt32.self)))
      )
    }
  }

  /// The row of an encoded id.
  func findRow(of encodedID: [UInt8]) async throws(RoostError) -> UInt32? {
    if file.isMapped {
      return try encodedID.withUnsafeBufferPointer { (raw) throws(RoostError) in
        try row(of: UnsafeRawBufferPointer(raw))
      }
    }
    let slots = IDTable.slotCount(rows: rowCount)
    let hash = encodedID.withUnsafeBytes { RecordID.stableHash($0) }
    var slot = IDTable.home(hash, slots)
    let table = footer.section(.idTable)
    for _ in 0..<slots {
      let bytes = try await file.read(table, slot * 8..<slot * 8 + 8)
      let word = bytes.withUnsafeBytes { UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) }
      if word == 0 { return nil }
      if let row = try IDTable.row(in: word, hash: hash, rows: rowCount),
        try await readHead(row).id == encodedID
      {
        return UInt32(row)
      }
      slot = slot + 1 == slots ? 0 : slot + 1
    }
    return nil
  }

  /// Reads ahead what `findRow` will need for these ids.
  func warmIDs(_ encodedIDs: [[UInt8]]) async {
    guard !file.isMapped, encodedIDs.count > 1 else { return }
    let table = footer.section(.idTable)
    let slots = IDTable.slotCount(rows: rowCount)
    await file.warm(
      encodedIDs.map { id in
        let slot = IDTable.home(id.withUnsafeBytes { RecordID.stableHash($0) }, slots)
        return table.firstPage + slot * 8 / PagedFile.pageBytes
      }, count: 1)
  }

  /// Reads ahead the runs of these rows.
  func warmRuns(of rows: some Sequence<UInt32>) async {
    guard !file.isMapped else { return }
    let graph = rowGraph
    let layout = graph.layout
    await file.warm(
      rows.filter { Int($0) < graph.count }.map { graph.firstPage(ofRun: layout.run(of: $0)) },
      count: layout.pagesPerRun)
  }

  /// The rows at these places of the id order.
  func readRows(atRanks ranks: Range<Int>) async throws(RoostError) -> [UInt32] {
    let bytes = try await file.read(footer.section(.idOrder), ranks.lowerBound * 4..<ranks.upperBound * 4)
    var rows: [UInt32] = []
    rows.reserveCapacity(ranks.count)
    for index in 0..<ranks.count {
      let row = bytes.withUnsafeBytes {
        UInt32(littleEndian: $0.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
      }
      guard Int(row) < rowCount else { throw misplaced("id order", ranks.lowerBound + index) }
      rows.append(row)
    }
    return rows
  }

  /// The first rank whose id is greater than `encodedID`; 0 without one.
  func findRank(after encodedID: [UInt8]?) async throws(RoostError) -> Int {
    guard let encodedID else { return 0 }
    var low = 0
    var high = rowCount
    while low < high {
      let middle = (low + high) / 2
      let row = try await readRows(atRanks: middle..<middle + 1)[0]
      let id = try await readHead(Int(row)).id
      let order = id.withUnsafeBytes { id in encodedID.withUnsafeBytes { compareEncodedIDs(id, $0) } }
      if order <= 0 { low = middle + 1 } else { high = middle }
    }
    return low
  }
}

extension PayloadBlocks {
  /// As `block`, by reads when the file is not mapped.
  func read(_ number: Int) async throws(RoostError) -> PayloadBlock {
    if let cached = cached(number) { return cached }
    guard !file.isMapped else { return try block(number) }
    let entry = try await file.read(index, number * 16..<(number + 1) * 16)
    let place = try entry.withUnsafeBufferPointer { (entry) throws(RoostError) in
      try self.place(number, UnsafeRawBufferPointer(entry))
    }
    let stored = try await file.readApart(payloads, place.stored)
    let block = try decode(stored.bytes, place)
    insert(block, number)
    return block
  }
}
