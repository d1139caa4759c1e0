// The attribute indexes of one segment: which rows pass a filter, exactly where the indexes can tell.

import Core
import Synchronization

/// What the indexes know about the rows that pass a filter.
enum RowMatch: Sendable, Equatable {
  /// Just these rows pass.
  case exact(RowBitmap)
  /// No others pass; whether these do, their payloads must tell.
  case atMost(RowBitmap)
  /// Any row may pass.
  case unknown
}

/// The number of rows that pass a filter, before they are collected.
struct RowCountBound: Sendable, Equatable {
  var atMost: Int
  var isExact: Bool
}

final class AttributeIndex: Sendable {
  /// Answers that are kept, and their bytes.
  private static let answersMax = 32
  private static let answerBytesMax = 4 << 20

  private let file: PagedFile
  private let section: Section
  let rowCount: Int
  let directory: AttributeDirectory
  private let answers = Mutex([Answer]())
  private let rankCache = RankCache()

  private struct Answer {
    var filter: [UInt8]
    var match: RowMatch
    var byteCount: Int
  }

  typealias RowOfID = (RecordID) throws(RoostError) -> UInt32?

  /// Without indexes in the segment, it knows about ids only.
  init(file: PagedFile, section: Section, rowCount: Int) throws(RoostError) {
    let directory = try AttributeDirectory.read(file, section, rowCount: rowCount)
    self.file = file
    self.section = section
    self.rowCount = rowCount
    self.directory = directory ?? .unknown
  }

  /// The rows that pass `filter`. Rows never change, so answers are kept for the next query.
  /// Throws `.corrupted` when a page or what it holds is damaged.
  /// - Parameter rowOfID: looks ids up; without it nothing is known about them.
  func match(_ filter: Filter, rowOfID: RowOfID? = nil) throws(RoostError) -> RowMatch {
    var writer = ByteWriter()
    filter.encode(into: &writer)
    let key = writer.bytes
    let known: RowMatch? = answers.withLock { answers in
      guard let place = answers.lastIndex(where: { $0.filter == key }) else { return nil }
      let answer = answers.remove(at: place)
      answers.append(answer)
      return answer.match
    }
    if let known { return known }
    let match = try evaluate(filter, rowOfID)
    let bytes: Int
    switch match {
    case .exact(let rows), .atMost(let rows): bytes = rows.byteCount + key.count
    case .unknown: bytes = key.count
    }
    answers.withLock { answers in
      answers.append(Answer(filter: key, match: match, byteCount: bytes))
      var total = answers.reduce(0) { $0 + $1.byteCount }
      while answers.count > 1, answers.count > Self.answersMax || total > Self.answerBytesMax {
        total -= answers.removeFirst().byteCount
      }
    }
    return match
  }

  /// Bytes of memory for answers and sets of ranks.
  var heapBytes: Int { answers.withLock { $0.reduce(0) { $0 + $1.byteCount } } + rankCache.byteCount }

  // MARK: combining

  private func evaluate(_ filter: Filter, _ rowOfID: RowOfID?) throws(RoostError) -> RowMatch {
    switch filter {
    case .and(let parts):
      // Few rows first, so that the rest has little to do.
      var ordered: [(bound: Int, part: Filter)] = []
      for part in parts { ordered.append((try bound(part)?.atMost ?? .max, part)) }
      ordered.sort { $0.bound < $1.bound }
      var rows: RowBitmap?
      var isExact = true
      for (_, part) in ordered {
        switch try evaluate(part, rowOfID) {
        case .exact(let more): rows = rows.map { $0.intersection(more) } ?? more
        case .atMost(let more):
          rows = rows.map { $0.intersection(more) } ?? more
          isExact = false
        case .unknown: isExact = false
        }
        if let rows, rows.isEmpty { return .exact(rows) }
      }
      guard let rows else { return isExact ? .exact(.all(rowCount)) : .unknown }
      return isExact ? .exact(rows) : .atMost(rows)
    case .or(let parts):
      var rows = RowBitmap.none(rowCount)
      var isExact = true
      for part in parts {
        switch try evaluate(part, rowOfID) {
        case .exact(let more): rows = rows.union(more)
        case .atMost(let more):
          rows = rows.union(more)
          isExact = false
        case .unknown: return .unknown
        }
      }
      return isExact ? .exact(rows) : .atMost(rows)
    case .not(let part):
      guard case .exact(let rows) = try evaluate(part, rowOfID) else { return .unknown }
      return .exact(rows.complement())
    case .field(let path, let predicate):
      guard let test = try AttributeTest(path, predicate, in: self) else { return .unknown }
      return try test.rows(rowCount)
    case .nested(let path, let part):
      // What one map must hold, the record holds, too; but several of its maps may share in it.
      guard let inner = part.prefixed(by: path) else { return .unknown }
      switch try evaluate(inner, rowOfID) {
      case .exact(let rows) where rows.isEmpty: return .exact(rows)
      case .exact(let rows), .atMost(let rows): return rows.isAll ? .unknown : .atMost(rows)
      case .unknown: return .unknown
      }
    case .hasID(let ids):
      guard let rowOfID else { return .unknown }
      var rows: Set<UInt32> = []
      for id in ids { if let row = try rowOfID(id) { rows.insert(row) } }
      return .exact(RowBitmap(rows: rows.sorted(), rowCount: rowCount))
    }
  }

  /// How many rows pass, without collecting any; nil when the indexes cannot tell.
  func bound(_ filter: Filter) throws(RoostError) -> RowCountBound? {
    switch filter {
    case .and(let parts):
      var least: RowCountBound?
      for part in parts {
        guard let bound = try bound(part) else { continue }
        if least.map({ bound.atMost < $0.atMost }) ?? true { least = bound }
      }
      guard let least else { return parts.isEmpty ? RowCountBound(atMost: rowCount, isExact: true) : nil }
      return RowCountBound(
        atMost: least.atMost, isExact: least.isExact && (parts.count == 1 || least.atMost == 0))
    case .or(let parts):
      var sum = RowCountBound(atMost: 0, isExact: true)
      for part in parts {
        guard let bound = try bound(part) else { return nil }
        sum.atMost = min(rowCount, sum.atMost + bound.atMost)
        sum.isExact = sum.isExact && bound.isExact && parts.count == 1
      }
      return sum
    case .not(let part):
      guard let bound = try bound(part), bound.isExact else { return nil }
      return RowCountBound(atMost: rowCount - bound.atMost, isExact: true)
    case .field(let path, let predicate):
      guard let test = try AttributeTest(path, predicate, in: self) else { return nil }
      return try test.bound(rowCount)
    case .nested(let path, let part):
      guard let inner = part.prefixed(by: path), let bound = try bound(inner) else { return nil }
      return RowCountBound(atMost: bound.atMost, isExact: bound.atMost == 0)
    case .hasID(let ids): return RowCountBound(atMost: min(ids.count, rowCount), isExact: ids.isEmpty)
    }
  }

  // MARK: columns

  /// Reads the columns of a path; nil when the path is not indexed.
  func columns(of path: FieldPath) throws(RoostError) -> AttributeColumns? {
    guard let entry = directory.paths[path] else {
      return directory.isIncomplete ? nil : AttributeColumns(readers: [:])
    }
    if entry.isDropped { return nil }
    return AttributeColumns(
      readers: entry.columns.mapValues {
        AttributeReader(file: file, section: section, column: $0, rowCount: rowCount, rankCache: rankCache)
      })
  }

  /// Reads everything there is and checks that it fits together.
  func verify() throws(RoostError) {
    for entry in directory.paths.values {
      for column in entry.columns.values {
        let reader = AttributeReader(
          file: file, section: section, column: column, rowCount: rowCount, rankCache: rankCache)
        try reader.verify()
      }
    }
  }
}

/// The columns of one path, by kind; a kind that is missing is in no row.
struct AttributeColumns {
  var readers: [AttributeKind: AttributeReader]
}

extension Filter {
  /// The same conditions, each by itself, on paths below `path`; nil where that would turn a condition that
  /// must fail for one map into one that must fail for all.
  fileprivate func prefixed(by path: FieldPath) -> Filter? {
    func parts(_ parts: [Filter]) -> [Filter]? {
      let inner = parts.compactMap { $0.prefixed(by: path) }
      return inner.count == parts.count ? inner : nil
    }
    switch self {
    case .field(let below, let predicate):
      return (try? FieldPath(names: path.names + below.names)).map { .field($0, predicate) }
    case .nested(let below, let part):
      return (try? FieldPath(names: path.names + below.names)).map { .nested($0, part) }
    case .and(let all): return .and(all.compactMap { $0.prefixed(by: path) })
    case .or(let any): return parts(any).map { .or($0) }
    case .not, .hasID: return nil
    }
  }
}
