// A set of rows of one source: what an attribute index answers, and what a filtered search asks.

import Core

/// A constant set of rows below `rowCount`. Few rows are a sorted list, many are bits: whichever is smaller.
struct RowBitmap: Sendable, Equatable {
  private enum Storage: Sendable, Equatable {
    /// Ascending, without repeats.
    case sparse([UInt32])
    case dense([UInt64])
  }

  let rowCount: Int
  let count: Int
  private let storage: Storage

  /// A list takes 32 bits a member, bits take one for each row.
  static func isDense(count: Int, rowCount: Int) -> Bool { count > rowCount / 32 }

  static func wordCount(_ rowCount: Int) -> Int { (rowCount + 63) / 64 }

  private init(rowCount: Int, count: Int, storage: Storage) {
    self.rowCount = rowCount
    self.count = count
    self.storage = storage
  }

  /// - Parameter rows: ascending, without repeats, all below `rowCount`.
  init(rows: [UInt32], rowCount: Int) {
    assert(zip(rows, rows.dropFirst()).allSatisfy { $0 < $1 } && rows.allSatisfy { Int($0) < rowCount })
    if Self.isDense(count: rows.count, rowCount: rowCount) {
      var words = [UInt64](repeating: 0, count: Self.wordCount(rowCount))
      for row in rows { words[Int(row >> 6)] |= 1 << UInt64(row & 63) }
      self.init(rowCount: rowCount, count: rows.count, storage: .dense(words))
    } else {
      self.init(rowCount: rowCount, count: rows.count, storage: .sparse(rows))
    }
  }

  /// - Parameter words: `wordCount(rowCount)` of them; bits at and above `rowCount` must be clear.
  init(words: [UInt64], rowCount: Int) {
    precondition(words.count == Self.wordCount(rowCount))
    let count = words.reduce(0) { $0 &+ $1.nonzeroBitCount }
    if Self.isDense(count: count, rowCount: rowCount) {
      self.init(rowCount: rowCount, count: count, storage: .dense(words))
    } else {
      var rows: [UInt32] = []
      rows.reserveCapacity(count)
      Self.forEach(in: words) { rows.append($0) }
      self.init(rowCount: rowCount, count: count, storage: .sparse(rows))
    }
  }

  static func none(_ rowCount: Int) -> RowBitmap {
    RowBitmap(rowCount: rowCount, count: 0, storage: .sparse([]))
  }

  static func all(_ rowCount: Int) -> RowBitmap {
    var words = [UInt64](repeating: .max, count: wordCount(rowCount))
    clearTail(&words, rowCount: rowCount)
    return RowBitmap(words: words, rowCount: rowCount)
  }

  private static func clearTail(_ words: inout [UInt64], rowCount: Int) {
    if rowCount % 64 != 0 { words[words.count - 1] &= 1 << UInt64(rowCount % 64) - 1 }
  }

  @inline(__always)
  private static func forEach(in words: [UInt64], _ body: (UInt32) -> Void) {
    for index in words.indices {
      var word = words[index]
      while word != 0 {
        body(UInt32(index &* 64 &+ word.trailingZeroBitCount))
        word &= word &- 1
      }
    }
  }

  var isEmpty: Bool { count == 0 }
  var isAll: Bool { count == rowCount }

  /// Bytes of memory.
  var byteCount: Int {
    switch storage {
    case .sparse(let rows): rows.count * 4
    case .dense(let words): words.count * 8
    }
  }

  /// The rows, ascending.
  var rows: [UInt32] {
    switch storage {
    case .sparse(let rows): return rows
    case .dense(let words):
      var rows: [UInt32] = []
      rows.reserveCapacity(count)
      Self.forEach(in: words) { rows.append($0) }
      return rows
    }
  }

  /// The rows as bits, in O(rowCount / 64).
  var words: [UInt64] {
    switch storage {
    case .dense(let words): return words
    case .sparse(let rows):
      var words = [UInt64](repeating: 0, count: Self.wordCount(rowCount))
      for row in rows { words[Int(row >> 6)] |= 1 << UInt64(row & 63) }
      return words
    }
  }

  /// The rows as bits, in place when they are stored so.
  func withWords<T>(
    _ body: (UnsafeBufferPointer<UInt64>) throws(RoostError) -> T
  ) throws(RoostError) -> T {
    let words = words
    return try words.withUnsafeBufferPointer { (words) throws(RoostError) in try body(words) }
  }

  func contains(_ row: UInt32) -> Bool {
    switch storage {
    case .dense(let words): return words[Int(row >> 6)] & (1 << UInt64(row & 63)) != 0
    case .sparse(let rows):
      var low = 0
      var high = rows.count
      while low < high {
        let middle = (low + high) / 2
        if rows[middle] < row { low = middle + 1 } else { high = middle }
      }
      return low < rows.count && rows[low] == row
    }
  }

  // MARK: algebra

  func complement() -> RowBitmap {
    var words = words.map { ~$0 }
    if !words.isEmpty { Self.clearTail(&words, rowCount: rowCount) }
    return RowBitmap(words: words, rowCount: rowCount)
  }

  func intersection(_ other: RowBitmap) -> RowBitmap {
    precondition(rowCount == other.rowCount)
    switch (storage, other.storage) {
    case (.dense(let a), .dense(let b)):
      return RowBitmap(words: zip(a, b).map { $0 & $1 }, rowCount: rowCount)
    case (.sparse(let rows), _): return RowBitmap(rows: rows.filter(other.contains), rowCount: rowCount)
    case (_, .sparse(let rows)): return RowBitmap(rows: rows.filter(contains), rowCount: rowCount)
    }
  }

  func union(_ other: RowBitmap) -> RowBitmap {
    precondition(rowCount == other.rowCount)
    if isEmpty { return other }
    if other.isEmpty { return self }
    var words = words
    switch other.storage {
    case .dense(let more): for index in words.indices { words[index] |= more[index] }
    case .sparse(let rows): for row in rows { words[Int(row >> 6)] |= 1 << UInt64(row & 63) }
    }
    return RowBitmap(words: words, rowCount: rowCount)
  }

  static func == (a: RowBitmap, b: RowBitmap) -> Bool {
    a.rowCount == b.rowCount && a.count == b.count && a.storage == b.storage
  }
}
