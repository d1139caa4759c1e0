// Writes a segment file from finished graphs, one for each vector field, and the entries of its rows.

import Core

/// What a segment is made of. Row numbers are those of the graphs; the closures are called on workers.
struct SegmentSource: Sendable {
  /// One for each field.
  var fields: [FieldSource]
  /// Rows in the order in which the segment holds them; rows that are not listed are left out. It begins with the
  /// rows of the first field.
  var order: [UInt32]
  /// Encoded id, version and encoded payload of a row; the bytes are valid during the call.
  var entry:
    @Sendable (UInt32, (UnsafeRawBufferPointer, Version, UnsafeRawBufferPointer) -> Void) throws(RoostError)
      -> Void
  /// The encoded ids of all rows take at most this.
  var idBytesMax: Int
  var tombstones: any TombstoneStream
  var lastSequence: UInt64
}

struct FieldSource: Sendable {
  var graph: GrowingGraph
  /// The rows that have a vector, in the order of the nodes, and their cells.
  var order: RowOrder
}

extension SegmentSource {
  /// Brings the rows of each graph into an order in which neighbours lie together. No inserts may run meanwhile.
  /// - Parameter rows: those to keep; each is in one of the graphs.
  static func arrange(
    _ graphs: [GrowingGraph], rows: [UInt32], workers: any Workers
  ) async -> (fields: [FieldSource], order: [UInt32]) {
    await workers.run {
      guard graphs.count > 1 else {
        let order = graphs[0].localityOrder(of: rows)
        return ([FieldSource(graph: graphs[0], order: order)], order.rows)
      }
      let fields = graphs.map { graph in
        FieldSource(graph: graph, order: graph.localityOrder(of: rows.filter { graph.contains($0) }))
      }
      return (fields, fields[0].order.rows + rows.filter { !graphs[0].contains($0) })
    }
  }
}

enum SegmentWriter {
  /// Rows that are encoded between two writes.
  private static let chunkRows = 2048

  /// Writes and syncs the file at `path`; the caller makes it count by a manifest edit.
  static func write(
    _ source: SegmentSource, to path: String, schema: CollectionSchema, runtime: Runtime, work: WorkMemory,
    control: WorkControl
  ) async throws(RoostError) -> Int {
    let writer = try await PagedFileWriter.create(path, files: runtime.files)
    let workers = runtime.workers
    do throws(RoostError) {
      var footer = SegmentFooter()
      footer.rowCount = source.order.count
      footer.lastSequence = source.lastSequence
      let attributes = try AttributeBuilder(schema.indexing)
      let entries = try await writeEntries(
        source, attributes, to: writer, footer: &footer, workers: workers, work: work, control: control)
      for (index, field) in source.fields.enumerated() {
        // Only the nodes of the first field are rows, whose entries may stand behind them.
        let isFirst = index == 0
        footer.fields.append(
          try await write(
            field, FieldFooter(schema.fields[index]), layout: schema.layout, entries: isFirst ? entries : nil,
            rows: isFirst ? nil : source.order, to: writer, workers: workers))
        try control.check()
      }
      footer.sections[.attributes] = try await AttributeDirectory.write(
        attributes, to: writer, workers: workers)
      return try await writer.seal(footer)
    } catch {
      await writer.abandon()
      throw error
    }
  }

  /// - Parameter rows: the order of the segment, if the nodes of the field are not just its first rows.
  private static func write(
    _ field: FieldSource, _ footer: FieldFooter, layout: GraphLayout, entries: RowEntries?, rows: [UInt32]?,
    to writer: PagedFileWriter, workers: any Workers
  ) async throws(RoostError) -> FieldFooter {
    var footer = footer
    footer.nodeCount = field.order.rows.count
    let graph = try await GraphSectionWriter.write(
      field.graph, order: field.order, entries: entries, layout: layout, to: writer, workers: workers)
    footer.nodes = graph.sections.nodes
    footer.codes = graph.sections.codes
    footer.links = graph.sections.links
    footer.entryPoints = graph.entryPoints
    guard let rows else { return footer }
    let (nodeRows, rowNodes) = await workers.run { () -> ([UInt8], [UInt8]) in
      var places = [UInt32](repeating: NodeRows.none, count: field.graph.capacity)
      for (place, row) in rows.enumerated() { places[Int(row)] = UInt32(place) }
      var nodeRows = ByteWriter(reserving: field.order.rows.count * 4)
      var nodes = [UInt32](repeating: NodeRows.none, count: rows.count)
      for (node, row) in field.order.rows.enumerated() {
        nodeRows.u32(places[Int(row)])
        nodes[Int(places[Int(row)])] = UInt32(node)
      }
      var rowNodes = ByteWriter(reserving: rows.count * 4)
      for node in nodes { rowNodes.u32(node) }
      return (nodeRows.bytes, rowNodes.bytes)
    }
    footer.nodeRows = try await writer.section(nodeRows)
    footer.rowNodes = try await writer.section(rowNodes)
    return footer
  }

  private static func writeEntries(
    _ source: SegmentSource, _ attributes: AttributeBuilder, to writer: PagedFileWriter,
    footer: inout SegmentFooter, workers: any Workers, work: WorkMemory, control: WorkControl
  ) async throws(RoostError) -> RowEntries {
    let count = source.order.count
    let entries = EntryTable(
      count: count, rows: try await work.block(count * Segment.rowEntryBytes),
      ids: try await work.block(source.idBytesMax))
    writer.beginSection()
    for start in stride(from: 0, to: count, by: chunkRows) {
      let range = start..<min(start + chunkRows, count)
      let payloads = try await workers.run { collect(source, range, into: entries, attributes) }.get()
      try await writer.append(payloads)
      control.advance(range.count)
      try control.check()
    }
    entries.blocks.finishBlock()
    try await writer.append(entries.blocks.takeFinished())
    footer.lastVersion = max(footer.lastVersion, entries.lastVersion)
    footer.sections[.payloads] = try await writer.endSection()
    footer.sections[.payloadIndex] = try await writer.section(entries.blocks.index.bytes)
    footer.sections[.rows] = try await writer.section(
      entries.rows, count: count * Segment.rowEntryBytes, workers: workers)
    footer.sections[.ids] = try await writer.section(
      entries.ids, count: entries.idBytesUsed, workers: workers)
    let table = try await work.block(IDTable.slotCount(rows: count) * 8)
    let order = try await work.block(count * 4)
    await workers.run { entries.index(table: table, order: order) }
    footer.sections[.idTable] = try await writer.section(table, count: table.count, workers: workers)
    footer.sections[.idOrder] = try await writer.section(order, count: order.count, workers: workers)
    try control.check()
    try await writeTombstones(source.tombstones, to: writer, footer: &footer, workers: workers)
    return RowEntries(rows: entries.rows, ids: entries.ids, count: count, idBytes: entries.idBytesUsed)
  }

  /// The bytes of the payload blocks that became full.
  private static func collect(
    _ source: SegmentSource, _ range: Range<Int>, into entries: EntryTable, _ attributes: AttributeBuilder
  ) -> Result<[UInt8], RoostError> {
    do throws(RoostError) {
      for index in range {
        var failure: RoostError?
        try source.entry(source.order[index]) { id, version, payload in
          do throws(RoostError) {
            try entries.add(index, id: id, version: version, payload: payload)
            try attributes.add(payload)
          } catch { failure = error }
        }
        if let failure { throw failure }
      }
    } catch { return .failure(error) }
    return .success(entries.blocks.takeFinished())
  }
}

/// Rows and ids of a segment in the making.
///
/// Safety of `@unchecked Sendable`: the task that writes the segment and the worker that it waits for use it in
/// turn.
private final class EntryTable: @unchecked Sendable {
  private let count: Int
  let rows: AnonymousMemory
  let ids: AnonymousMemory
  private(set) var idBytesUsed = 0
  var blocks = PayloadBlockBuilder()
  private(set) var lastVersion = Version.zero

  /// - Parameters:
  ///   - rows: `count × rowEntryBytes`.
  ///   - ids: room for all encoded ids.
  init(count: Int, rows: AnonymousMemory, ids: AnonymousMemory) {
    self.count = count
    self.rows = rows
    self.ids = ids
  }

  /// Adds the next row.
  func add(
    _ row: Int, id: UnsafeRawBufferPointer, version: Version, payload: UnsafeRawBufferPointer
  ) throws(RoostError) {
    precondition(row >= 0 && row < count && !id.isEmpty)
    guard idBytesUsed + id.count <= min(ids.count, Int(UInt32.max)) else {
      throw RoostError(.limitExceeded, "a segment's ids exceed 4 GiB", at: "segment")
    }
    let place = blocks.add(payload)
    (ids.base + idBytesUsed).copyMemory(from: id.baseAddress.unsafelyUnwrapped, byteCount: id.count)
    let entry = rows.base + row * Segment.rowEntryBytes
    entry.storeBytes(of: UInt32(idBytesUsed).littleEndian, as: UInt32.self)
    entry.storeBytes(of: place.block.littleEndian, toByteOffset: 4, as: UInt32.self)
    entry.storeBytes(of: place.offset.littleEndian, toByteOffset: 8, as: UInt32.self)
    entry.storeBytes(of: version.node.littleEndian, toByteOffset: 12, as: UInt32.self)
    entry.storeBytes(of: version.time.littleEndian, toByteOffset: 16, as: UInt64.self)
    idBytesUsed += id.count
    lastVersion = max(lastVersion, version)
  }

  private func id(_ row: Int) -> UnsafeRawBufferPointer {
    func offset(_ row: Int) -> Int {
      row == count
        ? idBytesUsed
        : Int(UInt32(littleEndian: (rows.base + row * Segment.rowEntryBytes).load(as: UInt32.self)))
    }
    let start = offset(row)
    return UnsafeRawBufferPointer(start: ids.base + start, count: offset(row + 1) - start)
  }

  /// Fills the id table (`slotCount` words) and the id order (`count` rows), both zeros before.
  func index(table: AnonymousMemory, order: AnonymousMemory) {
    IDTable.build(
      rows: count,
      into: UnsafeMutableBufferPointer(
        start: table.base.assumingMemoryBound(to: UInt64.self), count: table.count / 8), id: id)
    var ranks = UnsafeMutableBufferPointer(
      start: order.base.assumingMemoryBound(to: UInt32.self), count: count)
    for row in 0..<count { ranks[row] = UInt32(row).littleEndian }
    ranks.sort {
      compareEncodedIDs(id(Int(UInt32(littleEndian: $0))), id(Int(UInt32(littleEndian: $1)))) < 0
    }
  }
}
