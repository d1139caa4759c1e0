// Streams vectors out of a file in bounded memory, from any row on.

/// Reads a vector file batch by batch. Confined to one task.
public final class VectorFileReader {
  public let path: String
  public let format: VectorFileFormat
  public let layout: VectorFileLayout
  /// The row that `next` starts with.
  public private(set) var position = 0

  private let file: any File

  /// No batch is larger, however many rows are asked for.
  public static let batchBytesMax = 16 * 1024 * 1024

  public var element: VectorElement { layout.element }
  public var dimension: Int { layout.dimension }
  /// Rows in the file.
  public var count: Int { layout.count }

  private init(path: String, format: VectorFileFormat, layout: VectorFileLayout, file: any File) {
    self.path = path
    self.format = format
    self.layout = layout
    self.file = file
  }

  /// Opens a file whose extension names its format and checks its header against its size.
  /// Throws `.invalidArgument` with file and offset when the file is not what it says.
  public static func open(_ path: String, files: any FileSystem) async throws(RoostError) -> VectorFileReader
  {
    guard let format = VectorFileFormat(path: path) else {
      let known = VectorFileFormat.allCases.map { ".\($0.rawValue)" }.joined(separator: ", ")
      throw RoostError(
        .invalidArgument, "the extension names no vector format", at: path, remedy: "the formats are \(known)"
      )
    }
    let file = try await files.open(path, .read)
    do {
      let size = try await file.size()
      let head = IOBuffer(count: Int(min(size, UInt64(VectorFileLayout.headBytesMax))))
      let read = try await file.read(into: head, range: 0..<head.count, at: 0)
      let layout = try VectorFileLayout(format, head: head.bytes(0..<read), size: size, path: path)
      return VectorFileReader(path: path, format: format, layout: layout, file: file)
    } catch {
      await file.close()
      throw error
    }
  }

  /// Moves to a row; `count` itself is the end.
  public func seek(toRow row: Int) throws(RoostError) {
    guard (0...count).contains(row) else {
      throw RoostError(.invalidArgument, "row \(row) is outside a file of \(count) rows", at: path)
    }
    position = row
  }

  /// The next rows, at most `limit` and at most `batchBytesMax`; nil at the end.
  public func next(_ limit: Int) async throws(RoostError) -> VectorRows? {
    precondition(limit > 0)
    let rows = min(limit, count - position, max(1, VectorFileReader.batchBytesMax / layout.strideBytes))
    guard rows > 0 else { return nil }
    let rowBytes = element.byteCount(dimension: dimension)
    let target = IOBuffer(count: rows * rowBytes)
    let offset = layout.dataOffset + UInt64(position) * UInt64(layout.strideBytes)
    let isPlain = layout.strideBytes == rowBytes
    let raw = isPlain ? target : IOBuffer(count: rows * layout.strideBytes)
    let read = try await file.read(into: raw, range: 0..<raw.count, at: offset)
    guard read == raw.count else {
      throw VectorFileLayout.refuse(
        "the file became shorter while it was read", path, offset: offset + UInt64(read))
    }
    if !isPlain {
      try layout.unpack(raw.bytes, firstRow: position, into: target.mutableBytes, path: path)
    }
    defer { position += rows }
    return VectorRows(
      element: element, dimension: dimension, count: rows, firstRow: position, buffer: target)
  }

  /// Reads the rest of the file into one block, at most `limit` rows. Takes as much memory as the rows
  /// do; for benchmarks and small files.
  public func rest(_ limit: Int = .max) async throws(RoostError) -> VectorRows {
    let first = position
    let rows = min(limit, count - first)
    let rowBytes = element.byteCount(dimension: dimension)
    let whole = IOBuffer(count: rows * rowBytes)
    var done = 0
    while done < rows, let batch = try await next(rows - done) {
      let range = done * rowBytes..<(done + batch.count) * rowBytes
      UnsafeMutableRawBufferPointer(rebasing: whole.mutableBytes[range]).copyMemory(from: batch.bytes)
      done += batch.count
    }
    return VectorRows(element: element, dimension: dimension, count: rows, firstRow: first, buffer: whole)
  }

  public func close() async { await file.close() }
}
