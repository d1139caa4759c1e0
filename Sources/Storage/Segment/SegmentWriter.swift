// Writes a segment file from a finished graph and the entries of its rows.

import Core

/// What a segment is made of. Row numbers are those of the graph; the closures are called on workers.
struct SegmentSource: Sendable {
  var graph: GrowingGraph
  /// Rows in the order in which the segment holds them, and their cells; rows that are not listed are left
  /// out.
  var order: RowOrder
  /// Encoded id, version and encoded payload of a graph row; the bytes are valid during the call.
  var entry:
    @Sendable (UInt32, (UnsafeRawBufferPointer, Version, UnsafeRawBufferPointer) -> Void) throws(RoostError)
      -> Void
  /// Ascending by id.
  var tombstones: [(id: RecordID, version: Version)]
  var lastSequence: UInt64
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
      footer.dimension = schema.dimension
      footer.element = schema.element
      footer.metric = schema.metric
      footer.degree = schema.degree
      footer.rowCount = source.order.rows.count
      footer.tombstoneCount = source.tombstones.count
      footer.lastSequence = source.lastSequence
      let attributes = try AttributeBuilder(schema.indexing)
      let entries = try await writeEntries(
        source, attributes, to: writer, footer: &footer, workers: runtime.workers)
      let graph = try await GraphSectionWriter.write(
        source.graph, order: source.order, entries: entries, layout: schema.layout, to: writer,
        workers: runtime.workers)
      footer.sections[.nodes] = graph.sections.nodes
      footer.sections[.codes] = graph.sections.codes
      footer.sections[.links] = graph.sections.links
      footer.entryPoints = graph.entryPoints
      footer.sections[.attributes] = try await AttributeDirectory.write(
        attributes, to: writer, workers: runtime.workers)
      return try await writer.seal(footer)
    } catch {
      await writer.abandon()
      throw error
    }
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
    var rows = ByteWriter(reserving: source.order.rows.count * Segment.rowEntryBytes)
    var blocks = PayloadBlockBuilder()
    var lastVersion = source.tombstones.map(\.version).max() ?? .zero
    writer.beginSection()
    for start in stride(from: 0, to: source.order.rows.count, by: chunkRows) {
      let range = start..<min(start + chunkRows, source.order.rows.count)
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
    for row in source.order.rows[range] {
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
