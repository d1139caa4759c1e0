// The distinct values of a field and how many records hold each: a hash table over bytes in one arena.

import Core

struct ValueTable {
  /// Positions of values, -1 where a slot is free; a power of two of them, at most half of them taken.
  private var slots = [Int32](repeating: -1, count: 64)
  private var hashes: [Int] = []
  /// Where each value ends in `arena`.
  private var ends: [Int] = []
  private var arena: [UInt8] = []
  private(set) var counts: [Int] = []
  /// The record that each value was met in last.
  private var lastRecords: [Int] = []

  var count: Int { counts.count }

  /// Counts a value of a record, once for each record. Records must come one after the other.
  /// Throws `.limitExceeded` when there are too many different values.
  mutating func add(_ value: [UInt8], record: Int) throws(RoostError) {
    let place = try place(of: value)
    if lastRecords[place] != record { counts[place] += 1 }
    lastRecords[place] = record
  }

  /// Counts a value of so many records.
  mutating func add(_ value: [UInt8], records: Int) throws(RoostError) {
    counts[try place(of: value)] += records
  }

  private mutating func place(of value: [UInt8]) throws(RoostError) -> Int {
    var hasher = Hasher()
    value.withUnsafeBytes { hasher.combine(bytes: $0) }
    let hash = hasher.finalize()
    var slot = hash & (slots.count - 1)
    while slots[slot] >= 0 {
      let place = Int(slots[slot])
      if hashes[place] == hash, isEqual(place, value) { return place }
      slot = (slot + 1) & (slots.count - 1)
    }
    guard counts.count < Limits.facetDistinctMax, arena.count + value.count <= Limits.facetBytesMax else {
      throw RoostError(
        .limitExceeded,
        "a facet has more than \(Limits.facetDistinctMax) different values or \(Limits.facetBytesMax) bytes of them",
        at: "facet", remedy: "narrow it with a filter")
    }
    slots[slot] = Int32(counts.count)
    hashes.append(hash)
    arena.append(contentsOf: value)
    ends.append(arena.count)
    counts.append(0)
    lastRecords.append(-1)
    if counts.count * 2 > slots.count { grow() }
    return counts.count - 1
  }

  private func isEqual(_ place: Int, _ value: [UInt8]) -> Bool {
    let start = place == 0 ? 0 : ends[place - 1]
    guard ends[place] - start == value.count else { return false }
    return arena.withUnsafeBytes { arena in
      value.withUnsafeBytes {
        compareBytes(UnsafeRawBufferPointer(rebasing: arena[start..<ends[place]]), $0) == 0
      }
    }
  }

  func bytes(of place: Int) -> ArraySlice<UInt8> { arena[(place == 0 ? 0 : ends[place - 1])..<ends[place]] }

  private mutating func grow() {
    slots = [Int32](repeating: -1, count: slots.count * 2)
    for place in hashes.indices {
      var slot = hashes[place] & (slots.count - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (slots.count - 1) }
      slots[slot] = Int32(place)
    }
  }

  /// The `limit` most frequent values; equal counts by ascending value.
  func top(_ limit: Int) -> [ValueCount] {
    var places = Array(counts.indices)
    if places.count > limit {
      // Sorting counts alone is cheap; whatever is below the last that fits need not be compared by value.
      let least = counts.sorted(by: >)[limit - 1]
      places.removeAll { counts[$0] < least }
    }
    places.sort { a, b in
      counts[a] != counts[b] ? counts[a] > counts[b] : bytes(of: a).lexicographicallyPrecedes(bytes(of: b))
    }
    return places.prefix(limit).map { place in
      ValueCount(value: SortKey(bytes: Array(bytes(of: place))).value, count: counts[place])
    }
  }
}
