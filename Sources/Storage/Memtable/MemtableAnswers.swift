// Which rows of a memtable pass a filter, for filters that are asked again and again: kept as bits, and
// brought up to date with the rows that have come since.

import Core
import Synchronization

final class MemtableAnswers: Sendable {
  /// Filters that are remembered.
  private static let filtersMax = 16
  /// Rows that one query tries on behalf of later ones.
  private static let rowsPerQuery = 8_192

  private struct Answer {
    var filter: [UInt8]
    /// A bit for each row that was tried and passed.
    var words: [UInt64]
    var triedRows = 0
  }

  private let answers = Mutex([Answer]())

  /// The rows below `rowCount` that pass; nil while they are not all known: the first query with a filter
  /// only leaves a note, each later one tries some rows. Rows of a memtable never change.
  func match(_ filter: NativeFilter, in memtable: Memtable, rowCount: Int) throws(RoostError) -> RowBitmap? {
    var writer = ByteWriter()
    filter.filter.encode(into: &writer)
    let key = writer.bytes
    let known: Answer? = answers.withLock { answers in
      if let place = answers.lastIndex(where: { $0.filter == key }) {
        let answer = answers.remove(at: place)
        answers.append(answer)
        return answer
      }
      if answers.count == Self.filtersMax { answers.removeFirst() }
      answers.append(
        Answer(filter: key, words: [UInt64](repeating: 0, count: RowBitmap.wordCount(memtable.capacity))))
      return nil
    }
    guard var answer = known else { return nil }
    if answer.triedRows < rowCount {
      let compiled = try filter.compiled()
      let end = min(rowCount, answer.triedRows + Self.rowsPerQuery)
      for row in answer.triedRows..<end
      where try compiled.matches(memtable.entries.payload(row), id: memtable.entries.idBytes(row)) {
        answer.words[row >> 6] |= 1 << UInt64(row & 63)
      }
      answer.triedRows = end
      answers.withLock { answers in
        guard let place = answers.lastIndex(where: { $0.filter == key }) else { return }
        if answers[place].triedRows < end { answers[place] = answer }
      }
      if end < rowCount { return nil }
    }
    // Rows that are newer than the snapshot may have been tried by others.
    var words = answer.words
    let first = rowCount >> 6
    if first < words.count {
      words[first] &= (1 << UInt64(rowCount & 63)) - 1
      for index in words.indices.dropFirst(first + 1) { words[index] = 0 }
    }
    return RowBitmap(words: words, rowCount: memtable.capacity)
  }
}
