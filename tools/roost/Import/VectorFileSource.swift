// Records out of a vector file: the id is the number of the row, counted from `firstID`.

import Core

final class VectorFileSource: RecordSource {
  private let reader: VectorFileReader
  private let schema: CollectionSchema
  private let field: VectorField
  private let firstID: UInt64
  private let end: Int

  /// Throws when the rows cannot fit the collection, before anything is sent.
  init(
    _ path: String, schema: CollectionSchema, field: VectorField, firstID: UInt64, skip: Int, limit: Int?,
    files: any FileSystem
  ) async throws(RoostError) {
    let reader = try await VectorFileReader.open(path, files: files)
    self.reader = reader
    self.schema = schema
    self.field = field
    self.firstID = firstID
    // Bytes of packed bits, as `numpy.packbits` makes them.
    let isPacked = reader.element == .u8 && field.element == .binary
    guard reader.dimension * (isPacked ? 8 : 1) == field.dimension else {
      throw RoostError(
        .invalidArgument,
        "the file has vectors of dimension \(reader.dimension), the collection of \(field.dimension)",
        at: path)
    }
    guard
      reader.element == field.element || isPacked || (reader.element != .binary && field.element.isFloat)
    else {
      throw RoostError(
        .invalidArgument, "the file holds \(reader.element.name), the collection \(field.element.name)",
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
    let rowBytes = field.element.byteCount(dimension: field.dimension)
    let wanted = min(limit, end - reader.position, max(1, batchBytesMax / rowBytes))
    guard wanted > 0, let rows = try await reader.next(wanted) else { return [] }
    var records: [PutRecord] = []
    records.reserveCapacity(rows.count)
    for index in 0..<rows.count {
      let row = rows.firstRow + index
      let vector = rows.vector(index).fitted(to: field)
      let record = PutRecord(id: .number(firstID + UInt64(row)), vectors: [field.name: vector])
      try schema.check(record, at: "\(reader.path) row \(row)")
      records.append(record)
    }
    return records
  }

  func close() async { await reader.close() }
}

extension Vector {
  /// A vector out of a file as a field wants it: other numbers as floats, rounded where they must be, and
  /// bytes as packed bits. What does not fit stays as it is, to be refused.
  func fitted(to field: VectorField) -> Vector {
    if element == .u8 && field.element == .binary { return Vector(element: .binary, bytes: bytes) }
    return rounded(to: field.element) ?? self
  }
}
