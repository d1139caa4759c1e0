// What facets and ordered scans should answer, from all records in memory.

import Core
import Testing

/// Values in their total order, compared the slow way.
enum ReferenceOrder {
  static func compare(_ a: Value, _ b: Value) -> Int {
    let (x, y) = (rank(a), rank(b))
    guard x == y else { return x < y ? -1 : 1 }
    switch (a, b) {
    case (.bool(let p), .bool(let q)): return p == q ? 0 : p ? 1 : -1
    case (.int(let p), .int(let q)): return sign(p, q)
    case (.double(let p), .double(let q)): return sign(p, q)
    case (.int(let p), .double(let q)): return compare(p, q)
    case (.double(let p), .int(let q)): return -compare(q, p)
    case (.datetime(let p), .datetime(let q)): return sign(p, q)
    case (.string(let p), .string(let q)): return sign(Array(p.utf8), Array(q.utf8))
    case (.bytes(let p), .bytes(let q)): return sign(p, q)
    case (.geo(let p, let r), .geo(let q, let s)): return p == q ? sign(r, s) : sign(p, q)
    default: return 0
    }
  }

  private static func compare(_ int: Int64, _ double: Double) -> Int {
    if double >= 0x1p63 { return -1 }
    if double < -0x1p63 { return 1 }
    let whole = double.rounded(.towardZero)
    let order = sign(int, Int64(whole))
    return order != 0 ? order : sign(whole, double)
  }

  private static func sign<T: Comparable>(_ x: T, _ y: T) -> Int { x < y ? -1 : x == y ? 0 : 1 }

  private static func sign(_ x: [UInt8], _ y: [UInt8]) -> Int {
    x == y ? 0 : x.lexicographicallyPrecedes(y) ? -1 : 1
  }

  private static func rank(_ value: Value) -> Int {
    switch value {
    case .null: 0
    case .bool: 1
    case .int, .double: 2
    case .datetime: 3
    case .string: 4
    case .bytes: 5
    case .geo: 6
    case .array, .map: 7
    }
  }
}

struct FacetModel: CollectionModel {
  private(set) var records: [RecordID: Payload] = [:]

  mutating func put(_ batch: [PutRecord]) { for record in batch { records[record.id] = record.payload } }
  mutating func delete(_ ids: [RecordID]) { for id in ids { records[id] = nil } }

  /// Scalars at a path of plain names, arrays looked into.
  static func values(_ payload: Payload, _ path: FieldPath) -> [Value] {
    var found: [Value] = [.map(payload.fields)]
    for name in path.names { found = found.flatMap(maps).compactMap { $0[name] } }
    return found.flatMap(scalars)
  }

  private static func maps(_ value: Value) -> [[String: Value]] {
    switch value {
    case .map(let fields): [fields]
    case .array(let values): values.flatMap(maps)
    default: []
    }
  }

  private static func scalars(_ value: Value) -> [Value] {
    switch value {
    case .array(let values): values.flatMap(scalars)
    case .map: []
    default: [value]
    }
  }

  /// The filter of these tests: a number in `n` below a limit.
  static func filter(_ limit: Int) -> Filter {
    .field("n", .range(FilterRange(upper: .exclusive(.int(Int64(limit))))))
  }

  func passing(_ limit: Int?) -> [(id: RecordID, payload: Payload)] {
    records.filter { _, payload in
      guard let limit else { return true }
      return FacetModel.values(payload, "n").contains { value in
        switch value {
        case .int, .double: ReferenceOrder.compare(value, .int(Int64(limit))) < 0
        default: false
        }
      }
    }.map { ($0.key, $0.value) }
  }

  func answer(_ facet: Facet, _ limit: Int?) -> FacetAnswer {
    let lists = passing(limit).map { FacetModel.values($0.payload, facet.path) }
    switch facet.kind {
    case .values(let top):
      var counts: [ValueCount] = []
      for list in lists {
        var own: [Value] = []
        for value in list where !own.contains(where: { ReferenceOrder.compare($0, value) == 0 }) {
          own.append(value)
          if let index = counts.firstIndex(where: { ReferenceOrder.compare($0.value, value) == 0 }) {
            counts[index].count += 1
          } else {
            counts.append(ValueCount(value: value, count: 1))
          }
        }
      }
      counts.sort { a, b in
        a.count != b.count ? a.count > b.count : ReferenceOrder.compare(a.value, b.value) < 0
      }
      return .values(distinct: counts.count, top: Array(counts.prefix(top)))
    case .numbers(let interval):
      let numbers = lists.joined().filter { value in
        switch value {
        case .int, .double: true
        default: false
        }
      }
      return bounds(numbers) { value in
        let number =
          switch value {
          case .int(let int): Double(int)
          case .double(let double): double
          default: 0.0
          }
        guard interval > 0, number.isFinite else { return nil }
        return .double((number / interval).rounded(.down) * interval)
      }
    case .datetimes(let interval):
      let dates = lists.joined().filter { if case .datetime = $0 { true } else { false } }
      return bounds(dates) { value in
        guard interval > 0, case .datetime(let micros) = value else { return nil }
        let width = Int64(interval * 1e6)
        return .datetime(micros - ((micros % width) + width) % width)
      }
    }
  }

  private func bounds(_ values: [Value], _ step: (Value) -> Value?) -> FacetAnswer {
    let sorted = values.sorted { ReferenceOrder.compare($0, $1) < 0 }
    var steps: [ValueCount] = []
    for start in sorted.compactMap(step) {
      if steps.last?.value == start {
        steps[steps.count - 1].count += 1
      } else {
        steps.append(ValueCount(value: start, count: 1))
      }
    }
    return .bounds(count: values.count, least: sorted.first, greatest: sorted.last, histogram: steps)
  }

  /// The ids in the order of a field, each with the value it is ordered by.
  func ordered(_ order: ScanOrder, _ limit: Int?) -> [(id: RecordID, value: Value?)] {
    passing(limit).map { id, payload -> (id: RecordID, value: Value?) in
      let values = FacetModel.values(payload, order.path).filter { $0 != .null }
        .sorted { ReferenceOrder.compare($0, $1) < 0 }
      return (id, order.isDescending ? values.last : values.first)
    }.sorted { a, b in
      switch (a.value, b.value) {
      case (nil, nil): return a.id < b.id
      case (nil, _?): return false
      case (_?, nil): return true
      case (let x?, let y?):
        let order = order.isDescending ? ReferenceOrder.compare(y, x) : ReferenceOrder.compare(x, y)
        return order != 0 ? order < 0 : a.id < b.id
      }
    }
  }

  /// Equal, where an int and a double that are the same number are equal, too.
  static func same(_ a: FacetAnswer, _ b: FacetAnswer) -> Bool {
    switch (a, b) {
    case (.values(let distinct, let top), .values(let otherDistinct, let otherTop)):
      distinct == otherDistinct && same(top, otherTop)
    case (
      .bounds(let count, let least, let greatest, let steps),
      .bounds(let otherCount, let otherLeast, let otherGreatest, let otherSteps)
    ):
      count == otherCount && same(least, otherLeast) && same(greatest, otherGreatest)
        && same(steps, otherSteps)
    default: false
    }
  }

  static func same(_ a: Value?, _ b: Value?) -> Bool {
    switch (a, b) {
    case (nil, nil): true
    case (let x?, let y?): ReferenceOrder.compare(x, y) == 0
    default: false
    }
  }

  private static func same(_ a: [ValueCount], _ b: [ValueCount]) -> Bool {
    a.count == b.count && zip(a, b).allSatisfy { $0.count == $1.count && same($0.value, $1.value) }
  }
}
