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
  /// Ascending by id.
  var tombstones: [(id: RecordID, version: Version)]
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
    _ source: SegmentSource, to path: String, schema: CollectionSchema, runtime: Runtime
  ) async throws(RoostError) -> Int {
    let writer = try await PagedFileWriter.create(path, files: runtime.files)
    do throws(RoostError) {
      var footer = SegmentFooter()
      footer.rowCount = source.order.count
      footer.tombstoneCount = source.tombstones.count
      footer.lastSequence = source.lastSequence
      let attributes = try AttributeBuilder(schema.indexing)
      let entries = try await writeEntries(
        source, attributes, to: writer, footer: &footer, workers: runtime.workers)
      for (index, field) in source.fields.enumerated() {
        // Only the nodes of the first field are rows, whose entries may stand behind them.
        let isFirst = index == 0
        footer.fields.append(
          try await write(
            field, FieldFooter(schema.fields[index]), layout: schema.layout, entries: isFirst ? entries : nil,
            rows: isFirst ? nil : source.order, to: writer, workers: runtime.workers))
      }
      footer.sections[.attributes] = try await AttributeDirectory.write(
        attributes, to: writer, workers: runtime.workers)
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

  private struct Chunk: Sendable {
    var ids: [UInt8]
    var idOffsets: [UInt32]
    var versions: [Version]
    var places: [(block: UInt32, offset: UInt32)]
    var payloads: [UInt8]
    var builder: PayloadBlockBuilder
  }

  /// Payloads go out as they are collected; ids, rows and their indexes are kept until the end
  /// (about 60 bytes a row).
  private static func writeEntries(
    _ source: SegmentSource, _ attributes: AttributeBuilder, to writer: PagedFileWriter,
    footer: inout SegmentFooter, workers: any Workers
  ) async throws(RoostError) -> RowEntries {
    var ids: [UInt8] = []
    var idOffsets: [UInt32] = []
    var rows = ByteWriter(reserving: source.order.count * Segment.rowEntryBytes)
    var blocks = PayloadBlockBuilder()
    var lastVersion = source.tombstones.map(\.version).max() ?? .zero
    writer.beginSection()
    for start in stride(from: 0, to: source.order.count, by: chunkRows) {
      let range = start..<min(start + chunkRows, source.order.count)
      let builder = blocks
      let chunk = try await workers.run { collect(source, range, builder, attributes) }.get()
      for index in chunk.versions.indices {
        let (place, version) = (chunk.places[index], chunk.versions[index])
        idOffsets.append(UInt32(ids.count) + chunk.idOffsets[index])
        rows.u32(idOffsets[idOffsets.count - 1])
        rows.u32(place.block)
        rows.u32(place.offset)
        rows.u32(version.node)
        rows.u64(version.time)
        lastVersion = max(lastVersion, version)
      }
      ids += chunk.ids
      blocks = chunk.builder
      try await writer.append(chunk.payloads)
      guard ids.count < Int(UInt32.max) else {
        throw RoostError(.limitExceeded, "a segment's ids exceed 4 GiB", at: writer.path)
      }
    }
    blocks.finishBlock()
    try await writer.append(blocks.takeFinished())
    footer.sections[.payloads] = try await writer.endSection()
    footer.sections[.payloadIndex] = try await writer.section(blocks.index.bytes)
    footer.sections[.rows] = try await writer.section(rows.bytes)
    footer.sections[.ids] = try await writer.section(ids)
    let (allIDs, offsets) = (ids, idOffsets)
    let (table, order) = await workers.run { indexes(ids: allIDs, offsets: offsets) }
    footer.sections[.idTable] = try await writer.section(table)
    footer.sections[.idOrder] = try await writer.section(order)
    var tombstones = ByteWriter()
    for (id, version) in source.tombstones {
      id.encode(into: &tombstones)
      version.encode(into: &tombstones)
    }
    footer.sections[.tombstones] = try await writer.section(tombstones.bytes)
    footer.lastVersion = lastVersion
    return RowEntries(rows: rows.bytes, ids: ids, idOffsets: idOffsets)
  }

  private static func collect(
    _ source: SegmentSource, _ range: Range<Int>, _ builder: PayloadBlockBuilder,
    _ attributes: AttributeBuilder
  ) -> Result<Chunk, RoostError> {
    var builder = builder
    var ids = ByteWriter(reserving: range.count * 12)
    var chunk = Chunk(ids: [], idOffsets: [], versions: [], places: [], payloads: [], builder: builder)
    for row in source.order[range] {
      do throws(RoostError) {
        var failure: RoostError?
        try source.entry(row) { id, version, payload in
          chunk.idOffsets.append(UInt32(ids.count))
          ids.raw(id)
          chunk.versions.append(version)
          chunk.places.append(builder.add(payload))
          do throws(RoostError) { try attributes.add(payload) } catch { failure = error }
        }
        if let failure { throw failure }
      } catch { return .failure(error) }
    }
    chunk.ids = ids.bytes
    chunk.payloads = builder.takeFinished()
    chunk.builder = builder
    return .success(chunk)
  }

  /// The id table and the id order, encoded.
  private static func indexes(ids: [UInt8], offsets: [UInt32]) -> (table: [UInt8], order: [UInt8]) {
    ids.withUnsafeBytes { raw in
      func id(_ row: Int) -> UnsafeRawBufferPointer {
        let start = Int(offsets[row])
        let end = row + 1 < offsets.count ? Int(offsets[row + 1]) : raw.count
        return UnsafeRawBufferPointer(rebasing: raw[start..<end])
      }
      var table = ByteWriter(reserving: IDTable.slotCount(rows: offsets.count) * 8)
      for slot in IDTable.build(rows: offsets.count, id: id) { table.u64(slot) }
      var order = ByteWriter(reserving: offsets.count * 4)
      for row in offsets.indices.sorted(by: { compareEncodedIDs(id($0), id($1)) < 0 }) {
        order.u32(UInt32(row))
      }
      return (table.bytes, order.bytes)
    }
  }
}
