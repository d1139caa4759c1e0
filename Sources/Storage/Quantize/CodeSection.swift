// The codes of a segment: written once, then held in memory by segments that are read from disk.

import Core

/// Writes the codes of a graph's rows as one section.
enum CodeSectionWriter {
  private static let rowsPerBatch = 65_536

  /// - Parameter order: the graph's rows in the order of the segment.
  static func write(
    _ graph: GrowingGraph, order: [UInt32], workers: any Workers, to writer: PagedFileWriter
  ) async throws(RoostError) -> Section {
    let book = CodeBook(shape: graph.shape, count: order.count) { graph.vector(order[$0]) }
    writer.beginSection()
    try await writer.append(book.encodedHeader)
    for start in stride(from: 0, to: order.count, by: rowsPerBatch) {
      let count = min(rowsPerBatch, order.count - start)
      let batch = IOBuffer(count: count * book.rowStride)
      await graph.forEachRun(count: count, workers: workers) { run, _ in
        var floats = [Float](repeating: 0, count: book.shape.dimension)
        for index in run {
          book.encode(
            graph.vector(order[start + index]), into: batch.base + index * book.rowStride, floats: &floats)
        }
      }
      try await writer.append(batch.bytes)
    }
    return try await writer.endSection()
  }
}

/// Writes what `SegmentGraph` reads.
enum GraphSectionWriter {
  /// Writes nodes and codes of a graph on which `finish` was called.
  /// - Parameter order: the graph's rows in the order of the segment.
  static func write(
    _ graph: GrowingGraph, order: [UInt32], to writer: PagedFileWriter, workers: any Workers
  ) async throws(RoostError) -> (nodes: Section, codes: Section, entryPoints: [UInt32]) {
    let encoder = NodeSectionEncoder(graph: graph, order: order)
    let nodes = try await encoder.write(to: writer)
    let codes = try await CodeSectionWriter.write(graph, order: order, workers: workers, to: writer)
    return (nodes, codes, encoder.entryPoints)
  }
}

/// The codes of all rows of a segment, in memory.
final class CodeTable: Sendable {
  /// A landmark costs a search about 4 ns and saves it, on average, part of a read.
  private static let landmarksMax = 2_048
  private static let rowsPerLandmark = 64

  let book: CodeBook
  let rowCount: Int
  private let memory: AnonymousMemory
  /// Rows spread evenly over the table; searches start from the nearest of them.
  let landmarks: [UInt32]
  /// The codes of the landmarks, one after the other.
  private let landmarkCodes: AnonymousMemory

  /// Copies the section from the verified pages of the file.
  init(shape: VectorShape, file: PagedFile, section: Section, rowCount: Int) throws(RoostError) {
    let headerBytes = CodeBook.headerBytes(dimension: shape.dimension)
    let place = UInt64(section.firstPage * PagedFile.pageBytes)
    guard section.byteCount >= headerBytes else {
      throw .corrupted("the section of codes has \(section.byteCount) bytes", file: file.path, offset: place)
    }
    book = try CodeBook(
      shape: shape, header: try file.bytes(section, 0..<headerBytes), file: file.path, offset: place)
    guard section.byteCount == book.sectionBytes(rows: rowCount) else {
      throw .corrupted(
        "\(rowCount) coded rows make \(book.sectionBytes(rows: rowCount)) bytes, the section has \(section.byteCount)",
        file: file.path, offset: place)
    }
    self.rowCount = rowCount
    memory = try AnonymousMemory(count: rowCount * book.rowStride)
    memory.preferHugePages()
    let bytes = try file.bytes(section, headerBytes..<section.byteCount)
    if let source = bytes.baseAddress { memory.base.copyMemory(from: source, byteCount: bytes.count) }
    let landmarkCount = min(Self.landmarksMax, rowCount / Self.rowsPerLandmark)
    landmarks = (0..<landmarkCount).map { UInt32($0 * rowCount / landmarkCount) }
    landmarkCodes = try AnonymousMemory(count: landmarkCount * book.rowStride)
    for (index, row) in landmarks.enumerated() {
      (landmarkCodes.base + index * book.rowStride).copyMemory(
        from: memory.base + Int(row) * book.rowStride, byteCount: book.rowStride)
    }
  }

  @inline(__always)
  func landmarkPointer(_ index: Int) -> UnsafeRawPointer {
    UnsafeRawPointer(landmarkCodes.base) + index &* book.rowStride
  }

  /// Bytes of memory that the codes take.
  var residentBytes: Int { (rowCount + landmarks.count) * book.rowStride }

  @inline(__always)
  func pointer(_ row: UInt32) -> UnsafeRawPointer {
    precondition(Int(row) < rowCount)
    return UnsafeRawPointer(memory.base) + Int(row) &* book.rowStride
  }
}
