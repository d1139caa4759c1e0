// Records out of JSON lines: one record a line, blank lines skipped.

import Core

final class JSONLinesSource: RecordSource {
  /// The longest record in JSON is far below.
  private static let lineBytesMax = 4 * 1024 * 1024

  private let name: String
  private let schema: CollectionSchema
  private let firstID: UInt64
  /// Nil: standard input.
  private let file: (any File)?
  private let size: UInt64
  private var offset: UInt64 = 0
  private let buffer: IOBuffer
  private var pending: [UInt8] = []
  /// Where the next line begins in `pending`.
  private var start = 0
  /// Up to where `pending` is known to hold no line end.
  private var searched = 0
  private var hasEnded = false
  private var lineNumber = 0
  private let skip: Int
  private var remaining: Int

  /// - Parameter path: `-` is standard input.
  init(
    _ path: String, schema: CollectionSchema, firstID: UInt64, skip: Int, limit: Int?, files: any FileSystem
  ) async throws(RoostError) {
    name = path == "-" ? "standard input" : path
    self.schema = schema
    self.firstID = firstID
    self.skip = skip
    remaining = limit ?? .max
    buffer = IOBuffer(count: 1 << 20)
    if path == "-" {
      file = nil
      size = 0
    } else {
      let opened = try await files.open(path, .read)
      file = opened
      size = try await opened.size()
    }
  }

  var fraction: Double? {
    file == nil ? nil : size == 0 ? 1 : Double(offset - UInt64(pending.count - start)) / Double(size)
  }

  func next(_ limit: Int) async throws(RoostError) -> [PutRecord] {
    var records: [PutRecord] = []
    var bytes = 0
    while records.count < min(limit, remaining), bytes < batchBytesMax, let line = try await nextLine() {
      lineNumber += 1
      if lineNumber <= skip || line.allSatisfy({ $0 == 0x20 || $0 == 0x09 || $0 == 0x0d }) { continue }
      bytes += line.count
      records.append(try parse(line))
    }
    remaining -= records.count
    return records
  }

  private func parse(_ line: [UInt8]) throws(RoostError) -> PutRecord {
    let place = "\(name) line \(lineNumber)"
    let record: PutRecord
    do {
      let json = try JSON(parsing: line)
      // Without an id of its own, a record is named by its line, so that a second import replaces it.
      record = try PutRecord(
        json: json, schema: schema, fallbackID: .number(firstID &+ UInt64(lineNumber - 1)))
    } catch {
      throw error.located(at: place)
    }
    try schema.check(record, at: place)
    return record
  }

  private func nextLine() async throws(RoostError) -> [UInt8]? {
    while true {
      if let end = pending[searched...].firstIndex(of: 0x0a) {
        defer {
          start = end + 1
          searched = start
        }
        return Array(pending[start..<end])
      }
      if hasEnded {
        guard start < pending.count else { return nil }
        defer {
          start = pending.count
          searched = start
        }
        return Array(pending[start...])
      }
      guard pending.count - start <= JSONLinesSource.lineBytesMax else {
        throw RoostError(
          .limitExceeded, "the line is longer than \(JSONLinesSource.lineBytesMax) bytes",
          at: "\(name) line \(lineNumber + 1)", remedy: "a .jsonl file has one record a line")
      }
      pending.removeSubrange(..<start)
      start = 0
      searched = pending.count
      try await fill()
    }
  }

  private func fill() async throws(RoostError) {
    if let file {
      let count = try await file.read(into: buffer, range: 0..<buffer.count, at: offset)
      pending += buffer.bytes(0..<count)
      offset += UInt64(count)
      hasEnded = count == 0
    } else {
      let bytes = try Console.read(buffer.count)
      pending += bytes
      hasEnded = bytes.isEmpty
    }
  }

  func close() async { await file?.close() }
}
