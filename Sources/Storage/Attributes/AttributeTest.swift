// One test of a filter as stretches of keys in the columns of its path.

import Core

/// A row passes when, for every group, it holds a key of some stretch of some column.
struct AttributeTest {
  /// Places that are tested one by one; of more, cells decide and payloads have the last word.
  private static let placesMax = 65_536

  private typealias Part = (reader: AttributeReader, stretches: [Range<Int>])

  private var groups: [[Part]] = [[]]
  /// False: rows that pass may still fail.
  private(set) var isExact = true

  /// Nil when the indexes cannot tell which rows pass.
  init?(_ path: FieldPath, _ predicate: FieldPredicate, in index: AttributeIndex) throws(RoostError) {
    guard let columns = try index.columns(of: path) else { return nil }
    switch predicate {
    case .exists: addAll(columns, .present)
    case .hasValue: addAll(columns, .value)
    case .equals(let value):
      guard try addEqual([value], columns) else { return nil }
    case .isIn(let values):
      guard try addEqual(values, columns) else { return nil }
    case .range(let range):
      guard try addRange(range, columns) else { return nil }
    case .within(let area): try addPlaces(area, columns)
    case .text(let match):
      guard try addWords(match, columns) else { return nil }
    }
  }

  private mutating func addAll(_ columns: AttributeColumns, _ kind: AttributeKind) {
    if let reader = columns.readers[kind] { append(columns, kind, [0..<reader.column.distinct]) }
  }

  private mutating func addPlaces(_ area: GeoArea, _ columns: AttributeColumns) throws(RoostError) {
    guard let reader = columns.readers[.geo] else { return }
    let region = GeoRegion(area)
    let bounds = region.bounds
    let latitudes = max(-90, bounds.south)...min(90, bounds.north)
    guard latitudes.lowerBound <= latitudes.upperBound else { return }
    var longitudes: [ClosedRange<Double>] = []
    for turn in [-360.0, 0, 360] {
      let (west, east) = (max(-180, bounds.west + turn), min(180, bounds.east + turn))
      if west <= east { longitudes.append(west...east) }
    }
    // The meridians −180 and 180 are one, and a pole has every longitude.
    longitudes += [-180...(-180), 180...180]
    var near: [Range<Int>] = []
    for range in longitudes { near += try reader.keys(near: latitudes, range) }
    for pole in [-90.0, 90] where latitudes.contains(pole) {
      near += try reader.keys(near: pole...pole, -180...180)
    }
    near = Self.merged(near)
    if near.reduce(0, { $0 + $1.count }) <= Self.placesMax {
      near = try reader.keys(in: near) { region.contains(latitude: $0, longitude: $1) }
    } else {
      isExact = false
    }
    append(columns, .geo, near)
  }

  /// False when words are missing from the column.
  private mutating func addWords(_ match: TextMatch, _ columns: AttributeColumns) throws(RoostError) -> Bool {
    guard let reader = columns.readers[.token] else { return true }
    if reader.column.isPartial { return false }
    let words = TextTokenizer.words(of: match.text).map { Array($0.utf8) }
    var stretches: [[Range<Int>]] = []
    for (index, word) in words.enumerated() {
      let isPrefix = match.mode == .prefix && index == words.count - 1
      stretches.append([try isPrefix ? reader.keys(beginning: word) : reader.keys(equal: word)])
    }
    if match.mode == .any {
      append(columns, .token, stretches.flatMap { $0 })
      return true
    }
    // Rows with all words may have them in different strings, or not side by side.
    isExact = words.count <= 1 || match.mode != .phrase && !reader.column.hasManyPerRow
    groups = []
    for stretch in stretches {
      groups.append([])
      append(columns, .token, stretch)
    }
    if groups.isEmpty { groups = [[]] }
    return true
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
        let near = try reader.keys(near: latitude...latitude, longitude...longitude)
        found[.geo, default: []] += try reader.keys(in: near) { $0 == latitude && $1 == longitude }
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

  /// Adds stretches of a column to the last group.
  private mutating func append(_ columns: AttributeColumns, _ kind: AttributeKind, _ stretches: [Range<Int>])
  {
    guard let reader = columns.readers[kind] else { return }
    let merged = Self.merged(stretches)
    if !merged.isEmpty { groups[groups.count - 1].append((reader, merged)) }
  }

  /// In order and apart.
  private static func merged(_ stretches: [Range<Int>]) -> [Range<Int>] {
    var merged: [Range<Int>] = []
    for stretch in stretches.filter({ !$0.isEmpty }).sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = merged.last, stretch.lowerBound <= last.upperBound {
        merged[merged.count - 1] = last.lowerBound..<max(last.upperBound, stretch.upperBound)
      } else {
        merged.append(stretch)
      }
    }
    return merged
  }

  // MARK: answers

  func rows(_ rowCount: Int) throws(RoostError) -> RowMatch {
    var passing: RowBitmap?
    for group in groups {
      var rows = RowBitmap.none(rowCount)
      for part in group { rows = rows.union(try part.reader.rows(part.stretches)) }
      passing = passing.map { $0.intersection(rows) } ?? rows
    }
    let rows = passing ?? .none(rowCount)
    return isExact || rows.isEmpty ? .exact(rows) : .atMost(rows)
  }

  func bound(_ rowCount: Int) throws(RoostError) -> RowCountBound {
    var least = RowCountBound(atMost: rowCount, isExact: false)
    for group in groups {
      var total = 0
      var isExact = self.isExact && groups.count == 1 && group.count <= 1
      for part in group {
        for stretch in part.stretches { total += try part.reader.entryCount(stretch) }
        let isOneKey = part.stretches.count == 1 && part.stretches[0].count == 1
        isExact = isExact && (isOneKey || part.reader.column.isSingle)
      }
      if total <= least.atMost { least = RowCountBound(atMost: total, isExact: isExact || total == 0) }
    }
    return least
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
