// Reads one column of an attribute index in place: finds keys by binary search, and collects the rows of a
// stretch of keys. Every count and row that the bytes hold is checked before it is used.

import Core

struct AttributeReader {
  let file: PagedFile
  let section: Section
  let column: AttributeColumn
  let rowCount: Int
  let rankCache: RankCache

  // MARK: keys

  /// The first key that `isBelow` does not hold for; it must hold for a beginning of the keys only.
  private func partition(_ isBelow: (Int) throws(RoostError) -> Bool) throws(RoostError) -> Int {
    var low = 0
    var high = column.distinct
    while low < high {
      let middle = (low + high) / 2
      if try isBelow(middle) { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private func word(_ key: Int) throws(RoostError) -> UInt64 {
    let start = column.offset + key * 8
    return UInt64(littleEndian: try file.bytes(section, start..<start + 8).loadUnaligned(as: UInt64.self))
  }

  private func integer(_ offset: Int) throws(RoostError) -> Int {
    Int(UInt32(littleEndian: try file.bytes(section, offset..<offset + 4).loadUnaligned(as: UInt32.self)))
  }

  private func text(_ key: Int) throws(RoostError) -> UnsafeRawBufferPointer {
    let start = try integer(column.offset + key * 4)
    let end = try integer(column.offset + key * 4 + 4)
    guard start <= end, end <= column.blobBytes else { throw damaged("the key \(key) has no bytes") }
    let blob = column.blobOffset(rowCount: rowCount)
    return try file.bytes(section, blob + start..<blob + end)
  }

  private func place(_ key: Int) throws(RoostError) -> (latitude: Double, longitude: Double) {
    let start = column.offset + key * 16
    var reader = ByteReader(try file.bytes(section, start..<start + 16))
    return (try reader.f64(), try reader.f64())
  }

  /// What a key stands for; nil where keys are no values of the field.
  func value(_ key: Int) throws(RoostError) -> ScalarView? {
    switch column.kind {
    case .present, .value, .token: return nil
    case .null: return .null
    case .bool: return .bool(try word(key) == 1)
    case .int: return .int(Int64(bitPattern: try word(key) ^ (1 << 63)))
    case .datetime: return .datetime(Int64(bitPattern: try word(key) ^ (1 << 63)))
    case .double:
      let word = try word(key)
      return .double(Double(bitPattern: word >> 63 == 1 ? word & ~(1 << 63) : ~word))
    case .string: return .string(try text(key))
    case .bytes: return .bytes(try text(key))
    case .geo:
      let (latitude, longitude) = try place(key)
      return .geo(latitude: latitude, longitude: longitude)
    }
  }

  /// The keys within a closed range of words.
  func keys(_ lower: UInt64, _ upper: UInt64) throws(RoostError) -> Range<Int> {
    guard lower <= upper else { return 0..<0 }
    let start = try partition { (key) throws(RoostError) in try word(key) < lower }
    let end = try partition { (key) throws(RoostError) in try word(key) <= upper }
    return start..<max(start, end)
  }

  /// The keys at or above `lower` and at or below `upper`, or strictly so.
  func keys(
    lower: [UInt8]?, lowerInclusive: Bool, upper: [UInt8]?, upperInclusive: Bool
  ) throws(RoostError) -> Range<Int> {
    func count(below bound: [UInt8], orEqual: Bool) throws(RoostError) -> Int {
      let bytes = IOBuffer(bound)
      return try partition { (key) throws(RoostError) in
        let order = compareBytes(try text(key), bytes.bytes)
        return orEqual ? order <= 0 : order < 0
      }
    }
    let start = try lower.map { (bound) throws(RoostError) in
      try count(below: bound, orEqual: !lowerInclusive)
    }
    let end = try upper.map { (bound) throws(RoostError) in try count(below: bound, orEqual: upperInclusive) }
    let first = start ?? 0
    return first..<max(first, end ?? column.distinct)
  }

  func keys(equal text: [UInt8]) throws(RoostError) -> Range<Int> {
    try keys(lower: text, lowerInclusive: true, upper: text, upperInclusive: true)
  }

  /// The keys in cells that cover a box, as stretches; some lie outside of the box.
  func keys(
    near latitudes: ClosedRange<Double>, _ longitudes: ClosedRange<Double>
  ) throws(RoostError) -> [Range<Int>] {
    var found: [Range<Int>] = []
    for cells in GeoCells.ranges(latitudes: latitudes, longitudes: longitudes) {
      let start = try partition { (key) throws(RoostError) in try cell(key) < cells.lowerBound }
      let end = try partition { (key) throws(RoostError) in try cell(key) <= cells.upperBound }
      if start < end { found.append(start..<end) }
    }
    return found
  }

  /// Those keys of the stretches at whose places `test` passes, as stretches.
  func keys(
    in stretches: [Range<Int>], where test: (Double, Double) -> Bool
  ) throws(RoostError) -> [Range<Int>] {
    var found: [Range<Int>] = []
    for key in stretches.joined() {
      let place = try place(key)
      guard test(place.latitude, place.longitude) else { continue }
      if let last = found.last, last.upperBound == key {
        found[found.count - 1] = last.lowerBound..<key + 1
      } else {
        found.append(key..<key + 1)
      }
    }
    return found
  }

  private func cell(_ key: Int) throws(RoostError) -> UInt64 {
    let place = try place(key)
    return GeoCells.cell(latitude: place.latitude, longitude: place.longitude)
  }

  /// The keys that begin with some bytes.
  func keys(beginning prefix: [UInt8]) throws(RoostError) -> Range<Int> {
    let bytes = IOBuffer(prefix)
    let start = try partition { (key) throws(RoostError) in compareBytes(try text(key), bytes.bytes) < 0 }
    let end = try partition { (key) throws(RoostError) in
      let text = try text(key)
      let head = UnsafeRawBufferPointer(rebasing: text[..<min(text.count, prefix.count)])
      return compareBytes(head, bytes.bytes) <= 0
    }
    return start..<max(start, end)
  }

  // MARK: rows

  /// Entries of a stretch of keys: as many rows when the column is single, else at least as many.
  func entryCount(_ keys: Range<Int>) throws(RoostError) -> Int {
    guard !keys.isEmpty else { return 0 }
    let start = try integer(column.endsOffset + keys.lowerBound * 4)
    let end = try integer(column.endsOffset + keys.upperBound * 4)
    guard start <= end, end <= column.entries else { throw damaged("the keys \(keys) have no rows") }
    return end - start
  }

  /// The rows that hold a key of one of the stretches, which are ascending and apart.
  func rows(_ stretches: [Range<Int>]) throws(RoostError) -> RowBitmap {
    let stretches = stretches.filter { !$0.isEmpty }
    var total = 0
    for stretch in stretches { total += try entryCount(stretch) }
    if total == 0 { return .none(rowCount) }
    if stretches.count == 1, column.isSingle, column.denseKeys == 0, total > rowCount / RankBitmaps.steps {
      return try wideRange(stretches[0])
    }
    // The other rows are fewer.
    if column.isSingle, column.entries == rowCount, total > rowCount / 2 {
      var others: [Range<Int>] = []
      var start = 0
      for stretch in stretches {
        others.append(start..<stretch.lowerBound)
        start = stretch.upperBound
      }
      others.append(start..<column.distinct)
      return try collect(others.filter { !$0.isEmpty }, expected: rowCount - total).complement()
    }
    return try collect(stretches, expected: total)
  }

  private func collect(_ stretches: [Range<Int>], expected: Int) throws(RoostError) -> RowBitmap {
    let dense = try denseKeys()
    if !RowBitmap.isDense(count: expected, rowCount: rowCount) {
      var found: [UInt32] = []
      found.reserveCapacity(expected)
      for stretch in stretches {
        guard let list = try list(stretch, dense) else { continue }
        for index in 0..<list.count / 4 { found.append(try row(list, index)) }
      }
      // The rows of one key are in order already.
      var isOrdered = true
      for index in found.indices.dropFirst() where found[index] <= found[index - 1] { isOrdered = false }
      if !isOrdered {
        found.sort()
        var kept = 0
        for index in found.indices where index == 0 || found[index] != found[kept - 1] {
          found[kept] = found[index]
          kept += 1
        }
        found.removeLast(found.count - kept)
      }
      return RowBitmap(rows: found, rowCount: rowCount)
    }
    var words = [UInt64](repeating: 0, count: RowBitmap.wordCount(rowCount))
    for stretch in stretches {
      for (index, key) in dense.enumerated() where stretch.contains(key) {
        let start = column.bitsOffset + index * words.count * 8
        let bits = try file.bytes(section, start..<start + words.count * 8)
        for word in words.indices {
          words[word] |= UInt64(littleEndian: bits.loadUnaligned(fromByteOffset: word * 8, as: UInt64.self))
        }
      }
      if let list = try list(stretch, dense) { try scatter(list, into: &words) }
    }
    if rowCount % 64 != 0, let last = words.last, last >> UInt64(rowCount % 64) != 0 {
      throw damaged("a bit stands for a row beyond \(rowCount)")
    }
    return RowBitmap(words: words, rowCount: rowCount)
  }

  /// The rows of many keys that have one list each: whole steps, and the entries between.
  private func wideRange(_ keys: Range<Int>) throws(RoostError) -> RowBitmap {
    let ranks = try rankCache.ranks(of: column) { () throws(RoostError) in
      let step = max(1, column.entries / RankBitmaps.steps)
      var words = [UInt64](repeating: 0, count: RowBitmap.wordCount(rowCount))
      var prefixes = [words]
      for start in stride(from: 0, to: column.entries - step + 1, by: step) {
        try flip(start..<start + step, in: &words)
        prefixes.append(words)
      }
      return RankBitmaps(step: step, prefixes: prefixes)
    }
    let start = try entryCount(0..<keys.lowerBound)
    let end = try entryCount(0..<keys.upperBound)
    func nearest(_ entry: Int) -> Int { min((entry + ranks.step / 2) / ranks.step, ranks.prefixes.count - 1) }
    let (first, last) = (nearest(start), nearest(end))
    var words = ranks.prefixes[last]
    for index in words.indices { words[index] ^= ranks.prefixes[first][index] }
    for (entry, step) in [(start, first), (end, last)] {
      let edge = step * ranks.step
      try flip(min(entry, edge)..<max(entry, edge), in: &words)
    }
    return RowBitmap(words: words, rowCount: rowCount)
  }

  /// Flips the bits of the rows of some entries.
  private func flip(_ entries: Range<Int>, in words: inout [UInt64]) throws(RoostError) {
    guard !entries.isEmpty else { return }
    guard entries.upperBound <= column.entries - column.denseEntries else {
      throw damaged("its entries end early")
    }
    let base = column.rowsOffset(rowCount: rowCount)
    let list = try file.bytes(section, base + entries.lowerBound * 4..<base + entries.upperBound * 4)
    try scatter(list, into: &words, flips: true)
  }

  /// Sets (or flips) the bit of each row.
  private func scatter(
    _ list: UnsafeRawBufferPointer, into words: inout [UInt64], flips: Bool = false
  ) throws(RoostError) {
    let count = list.count / 4
    let limit = UInt32(rowCount)
    guard let base = list.baseAddress else { return }
    let isSound = words.withUnsafeMutableBufferPointer { words in
      guard let target = words.baseAddress else { return false }
      for index in 0..<count {
        let row = UInt32(littleEndian: base.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self))
        if row >= limit { return false }
        let bit: UInt64 = 1 &<< UInt64(row & 63)
        let word = Int(truncatingIfNeeded: row &>> 6)
        target[word] = flips ? target[word] ^ bit : target[word] | bit
      }
      return true
    }
    if !isSound { throw damaged("an entry names a row beyond \(rowCount)") }
  }

  private func row(_ list: UnsafeRawBufferPointer, _ index: Int) throws(RoostError) -> UInt32 {
    let row = UInt32(littleEndian: list.loadUnaligned(fromByteOffset: index * 4, as: UInt32.self))
    guard row < UInt32(rowCount) else { throw damaged("an entry names row \(row) of \(rowCount)") }
    return row
  }

  /// The keys whose rows are bits.
  private func denseKeys() throws(RoostError) -> [Int] {
    var keys: [Int] = []
    for index in 0..<column.denseKeys {
      let key = try integer(column.denseOffset + index * 4)
      guard key < column.distinct, key > keys.last ?? -1 else {
        throw damaged("the dense keys are out of order")
      }
      keys.append(key)
    }
    return keys
  }

  /// The rows of the keys that have lists: they lie together.
  private func list(_ keys: Range<Int>, _ dense: [Int]) throws(RoostError) -> UnsafeRawBufferPointer? {
    var start = try entryCount(0..<keys.lowerBound)
    var end = try entryCount(0..<keys.upperBound)
    for key in dense where key < keys.upperBound {
      let count = try entryCount(key..<key + 1)
      if key < keys.lowerBound { start -= count }
      end -= count
    }
    guard start <= end, start >= 0, end <= column.entries - column.denseEntries else {
      throw damaged("the rows of the keys \(keys) lie outside the column")
    }
    if start == end { return nil }
    let base = column.rowsOffset(rowCount: rowCount)
    return try file.bytes(section, base + start * 4..<base + end * 4)
  }

  private func damaged(_ message: String) -> RoostError {
    .corrupted(
      "an attribute column is damaged: \(message)", file: file.path,
      offset: UInt64(section.firstPage * PagedFile.pageBytes + column.offset))
  }
}

extension AttributeReader {
  /// Checks the whole column: keys ascend, every key has rows, rows of a key ascend.
  func verify() throws(RoostError) {
    let dense = try denseKeys()
    var denseTotal = 0
    for key in 0..<column.distinct {
      if key > 0, try !isAscending(key - 1, key) {
        throw damaged("the keys \(key - 1) and \(key) are out of order")
      }
      let count = try entryCount(key..<key + 1)
      guard count > 0, count <= rowCount else { throw damaged("the key \(key) has \(count) rows") }
      if dense.contains(key) {
        denseTotal += count
        let bits = try rows([key..<key + 1])
        guard bits.count == count else {
          throw damaged("the key \(key) has \(bits.count) bits, not \(count)")
        }
      } else if let list = try list(key..<key + 1, dense) {
        for index in 0..<count {
          let row = try row(list, index)
          if index > 0, try self.row(list, index - 1) >= row { throw damaged("the rows of key \(key)") }
        }
      }
    }
    guard try entryCount(0..<column.distinct) == column.entries, denseTotal == column.denseEntries else {
      throw damaged("its entries do not add up")
    }
  }

  private func isAscending(_ a: Int, _ b: Int) throws(RoostError) -> Bool {
    switch column.kind {
    case .string, .bytes, .token: return compareBytes(try text(a), try text(b)) < 0
    case .geo:
      let (x, y) = (try place(a), try place(b))
      let cells = [x, y].map { GeoCells.cell(latitude: $0.latitude, longitude: $0.longitude) }
      return (cells[0], x.latitude, x.longitude) < (cells[1], y.latitude, y.longitude)
    default: return try word(a) < word(b)
    }
  }
}
