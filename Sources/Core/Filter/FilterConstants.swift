// What a compiled filter compares with, laid out flat: trivial structs that index into shared pools,
// so that a test touches no reference-counted object.

import Glibc

/// A test of one field's value.
struct FilterTest {
  enum Kind: UInt8 {
    case exists, hasValue, isIn, numberRange, datetimeRange, stringRange, bytesRange, words, region, nested
  }
  var kind: Kind
  /// Position in the pool that belongs to `kind`.
  var index: Int32 = 0
}

struct PoolRange {
  var start: Int32 = 0
  var end: Int32 = 0
}

/// The values of an `in` (or, with one value, of an `=`), by type.
struct ValueSet {
  var hasNull = false
  var hasFalse = false
  var hasTrue = false
  /// Ascending.
  var wholes = PoolRange()
  var fractions = PoolRange()
  var datetimes = PoolRange()
  /// Ascending by length, then bytes.
  var strings = PoolRange()
  var bytes = PoolRange()
  /// Pairs of latitude and longitude, as they come.
  var places = PoolRange()
}

struct ByteInterval {
  var hasLower = false
  var lower = PoolRange()
  var isLowerInclusive = false
  var hasUpper = false
  var upper = PoolRange()
  var isUpperInclusive = false
}

/// The ids of a `hasID`.
struct IDSet {
  /// Ascending.
  var numbers = PoolRange()
  /// Ascending by length, then bytes.
  var keys = PoolRange()
}

package struct FilterConstants {
  private(set) var sets: [ValueSet] = []
  private(set) var numberIntervals: [NumberInterval] = []
  private(set) var datetimeIntervals: [ClosedInterval] = []
  private(set) var byteIntervals: [ByteInterval] = []
  private(set) var wordTests: [WordTest] = []
  private(set) var regions: [GeoRegion] = []
  private(set) var idSets: [IDSet] = []
  private var wholes: [Int64] = []
  private var idNumbers: [UInt64] = []
  private var doubles: [Double] = []
  private var texts: [PoolRange] = []
  private var bytes: [UInt8] = []

  package struct ClosedInterval {
    package var lower: Int64
    package var upper: Int64
  }

  // MARK: building

  mutating func addSet(_ values: [Value]) -> FilterTest {
    var set = ValueSet()
    var newWholes: [Int64] = []
    var newFractions: [Double] = []
    var newDatetimes: [Int64] = []
    var newStrings: [[UInt8]] = []
    var newBytes: [[UInt8]] = []
    var newPlaces: [Double] = []
    for value in values {
      switch value {
      case .null: set.hasNull = true
      case .bool(let flag): if flag { set.hasTrue = true } else { set.hasFalse = true }
      case .int(let number): newWholes.append(number)
      case .double(let number):
        switch CanonicalNumber(number) {
        case .whole(let whole): newWholes.append(whole)
        case .other(let other): newFractions.append(other)
        }
      case .string(let text): newStrings.append(Array(text.utf8))
      case .bytes(let bytes): newBytes.append(bytes)
      case .geo(let latitude, let longitude): newPlaces += [latitude, longitude]
      case .datetime(let micros): newDatetimes.append(micros)
      case .array, .map: preconditionFailure("validate() refuses arrays and maps")
      }
    }
    set.wholes = FilterConstants.append(newWholes.sorted(), to: &wholes)
    set.fractions = FilterConstants.append(newFractions.sorted(), to: &doubles)
    set.datetimes = FilterConstants.append(newDatetimes.sorted(), to: &wholes)
    set.strings = addTexts(newStrings)
    set.bytes = addTexts(newBytes)
    set.places = FilterConstants.append(newPlaces, to: &doubles)
    sets.append(set)
    return FilterTest(kind: .isIn, index: Int32(sets.count - 1))
  }

  mutating func addRange(_ range: FilterRange) -> FilterTest {
    switch range.lower.value ?? range.upper.value {
    case .int?, .double?:
      numberIntervals.append(FilterConstants.numberInterval(range))
      return FilterTest(kind: .numberRange, index: Int32(numberIntervals.count - 1))
    case .datetime?:
      datetimeIntervals.append(FilterConstants.datetimeInterval(range))
      return FilterTest(kind: .datetimeRange, index: Int32(datetimeIntervals.count - 1))
    case .string?:
      byteIntervals.append(byteInterval(range))
      return FilterTest(kind: .stringRange, index: Int32(byteIntervals.count - 1))
    case .bytes?:
      byteIntervals.append(byteInterval(range))
      return FilterTest(kind: .bytesRange, index: Int32(byteIntervals.count - 1))
    default: preconditionFailure("validate() refuses other bounds")
    }
  }

  mutating func addWords(_ match: TextMatch) -> FilterTest {
    wordTests.append(WordTest(match))
    return FilterTest(kind: .words, index: Int32(wordTests.count - 1))
  }

  mutating func addRegion(_ area: GeoArea) -> FilterTest {
    regions.append(GeoRegion(area))
    return FilterTest(kind: .region, index: Int32(regions.count - 1))
  }

  /// Returns the set's position in `idSets`.
  mutating func addIDs(_ ids: [RecordID]) -> Int32 {
    var numbers: [UInt64] = []
    var keys: [[UInt8]] = []
    for id in ids {
      switch id {
      case .number(let number): numbers.append(number)
      case .key(let key): keys.append(Array(key.utf8))
      }
    }
    idSets.append(
      IDSet(numbers: FilterConstants.append(numbers.sorted(), to: &idNumbers), keys: addTexts(keys)))
    return Int32(idSets.count - 1)
  }

  private static func append<T>(_ values: [T], to pool: inout [T]) -> PoolRange {
    let start = Int32(pool.count)
    pool += values
    return PoolRange(start: start, end: Int32(pool.count))
  }

  private mutating func addText(_ text: [UInt8]) -> PoolRange { FilterConstants.append(text, to: &bytes) }

  private mutating func addTexts(_ values: [[UInt8]]) -> PoolRange {
    let sorted = values.sorted { a, b in
      a.count != b.count ? a.count < b.count : a.lexicographicallyPrecedes(b)
    }
    var ranges: [PoolRange] = []
    for text in sorted { ranges.append(addText(text)) }
    return FilterConstants.append(ranges, to: &texts)
  }

  package static func numberInterval(_ range: FilterRange) -> NumberInterval {
    var interval = NumberInterval()
    switch range.lower {
    case .inclusive(.int(let bound)): interval.raise(to: bound, inclusive: true)
    case .exclusive(.int(let bound)): interval.raise(to: bound, inclusive: false)
    case .inclusive(.double(let bound)): interval.raise(to: bound, inclusive: true)
    case .exclusive(.double(let bound)): interval.raise(to: bound, inclusive: false)
    default: break
    }
    switch range.upper {
    case .inclusive(.int(let bound)): interval.lower(to: bound, inclusive: true)
    case .exclusive(.int(let bound)): interval.lower(to: bound, inclusive: false)
    case .inclusive(.double(let bound)): interval.lower(to: bound, inclusive: true)
    case .exclusive(.double(let bound)): interval.lower(to: bound, inclusive: false)
    default: break
    }
    return interval
  }

  package static func datetimeInterval(_ range: FilterRange) -> ClosedInterval {
    // Exact in the order of Int64, so the int half of a number interval serves.
    var interval = NumberInterval()
    switch range.lower {
    case .inclusive(.datetime(let bound)): interval.raise(to: bound, inclusive: true)
    case .exclusive(.datetime(let bound)): interval.raise(to: bound, inclusive: false)
    default: break
    }
    switch range.upper {
    case .inclusive(.datetime(let bound)): interval.lower(to: bound, inclusive: true)
    case .exclusive(.datetime(let bound)): interval.lower(to: bound, inclusive: false)
    default: break
    }
    return ClosedInterval(lower: interval.lowerInt, upper: interval.upperInt)
  }

  private mutating func byteInterval(_ range: FilterRange) -> ByteInterval {
    func content(_ bound: FilterRange.Bound) -> [UInt8]? {
      switch bound.value {
      case .string(let text)?: Array(text.utf8)
      case .bytes(let bytes)?: bytes
      default: nil
      }
    }
    var interval = ByteInterval()
    if let lower = content(range.lower) {
      interval.hasLower = true
      interval.lower = addText(lower)
      if case .inclusive = range.lower { interval.isLowerInclusive = true }
    }
    if let upper = content(range.upper) {
      interval.hasUpper = true
      interval.upper = addText(upper)
      if case .inclusive = range.upper { interval.isUpperInclusive = true }
    }
    return interval
  }

  // MARK: testing

  @inline(__always)
  func passes(_ test: FilterTest, _ value: ScalarView) -> Bool {
    let index = Int(test.index)
    switch test.kind {
    case .exists: return true
    case .hasValue: if case .null = value { return false } else { return true }
    case .nested: return false
    case .words:
      guard case .string(let text) = value else { return false }
      return wordTests[index].matches(text)
    case .region:
      guard case .geo(let latitude, let longitude) = value else { return false }
      return regions[index].contains(latitude: latitude, longitude: longitude)
    case .isIn: return contains(sets[index], value)
    case .numberRange:
      switch value {
      case .int(let number): return numberIntervals[index].contains(number)
      case .double(let number): return numberIntervals[index].contains(number)
      default: return false
      }
    case .datetimeRange:
      guard case .datetime(let micros) = value else { return false }
      return datetimeIntervals[index].lower <= micros && micros <= datetimeIntervals[index].upper
    case .stringRange:
      guard case .string(let text) = value else { return false }
      return contains(byteIntervals[index], text)
    case .bytesRange:
      guard case .bytes(let bytes) = value else { return false }
      return contains(byteIntervals[index], bytes)
    }
  }

  /// Whether an encoded id (`RecordID.encode`) is in a set; its form has been checked by whoever stored it.
  func containsID(_ set: Int32, _ id: UnsafeRawBufferPointer) -> Bool {
    let set = idSets[Int(set)]
    guard id.count > 2 else { return false }
    if id[0] == 0 {
      guard id.count == 9 else { return false }
      let number = UInt64(bigEndian: id.loadUnaligned(fromByteOffset: 1, as: UInt64.self))
      return FilterConstants.search(idNumbers, set.numbers, number)
    }
    return contains(set.keys, UnsafeRawBufferPointer(rebasing: id[2...]))
  }

  private func contains(_ set: ValueSet, _ value: ScalarView) -> Bool {
    switch value {
    case .null: return set.hasNull
    case .bool(let flag): return flag ? set.hasTrue : set.hasFalse
    case .int(let number): return FilterConstants.search(wholes, set.wholes, number)
    case .double(let number):
      switch CanonicalNumber(number) {
      case .whole(let whole): return FilterConstants.search(wholes, set.wholes, whole)
      case .other(let other): return FilterConstants.search(doubles, set.fractions, other)
      }
    case .datetime(let micros): return FilterConstants.search(wholes, set.datetimes, micros)
    case .string(let text): return contains(set.strings, text)
    case .bytes(let content): return contains(set.bytes, content)
    case .geo(let latitude, let longitude):
      for index in stride(from: Int(set.places.start), to: Int(set.places.end), by: 2)
      where doubles[index] == latitude && doubles[index + 1] == longitude { return true }
      return false
    }
  }

  @inline(__always)
  private static func search<T: Comparable>(_ pool: [T], _ range: PoolRange, _ value: T) -> Bool {
    var low = Int(range.start)
    var high = Int(range.end)
    while low < high {
      let middle = (low + high) / 2
      if pool[middle] < value { low = middle + 1 } else { high = middle }
    }
    return low < Int(range.end) && pool[low] == value
  }

  @inline(__always)
  private func contains(_ range: PoolRange, _ text: UnsafeRawBufferPointer) -> Bool {
    var low = Int(range.start)
    var high = Int(range.end)
    while low < high {
      let middle = (low + high) / 2
      let candidate = texts[middle]
      let length = Int(candidate.end - candidate.start)
      let order = length != text.count ? length - text.count : compare(candidate, text)
      if order == 0 { return true }
      if order < 0 { low = middle + 1 } else { high = middle }
    }
    return false
  }

  /// Below zero, zero or above, as the pooled bytes sort before, with or after `text`.
  @inline(__always)
  private func compare(_ pooled: PoolRange, _ text: UnsafeRawBufferPointer) -> Int {
    bytes.withUnsafeBytes { raw in
      compareBytes(UnsafeRawBufferPointer(rebasing: raw[Int(pooled.start)..<Int(pooled.end)]), text)
    }
  }

  private func contains(_ interval: ByteInterval, _ text: UnsafeRawBufferPointer) -> Bool {
    if interval.hasLower {
      let order = compare(interval.lower, text)
      guard order < 0 || order == 0 && interval.isLowerInclusive else { return false }
    }
    if interval.hasUpper {
      let order = compare(interval.upper, text)
      guard order > 0 || order == 0 && interval.isUpperInclusive else { return false }
    }
    return true
  }
}

/// Lexicographic order of bytes: below zero, zero or above.
package func compareBytes(_ a: UnsafeRawBufferPointer, _ b: UnsafeRawBufferPointer) -> Int {
  let shared = min(a.count, b.count)
  if shared > 0, let x = a.baseAddress, let y = b.baseAddress {
    let order = memcmp(x, y, shared)
    if order != 0 { return Int(order) }
  }
  return a.count - b.count
}
