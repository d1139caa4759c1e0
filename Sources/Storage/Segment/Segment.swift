// One immutable segment: a sealed file opened for reading, and the marks of rows that died since.

import Core
import Synchronization

/// Rows of one sealed file. Everything but `deadAt` is constant.
final class Segment: Sendable {
  let number: UInt64
  let footer: SegmentFooter
  let file: PagedFile
  let fileBytes: UInt64
  /// By field of the schema.
  let fields: [SegmentField]
  /// That of the first field, whose nodes are the first rows.
  var rowGraph: SegmentGraph { fields[0].graph }
  let payloads: PayloadBlocks
  let attributes: AttributeIndex
  /// Sequence number at which each row was overwritten or deleted; 0 while it lives.
  let deadAt: AtomicWords
  private let marks = Mutex(Marks())
  /// What every hit needs; out of the footer's dictionary.
  private let rowsSection: Section
  private let idsSection: Section

  private struct Marks {
    var deadCount = 0
    /// Deaths that no manifest edit holds yet.
    var unpersisted: [Death] = []
  }

  struct Death: Sendable {
    var row: UInt32
    var sequence: UInt64
  }

  static let rowEntryBytes = 24

  private init(
    number: UInt64, footer: SegmentFooter, file: PagedFile, fileBytes: UInt64, fields: [SegmentField],
    payloads: PayloadBlocks, attributes: AttributeIndex
  ) throws(RoostError) {
    self.number = number
    self.footer = footer
    self.file = file
    self.fileBytes = fileBytes
    self.fields = fields
    self.payloads = payloads
    self.attributes = attributes
    deadAt = try AtomicWords(count: footer.rowCount)
    rowsSection = footer.section(.rows)
    idsSection = footer.section(.ids)
  }

  /// Opens and checks a segment file; pages are verified as they are used.
  /// - Parameters:
  ///   - mapped: use vectors and graph in place; otherwise read them page by page.
  ///   - memory: the caches to use.
  static func open(
    _ path: String, number: UInt64, schema: CollectionSchema, mapped: Bool, memory: CollectionMemory,
    files: any FileSystem
  ) async throws(RoostError) -> Segment {
    let buffered = try await files.open(path, [.read])
    let mapping: FileMapping
    let footer: SegmentFooter
    let checksums: [UInt32]
    do throws(RoostError) {
      mapping = try await buffered.map()
      (footer, checksums) = try readTables(mapping.bytes, path: path)
    } catch {
      await buffered.close()
      throw error
    }
    guard footer.fields.count == schema.fields.count,
      zip(footer.fields, schema.fields).allSatisfy({ $0.fits($1) })
    else {
      await buffered.close()
      let held = footer.fields.map { "\($0.dimension) × \($0.element.name)" }.joined(separator: ", ")
      let wanted = schema.fields.map { "\($0.dimension) × \($0.element.name)" }.joined(separator: ", ")
      throw .corrupted(
        "the segment holds \(held), the collection \(wanted)", file: path,
        offset: UInt64(mapping.bytes.count - PagedFile.pageBytes))
    }
    var file = buffered
    if !mapped {
      await buffered.close()
      file = try await files.open(path, [.read, .direct])
    }
    let paged = try PagedFile(
      path: path, file: file, mapping: mapping, isMapped: mapped, checksums: checksums,
      cache: memory.pages)
    try checkSections(footer, path: path)
    var fields: [SegmentField] = []
    for (index, field) in footer.fields.enumerated() {
      let graph = try await SegmentGraph.open(
        file: paged,
        sections: GraphSections(nodes: field.nodes, codes: field.codes, links: field.links),
        shape: schema.fields[index].shape, degree: field.degree, count: field.nodeCount,
        entryPoints: field.entryPoints)
      fields.append(SegmentField(graph: graph, rows: try await nodeRows(index, footer, paged)))
    }
    return try Segment(
      number: number, footer: footer, file: paged, fileBytes: UInt64(mapping.bytes.count), fields: fields,
      payloads: PayloadBlocks(
        file: paged, index: footer.section(.payloadIndex), payloads: footer.section(.payloads),
        budget: memory.payloads),
      attributes: AttributeIndex(
        file: paged, section: footer.section(.attributes), rowCount: footer.rowCount))
  }

  /// Footer and checksum table of a whole file in memory.
  static func readTables(
    _ bytes: UnsafeRawBufferPointer, path: String
  ) throws(RoostError) -> (SegmentFooter, [UInt32]) {
    let pageBytes = PagedFile.pageBytes
    guard bytes.count >= pageBytes, bytes.count % pageBytes == 0 else {
      throw .corrupted(
        "a segment of \(bytes.count) bytes is cut short", file: path, offset: UInt64(bytes.count))
    }
    let footer = try SegmentFooter(
      page: UnsafeRawBufferPointer(rebasing: bytes[(bytes.count - pageBytes)...]), file: path,
      fileBytes: UInt64(bytes.count))
    let start = footer.checksummedPages * pageBytes
    let table = UnsafeRawBufferPointer(rebasing: bytes[start..<(bytes.count - pageBytes)])
    guard crc32c(table) == footer.tableChecksum else {
      throw .corrupted("the checksum table has a wrong checksum", file: path, offset: UInt64(start))
    }
    return (
      footer,
      (0..<footer.checksummedPages).map {
        UInt32(littleEndian: table.loadUnaligned(fromByteOffset: $0 * 4, as: UInt32.self))
      }
    )
  }

  private static func checkSections(_ footer: SegmentFooter, path: String) throws(RoostError) {
    func expect(_ kind: SectionKind, _ bytes: Int) throws(RoostError) {
      guard footer.section(kind).byteCount == bytes else {
        throw .corrupted(
          "section \(kind) has \(footer.section(kind).byteCount) bytes, \(bytes) expected", file: path,
          offset: UInt64(footer.section(kind).firstPage * PagedFile.pageBytes))
      }
    }
    try expect(.rows, footer.rowCount * rowEntryBytes)
    try expect(.idTable, IDTable.slotCount(rows: footer.rowCount) * 8)
    try expect(.idOrder, footer.rowCount * 4)
    let tombstones = footer.section(.tombstones)
    guard footer.tombstoneCount <= tombstones.byteCount / 4 else {
      throw .corrupted(
        "\(footer.tombstoneCount) tombstones do not fit \(tombstones.byteCount) bytes", file: path,
        offset: UInt64(tombstones.firstPage * PagedFile.pageBytes))
    }
  }

  private static func nodeRows(
    _ index: Int, _ footer: SegmentFooter, _ file: PagedFile
  ) async throws(RoostError) -> NodeRows {
    let field = footer.fields[index]
    let isFirst = index == 0
    guard field.nodeRows.byteCount == (isFirst ? 0 : field.nodeCount * 4),
      field.rowNodes.byteCount == (isFirst ? 0 : footer.rowCount * 4)
    else {
      throw .corrupted(
        "the rows of vector field \(index) do not have the bytes of \(field.nodeCount) nodes",
        file: file.path,
        offset: UInt64(field.nodeRows.firstPage * PagedFile.pageBytes))
    }
    if isFirst { return .same(count: field.nodeCount) }
    guard file.isMapped else {
      return try await NodeRows.read(
        file, rows: field.nodeRows, nodes: field.rowNodes, count: field.nodeCount, rowCount: footer.rowCount)
    }
    return .mapped(
      file, rows: field.nodeRows, nodes: field.rowNodes, count: field.nodeCount, rowCount: footer.rowCount)
  }

  // MARK: rows

  var rowCount: Int { footer.rowCount }
  var deadCount: Int { marks.withLock { $0.deadCount } }
  /// Dead rows that the manifest knows of; a merge drops just these.
  var persistedDeadCount: Int { marks.withLock { $0.deadCount - $0.unpersisted.count } }

  /// The encoded id of a row, in place.
  func idBytes(_ row: Int) throws(RoostError) -> UnsafeRawBufferPointer {
    let offset = Int(try entryField(row, 0))
    let ids = idsSection
    guard offset + 2 <= ids.byteCount else { throw misplaced("id", row) }
    let head = try file.bytes(ids, offset..<offset + 2)
    let count = encodedIDBytes(tag: head[0], length: head[1])
    guard offset + count <= ids.byteCount else { throw misplaced("id", row) }
    return try file.bytes(ids, offset..<offset + count)
  }

  func id(_ row: Int) throws(RoostError) -> RecordID {
    var reader = ByteReader(try idBytes(row))
    return try RecordID(from: &reader)
  }

  func version(_ row: Int) throws(RoostError) -> Version {
    var reader = ByteReader(try entry(row))
    try reader.skip(12)
    let node = try reader.u32()
    return Version(time: try reader.u64(), node: node)
  }

  /// The block that holds a row's payload, and the offset in it.
  func payloadPlace(_ row: Int) throws(RoostError) -> (block: Int, offset: Int) {
    (Int(try entryField(row, 4)), Int(try entryField(row, 8)))
  }

  func row(of encodedID: UnsafeRawBufferPointer) throws(RoostError) -> UInt32? {
    let table = footer.section(.idTable)
    return try IDTable.find(
      encodedID, slots: IDTable.slotCount(rows: rowCount), rows: rowCount,
      slot: { (slot) throws(RoostError) in try file.integer(table, slot, as: UInt64.self) },
      id: { (row) throws(RoostError) in try idBytes(row) })
  }

  /// The row at a place of the id order.
  func row(atRank rank: Int) throws(RoostError) -> Int {
    let row = Int(try file.integer(footer.section(.idOrder), rank, as: UInt32.self))
    guard row < rowCount else { throw misplaced("id order", rank) }
    return row
  }

  /// The first rank whose id is greater than `encodedID`; 0 without one.
  func rank(after encodedID: UnsafeRawBufferPointer?) throws(RoostError) -> Int {
    guard let encodedID else { return 0 }
    var low = 0
    var high = rowCount
    while low < high {
      let middle = (low + high) / 2
      if compareEncodedIDs(try idBytes(try row(atRank: middle)), encodedID) <= 0 {
        low = middle + 1
      } else {
        high = middle
      }
    }
    return low
  }

  func entry(_ row: Int) throws(RoostError) -> UnsafeRawBufferPointer {
    try file.bytes(rowsSection, row * Self.rowEntryBytes..<(row + 1) * Self.rowEntryBytes)
  }

  @inline(__always)
  private func entryField(_ row: Int, _ at: Int) throws(RoostError) -> UInt32 {
    let start = row * Self.rowEntryBytes + at
    return UInt32(
      littleEndian: try file.bytes(rowsSection, start..<start + 4).loadUnaligned(as: UInt32.self))
  }

  func misplaced(_ what: String, _ row: Int) -> RoostError {
    .corrupted(
      "the \(what) of row \(row) lies outside its section", file: file.path,
      offset: UInt64(footer.section(.rows).firstPage * PagedFile.pageBytes + row * Self.rowEntryBytes))
  }

  // MARK: deaths

  /// Marks a row as overwritten or deleted at `sequence`; false when it was dead already.
  @discardableResult
  func kill(row: UInt32, at sequence: UInt64, persisted: Bool = false) -> Bool {
    marks.withLock { marks in
      guard deadAt.load(Int(row)) == 0 else { return false }
      deadAt.store(sequence, at: Int(row))
      marks.deadCount += 1
      if !persisted { marks.unpersisted.append(Death(row: row, sequence: sequence)) }
      return true
    }
  }

  /// Deaths up to `sequence` that no manifest edit holds yet.
  func unpersistedDeaths(upTo sequence: UInt64) -> [UInt32] {
    marks.withLock { marks in marks.unpersisted.filter { $0.sequence <= sequence }.map(\.row) }
  }

  func unpersistedDeaths() -> [Death] { marks.withLock { $0.unpersisted } }

  func markPersisted(upTo sequence: UInt64) {
    marks.withLock { marks in marks.unpersisted.removeAll { $0.sequence <= sequence } }
  }

  /// Bytes that this segment holds in memory by itself (mapped pages belong to the page cache).
  var heapBytes: Int {
    fields.reduce(0) { $0 + $1.residentBytes } + payloads.cachedBytes + file.tableBytes
      + attributes.heapBytes
  }
}
