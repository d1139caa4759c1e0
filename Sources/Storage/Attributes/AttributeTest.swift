// One test of a filter as stretches of keys in the columns of its path.

import Core

/// The parts of an answer: rows that hold a key of some stretch of some column.
struct AttributeTest {
  private var parts: [(reader: AttributeReader, stretches: [Range<Int>])] = []

  /// Nil when the indexes cannot tell which rows pass.
  init?(_ path: FieldPath, _ predicate: FieldPredicate, in index: AttributeIndex) throws(RoostError) {
    guard let columns = try index.columns(of: path) else { return nil }
    switch predicate {
    case .exists:
      if let reader = columns.readers[.present] { parts.append((reader, [0..<reader.column.distinct])) }
    case .equals(let value):
      guard try addEqual([value], columns) else { return nil }
    case .isIn(let values):
      guard try addEqual(values, columns) else { return nil }
    case .range(let range):
      guard try addRange(range, columns) else { return nil }
    case .hasValue, .text, .within: return nil
    }
  }

  /// Adds the keys equal to some value; false when the columns cannot tell.
  private mutating func addEqual(_ values: [Value], _ columns: AttributeColumns) throws(RoostError) -> Bool {
    var found: [AttributeKind: [Range<Int>]] = [:]
    func add(_ kind: AttributeKind, _ word: UInt64) throws(RoostError) {
      if let reader = columns.readers[kind] { found[kind, default: []].append(try reader.keys(word, word)) }
    }
    for value in values {
      switch value {
      case .null: try add(.null, 0)
      case .bool(let flag): try add(.bool, flag ? 1 : 0)
      case .datetime(let micros): try add(.datetime, AttributeKey.int(micros))
      case .int(let number):
        try add(.int, AttributeKey.int(number))
        if let same = Double(exactly: number) { try add(.double, AttributeKey.double(same)) }
      case .double(let number):
        try add(.double, AttributeKey.double(number))
        if let same = Int64(exactly: number) { try add(.int, AttributeKey.int(same)) }
      case .string(let text):
        guard try addKey(Array(text.utf8), .string, columns, &found) else { return false }
      case .bytes(let bytes):
        guard try addKey(bytes, .bytes, columns, &found) else { return false }
      case .geo(let latitude, let longitude):
        guard let reader = columns.readers[.geo], (-90...90).contains(latitude),
          (-180...180).contains(longitude)
        else { continue }
        found[.geo, default: []] += try reader.keys(
          latitudes: latitude...latitude, longitudes: longitude...longitude
        ) { $0 == latitude && $1 == longitude }
      case .array, .map: return false
      }
    }
    for (kind, stretches) in found { append(columns, kind, stretches) }
    return true
  }

  private func addKey(
    _ bytes: [UInt8], _ kind: AttributeKind, _ columns: AttributeColumns,
    _ found: inout [AttributeKind: [Range<Int>]]
  ) throws(RoostError) -> Bool {
    guard let reader = columns.readers[kind] else { return true }
    if bytes.count > AttributeColumnBuilder.keyBytesMax { return !reader.column.isPartial }
    found[kind, default: []].append(try reader.keys(equal: bytes))
    return true
  }

  private mutating func addRange(_ range: FilterRange, _ columns: AttributeColumns) throws(RoostError)
    -> Bool
  {
    switch range.lower.value ?? range.upper.value {
    case .int?, .double?:
      let interval = FilterConstants.numberInterval(range)
      if let reader = columns.readers[.int], interval.lowerInt <= interval.upperInt {
        append(
          columns, .int,
          [try reader.keys(AttributeKey.int(interval.lowerInt), AttributeKey.int(interval.upperInt))])
      }
      if let reader = columns.readers[.double], interval.lowerDouble <= interval.upperDouble {
        append(
          columns, .double,
          [
            try reader.keys(
              AttributeKey.double(interval.lowerDouble), AttributeKey.double(interval.upperDouble))
          ])
      }
      return true
    case .datetime?:
      let interval = FilterConstants.datetimeInterval(range)
      if let reader = columns.readers[.datetime], interval.lower <= interval.upper {
        append(
          columns, .datetime,
          [try reader.keys(AttributeKey.int(interval.lower), AttributeKey.int(interval.upper))])
      }
      return true
    case .string?: return try addRange(range, .string, columns)
    case .bytes?: return try addRange(range, .bytes, columns)
    default: return false
    }
  }

  private mutating func addRange(
    _ range: FilterRange, _ kind: AttributeKind, _ columns: AttributeColumns
  ) throws(RoostError) -> Bool {
    guard let reader = columns.readers[kind] else { return true }
    if reader.column.isPartial { return false }
    append(
      columns, kind,
      [
        try reader.keys(
          lower: range.lower.value?.keyBytes, lowerInclusive: range.lower.isInclusive,
          upper: range.upper.value?.keyBytes, upperInclusive: range.upper.isInclusive)
      ])
    return true
  }

  /// Adds stretches of a column, put in order and apart.
  private mutating func append(_ columns: AttributeColumns, _ kind: AttributeKind, _ stretches: [Range<Int>])
  {
    guard let reader = columns.readers[kind] else { return }
    var merged: [Range<Int>] = []
    for stretch in stretches.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, stretch.lowerBound <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, stretch.upperBound)
      } else {
        merged.append(stretch)
      }
    }
    if !merged.isEmpty { parts.append((reader, merged)) }
  }

  // MARK: answers

  func rows(_ rowCount: Int) throws(RoostError) -> RowBitmap {
    var rows = RowBitmap.none(rowCount)
    for part in parts { rows = rows.union(try part.reader.rows(part.stretches)) }
    return rows
  }

  func bound(_ rowCount: Int) throws(RoostError) -> RowCountBound {
    var total = 0
    var isExact = parts.count <= 1
    for part in parts {
      for stretch in part.stretches { total += try part.reader.entryCount(stretch) }
      let isOneKey = part.stretches.count == 1 && part.stretches[0].count == 1
      isExact = isExact && (isOneKey || part.reader.column.isSingle)
    }
    return RowCountBound(atMost: min(total, rowCount), isExact: isExact || total == 0)
  }
}

extension FilterRange.Bound {
  fileprivate var isInclusive: Bool { if case .inclusive = self { true } else { false } }
}

extension Value {
  /// The bytes of a string or of bytes.
  fileprivate var keyBytes: [UInt8]? {
    switch self {
    case .string(let text): Array(text.utf8)
    case .bytes(let bytes): bytes
    default: nil
    }
  }
}
