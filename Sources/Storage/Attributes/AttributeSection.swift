// The attribute section of a segment file: columns, a directory of paths, and a tail that says where the
// directory lies. `spec/storage.md`, "Attributes".

import Core

/// What the section says about one path.
struct AttributeEntry: Sendable, Equatable {
  /// Values of this path are in some rows, but no columns were kept.
  var isDropped = false
  /// A kind without a column is in no row.
  var columns: [AttributeKind: AttributeColumn] = [:]
}

struct AttributeDirectory: Sendable, Equatable {
  /// Directory offset u64, directory bytes u32, flags u32.
  static let tailBytes = 16
  private static let incompleteFlag: UInt32 = 1

  var paths: [FieldPath: AttributeEntry] = [:]
  /// Whether a path that is not listed may be in some row.
  var isIncomplete = false

  func encode(into writer: inout ByteWriter) {
    writer.count(paths.count)
    let entries = paths.map { (text: $0.key.text, entry: $0.value) }
    for (path, entry) in entries.sorted(by: { $0.text.utf8.lexicographicallyPrecedes($1.text.utf8) }) {
      writer.string(path)
      writer.u8(entry.isDropped ? 1 : 0)
      writer.count(entry.columns.count)
      for (_, column) in entry.columns.sorted(by: { $0.key.rawValue < $1.key.rawValue }) {
        column.encode(into: &writer)
      }
    }
  }

  init() {}

  /// Of a segment without indexes.
  static var unknown: AttributeDirectory {
    var directory = AttributeDirectory()
    directory.isIncomplete = true
    return directory
  }

  /// - Parameter room: bytes of the section before the directory.
  init(from reader: inout ByteReader, isIncomplete: Bool, rowCount: Int, room: Int) throws(RoostError) {
    self.isIncomplete = isIncomplete
    let count = try reader.count("path count", atMost: Limits.attributePathsMax)
    for _ in 0..<count {
      let path = try FieldPath(from: &reader)
      var entry = AttributeEntry()
      entry.isDropped = try reader.u8() != 0
      for _ in 0..<(try reader.count("column count", atMost: AttributeKind.allCases.count)) {
        let column = try AttributeColumn(from: &reader, rowCount: rowCount, room: room)
        entry.columns[column.kind] = column
      }
      paths[path] = entry
    }
    try reader.expectEnd("the attribute directory")
  }

  /// Writes what `builder` has collected as one section, one column in memory at a time; an empty section
  /// when nothing is indexed.
  static func write(
    _ builder: AttributeBuilder, to writer: PagedFileWriter, workers: any Workers
  ) async throws(RoostError) -> Section {
    writer.beginSection()
    let paths = builder.paths()
    var directory = AttributeDirectory()
    directory.isIncomplete = builder.isIncomplete
    guard !paths.isEmpty || !directory.isIncomplete else { return try await writer.endSection() }
    var offset = 0
    let rowCount = builder.rowCount
    for path in paths {
      var entry = AttributeEntry(isDropped: path.isDropped)
      for builder in builder.takeColumns(of: path) {
        var (column, bytes) = await workers.run { builder.encode(rowCount: rowCount) }
        column.offset = offset
        bytes += [UInt8](repeating: 0, count: (8 - bytes.count % 8) % 8)
        offset += bytes.count
        try await writer.append(bytes)
        entry.columns[column.kind] = column
      }
      directory.paths[path.path] = entry
    }
    var tail = ByteWriter()
    directory.encode(into: &tail)
    let directoryBytes = tail.count
    tail.u64(UInt64(offset))
    tail.u32(UInt32(directoryBytes))
    tail.u32(directory.isIncomplete ? incompleteFlag : 0)
    try await writer.append(tail.bytes)
    return try await writer.endSection()
  }

  /// Nil for an empty section.
  static func read(_ file: PagedFile, _ section: Section, rowCount: Int) throws(RoostError)
    -> AttributeDirectory?
  {
    guard section.byteCount > 0 else { return nil }
    func refuse(_ message: String) -> RoostError {
      .corrupted(message, file: file.path, offset: UInt64(section.firstPage * PagedFile.pageBytes))
    }
    guard section.byteCount >= tailBytes else { throw refuse("the attribute section is cut short") }
    let tailStart = section.byteCount - tailBytes
    var tail = ByteReader(try file.bytes(section, tailStart..<section.byteCount))
    let offset = try tail.u64()
    let bytes = Int(try tail.u32())
    let flags = try tail.u32()
    guard offset <= UInt64(tailStart), Int(offset) + bytes == tailStart, flags <= 1 else {
      throw refuse("the attribute directory is misplaced")
    }
    var reader = ByteReader(try file.bytes(section, Int(offset)..<tailStart))
    do throws(RoostError) {
      return try AttributeDirectory(
        from: &reader, isIncomplete: flags & incompleteFlag != 0, rowCount: rowCount, room: Int(offset))
    } catch { throw refuse("the attribute directory is damaged: \(error.message)") }
  }
}
