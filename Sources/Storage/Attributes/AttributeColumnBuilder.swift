// Collects the entries of one column and encodes them.

import Core

struct AttributeColumnBuilder: Sendable {
  /// Strings and bytes longer than this are left out.
  static let keyBytesMax = 256

  let kind: AttributeKind
  /// Ascending.
  private var rows: [UInt32] = []
  /// A key each, of fixed size.
  private var keys: [UInt64] = []
  /// Longitudes, beside `keys`, which hold latitudes as bits.
  private var longitudes: [Double] = []
  /// A string each, in `strings`.
  private var codes: [UInt32] = []
  private var strings = ByteInterner()
  /// Something was left out.
  var isPartial = false
  /// Some row has several strings.
  var hasManyPerRow = false

  init(_ kind: AttributeKind) { self.kind = kind }

  var byteCount: Int {
    rows.count * 4 + keys.count * 8 + longitudes.count * 8 + codes.count * 4
      + (kind.keyBytes == nil ? strings.byteCount : 0)
  }

  mutating func add(key: UInt64, row: UInt32) {
    if hasKeys { keys.append(key) }
    rows.append(row)
  }

  /// All entries of the other kinds have the same key, 0.
  private var hasKeys: Bool { kind != .present && kind != .value && kind != .null }

  mutating func add(_ text: UnsafeRawBufferPointer, row: UInt32) {
    guard text.count <= Self.keyBytesMax else {
      isPartial = true
      return
    }
    codes.append(strings.intern(text))
    rows.append(row)
  }

  mutating func add(latitude: Double, longitude: Double, row: UInt32) {
    keys.append((latitude + 0).bitPattern)
    longitudes.append(longitude + 0)
    rows.append(row)
  }

  /// Entries sorted by key, then row, without repeats.
  private struct Sorted {
    /// Encoded keys (of fixed size) or offsets of byte strings.
    var keyArea = ByteWriter()
    var blob: [UInt8] = []
    /// Entries before each key, and all.
    var ends: [UInt32] = [0]
    var rows: [UInt32] = []

    /// Ends the entries of the key before, if there is one.
    mutating func endKey() {
      if !rows.isEmpty { ends.append(UInt32(rows.count)) }
    }
  }

  /// The column as bytes, and its description but for the offset. Takes O(n log n).
  consuming func encode(rowCount: Int) -> (column: AttributeColumn, bytes: [UInt8]) {
    let sorted: Sorted
    switch kind {
    case .geo: sorted = sortedPlaces()
    case .string, .bytes, .token: sorted = sortedStrings()
    default: sorted = sortedWords()
    }
    var column = AttributeColumn(kind: kind)
    column.distinct = sorted.ends.count - 1
    column.entries = sorted.rows.count
    column.blobBytes = sorted.blob.count
    var seen = [Bool](repeating: false, count: rowCount)
    var isSingle = true
    for row in sorted.rows {
      if seen[Int(row)] { isSingle = false }
      seen[Int(row)] = true
    }
    column.flags =
      (isSingle ? AttributeColumn.singleFlag : 0) | (isPartial ? AttributeColumn.partialFlag : 0)
      | (hasManyPerRow ? AttributeColumn.manyFlag : 0)
    var writer = sorted.keyArea
    writer.pad(to: 8)
    for end in sorted.ends { writer.u32(end) }
    let dense = (0..<column.distinct).filter {
      RowBitmap.isDense(count: Int(sorted.ends[$0 + 1] - sorted.ends[$0]), rowCount: rowCount)
    }
    column.denseKeys = dense.count
    for key in dense { writer.u32(UInt32(key)) }
    writer.pad(to: 8)
    var isDense = [Bool](repeating: false, count: column.distinct)
    for key in dense {
      isDense[key] = true
      let range = Int(sorted.ends[key])..<Int(sorted.ends[key + 1])
      column.denseEntries += range.count
      var words = [UInt64](repeating: 0, count: RowBitmap.wordCount(rowCount))
      for row in sorted.rows[range] { words[Int(row >> 6)] |= 1 << UInt64(row & 63) }
      words.withUnsafeBytes { writer.raw($0) }
    }
    for key in 0..<column.distinct where !isDense[key] {
      let range = Int(sorted.ends[key])..<Int(sorted.ends[key + 1])
      sorted.rows[range].withUnsafeBytes { writer.raw($0) }
    }
    writer.raw(sorted.blob)
    return (column, writer.bytes)
  }

  private func sortedWords() -> Sorted {
    let keys = hasKeys ? keys : [UInt64](repeating: 0, count: rows.count)
    struct Entry {
      var key: UInt64
      var row: UInt32
    }
    var entries = zip(keys, rows).map { Entry(key: $0, row: $1) }
    let isOrdered = zip(keys, keys.dropFirst()).allSatisfy { $0 <= $1 }
    if !isOrdered { entries.sort { ($0.key, $0.row) < ($1.key, $1.row) } }
    var sorted = Sorted()
    sorted.rows.reserveCapacity(entries.count)
    var last: Entry?
    for entry in entries {
      if entry.key != last?.key {
        sorted.endKey()
        sorted.keyArea.u64(entry.key)
      } else if entry.row == last?.row {
        continue
      }
      sorted.rows.append(entry.row)
      last = entry
    }
    sorted.endKey()
    return sorted
  }

  private func sortedPlaces() -> Sorted {
    struct Entry {
      var cell: UInt64
      var latitude: Double
      var longitude: Double
      var row: UInt32
    }
    var entries = rows.indices.map { index in
      let latitude = Double(bitPattern: keys[index])
      return Entry(
        cell: GeoCells.cell(latitude: latitude, longitude: longitudes[index]), latitude: latitude,
        longitude: longitudes[index], row: rows[index])
    }
    entries.sort {
      ($0.cell, $0.latitude, $0.longitude, $0.row) < ($1.cell, $1.latitude, $1.longitude, $1.row)
    }
    var sorted = Sorted()
    var last: Entry?
    for entry in entries {
      if entry.latitude != last?.latitude || entry.longitude != last?.longitude {
        sorted.endKey()
        sorted.keyArea.f64(entry.latitude)
        sorted.keyArea.f64(entry.longitude)
      } else if entry.row == last?.row {
        continue
      }
      sorted.rows.append(entry.row)
      last = entry
    }
    sorted.endKey()
    return sorted
  }

  /// Ranks the strings, then sorts the entries by rank, which keeps rows in order.
  private func sortedStrings() -> Sorted {
    let order = strings.sorted()
    var ranks = [Int](repeating: 0, count: order.count)
    for (rank, string) in order.enumerated() { ranks[Int(string)] = rank }
    var counts = [Int](repeating: 0, count: order.count + 1)
    for code in codes { counts[ranks[Int(code)] + 1] += 1 }
    for rank in 0..<order.count { counts[rank + 1] += counts[rank] }
    var places = counts
    var arranged = [UInt32](repeating: 0, count: codes.count)
    for (index, code) in codes.enumerated() {
      let rank = ranks[Int(code)]
      arranged[places[rank]] = rows[index]
      places[rank] += 1
    }
    var sorted = Sorted()
    sorted.keyArea.u32(0)
    sorted.rows.reserveCapacity(codes.count)
    for (rank, string) in order.enumerated() {
      sorted.blob += strings.blob[strings.range(Int(string))]
      sorted.keyArea.u32(UInt32(sorted.blob.count))
      var last: UInt32?
      for row in arranged[counts[rank]..<counts[rank + 1]] where row != last {
        sorted.rows.append(row)
        last = row
      }
      sorted.ends.append(UInt32(sorted.rows.count))
    }
    return sorted
  }
}
