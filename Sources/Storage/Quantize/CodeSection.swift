// The codes of a segment: written once, then held in memory by segments that are read from disk.

import Core

/// Writes the codes of a graph's rows as one section.
enum CodeSectionWriter {
  private static let rowsPerBatch = 65_536

  /// - Parameter order: the graph's rows in the order of the segment, and the cells they make.
  static func write(
    _ graph: GrowingGraph, order: RowOrder, book: CodeBook, workers: any Workers, to writer: PagedFileWriter
  ) async throws(RoostError) -> Section {
    let rows = order.rows
    precondition(order.cells.first == (rows.isEmpty ? nil : 0))
    writer.beginSection()
    try await writer.append(book.encodedHeader(cells: order.cells.count))
    for start in stride(from: 0, to: rows.count, by: rowsPerBatch) {
      let count = min(rowsPerBatch, rows.count - start)
      let batch = IOBuffer(count: count * book.rowStride)
      await graph.forEachRun(count: count, workers: workers) { run, _ in
        var floats = [Float](repeating: 0, count: book.shape.dimension)
        for index in run {
          book.encode(
            graph.vector(rows[start + index]), into: batch.base + index * book.rowStride, floats: &floats)
        }
      }
      try await writer.append(batch.bytes)
    }
    var starts = ByteWriter(reserving: order.cells.count * 4)
    for start in order.cells { starts.u32(start) }
    try await writer.append(starts.bytes)
    let centres = IOBuffer(count: order.cells.count * book.rowStride)
    await graph.forEachRun(count: order.cells.count, workers: workers) { run, _ in
      for cell in run {
        let end = cell + 1 < order.cells.count ? Int(order.cells[cell + 1]) : rows.count
        var centre = mean(of: rows[Int(order.cells[cell])..<end], graph)
        book.encode(&centre, into: centres.base + cell * book.rowStride)
      }
    }
    try await writer.append(centres.bytes)
    return try await writer.endSection()
  }

  private static func mean(of rows: ArraySlice<UInt32>, _ graph: GrowingGraph) -> [Float] {
    var floats = [Float](repeating: 0, count: graph.shape.dimension)
    var sum = floats
    for row in rows {
      CodeBook.load(graph.vector(row), graph.shape, into: &floats)
      for index in sum.indices { sum[index] += floats[index] }
    }
    return sum.map { $0 / Float(max(rows.count, 1)) }
  }
}

/// The sections of a segment's graph, as `SegmentGraph` reads them.
struct GraphSections: Sendable, Equatable {
  var nodes: Section
  var codes: Section
  /// Without bytes in a segment that has no links.
  var links: Section
}

/// Writes what `SegmentGraph` reads.
enum GraphSectionWriter {
  /// Writes nodes, codes and, for the fast layout, links of a graph on which `finish` was called.
  /// - Parameters:
  ///   - order: the graph's rows in the order of the segment.
  ///   - entries: those of the rows, in that order.
  static func write(
    _ graph: GrowingGraph, order: RowOrder, entries: RowEntries?, layout: GraphLayout,
    to writer: PagedFileWriter, workers: any Workers
  ) async throws(RoostError) -> (sections: GraphSections, entryPoints: [UInt32]) {
    let encoder = await workers.run {
      NodeSectionEncoder(graph: graph, order: order.rows, entries: entries)
    }
    let rows = order.rows
    let book = CodeBook(shape: graph.shape, count: rows.count) { graph.vector(rows[$0]) }
    let nodes = try await encoder.write(to: writer, workers: workers)
    let codes = try await CodeSectionWriter.write(
      graph, order: order, book: book, workers: workers, to: writer)
    let links: Section
    if layout == .fast, let linkLayout = LinkLayout(encoder.layout) {
      links = try await LinkSectionWriter.write(
        encoder, layout: linkLayout, book: book, workers: workers, to: writer)
    } else {
      links = try await writer.section([])
    }
    return (GraphSections(nodes: nodes, codes: codes, links: links), encoder.entryPoints)
  }
}

/// The codes of all rows of a segment and of the centres of its cells, in memory.
final class CodeTable: Sendable {
  private static let readBytes = 1 << 20

  let book: CodeBook
  let rowCount: Int
  private let memory: AnonymousMemory
  /// Rows at which cells begin, ascending from 0, then `rowCount`.
  let cellStarts: [UInt32]
  /// From the start of the memory to the coded centres.
  private let centresOffset: Int

  /// Reads the section.
  static func read(
    shape: VectorShape, file: PagedFile, section: Section, rowCount: Int
  ) async throws(RoostError) -> CodeTable {
    let headerBytes = CodeBook.headerBytes(shape)
    let place = UInt64(section.firstPage * PagedFile.pageBytes)
    func refuse(_ message: String) -> RoostError { .corrupted(message, file: file.path, offset: place) }
    guard section.byteCount >= headerBytes else {
      throw refuse("the section of codes has \(section.byteCount) bytes")
    }
    let header = try await file.read(section, 0..<headerBytes)
    let (book, cells) = try header.withUnsafeBufferPointer { (header) throws(RoostError) in
      try CodeBook.read(
        shape: shape, header: UnsafeRawBufferPointer(header), file: file.path, offset: place)
    }
    guard cells <= rowCount, (cells == 0) == (rowCount == 0) else {
      throw refuse("\(cells) cells for \(rowCount) rows")
    }
    let sectionBytes = book.sectionBytes(rows: rowCount, cells: cells)
    guard section.byteCount == sectionBytes else {
      throw refuse(
        "\(rowCount) coded rows in \(cells) cells make \(sectionBytes) bytes, not \(section.byteCount)")
    }
    let memory = try AnonymousMemory(count: sectionBytes - headerBytes)
    memory.preferHugePages()
    for start in stride(from: headerBytes, to: sectionBytes, by: readBytes) {
      let end = min(start + readBytes, sectionBytes)
      let piece = try await file.readApart(section, start..<end)
      if let source = piece.bytes.baseAddress {
        (memory.base + start - headerBytes).copyMemory(from: source, byteCount: end - start)
      }
    }
    let startsOffset = rowCount * book.rowStride
    var starts: [UInt32] = []
    starts.reserveCapacity(cells + 1)
    for cell in 0..<cells {
      let start = UInt32(
        littleEndian: memory.base.loadUnaligned(fromByteOffset: startsOffset + cell * 4, as: UInt32.self))
      guard cell == 0 ? start == 0 : start > starts[cell - 1] && Int(start) < rowCount else {
        throw refuse("cell \(cell) begins at row \(start)")
      }
      starts.append(start)
    }
    starts.append(UInt32(rowCount))
    return CodeTable(
      book: book, rowCount: rowCount, memory: memory, cellStarts: starts,
      centresOffset: startsOffset + cells * 4)
  }

  private init(
    book: CodeBook, rowCount: Int, memory: AnonymousMemory, cellStarts: [UInt32], centresOffset: Int
  ) {
    self.book = book
    self.rowCount = rowCount
    self.memory = memory
    self.cellStarts = cellStarts
    self.centresOffset = centresOffset
  }

  var cellCount: Int { cellStarts.count - 1 }

  /// The coded centre of a cell.
  @inline(__always)
  func centre(_ cell: Int) -> UnsafeRawPointer {
    UnsafeRawPointer(memory.base) + (centresOffset &+ cell &* book.rowStride)
  }

  /// Bytes of memory that the codes take.
  var residentBytes: Int { memory.count + cellStarts.count * 4 }

  @inline(__always)
  func pointer(_ row: UInt32) -> UnsafeRawPointer {
    precondition(Int(row) < rowCount)
    return UnsafeRawPointer(memory.base) + Int(row) &* book.rowStride
  }
}
