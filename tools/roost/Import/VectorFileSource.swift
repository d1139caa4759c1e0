// Records out of a vector file: the id is the number of the row, counted from `firstID`.

import Core

final class VectorFileSource: RecordSource {
  private let reader: VectorFileReader
  private let schema: CollectionSchema
  private let firstID: UInt64
  private let end: Int

  /// Throws when the rows cannot fit the collection, before anything is sent.
  init(
    _ path: String, schema: CollectionSchema, firstID: UInt64, skip: Int, limit: Int?, files: any FileSystem
  ) async throws(RoostError) {
    let reader = try await VectorFileReader.open(path, files: files)
    self.reader = reader
    self.schema = schema
    self.firstID = firstID
    guard reader.dimension == schema.dimension else {
      throw RoostError(
        .invalidArgument,
        "the file has vectors of dimension \(reader.dimension), the collection of \(schema.dimension)",
        at: path)
    }
    guard reader.element == schema.element || schema.element == .f32 else {
      throw RoostError(
        .invalidArgument, "the file holds \(reader.element.name), the collection \(schema.element.name)",
        at: path)
    }
    try reader.seek(toRow: min(skip, reader.count))
    end = limit.map { min(reader.count, reader.position + $0) } ?? reader.count
    guard UInt64(reader.count) <= UInt64.max - firstID else {
      throw RoostError(.invalidArgument, "the ids would exceed 64 bits", at: "--first-id")
    }
  }

  var fraction: Double? { end == 0 ? 1 : Double(reader.position) / Double(end) }

  func next(_ limit: Int) async throws(RoostError) -> [PutRecord] {
    let rowBytes = schema.dimension * schema.element.byteCount
    let wanted = min(limit, end - reader.position, max(1, batchBytesMax / rowBytes))
    guard wanted > 0, let rows = try await reader.next(wanted) else { return [] }
    var records: [PutRecord] = []
    records.reserveCapacity(rows.count)
    for index in 0..<rows.count {
      let row = rows.firstRow + index
      var vector = rows.vector(index)
      // Bytes go into a collection of floats as the numbers that they are.
      if vector.element != schema.element { vector = Vector(vector.floats) }
      let record = PutRecord(id: .number(firstID + UInt64(row)), vector: vector)
      try schema.check(record, at: "\(reader.path) row \(row)")
      records.append(record)
    }
    return records
  }

  func close() async { await reader.close() }
}
