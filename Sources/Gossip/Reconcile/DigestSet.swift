// The digests of a replica in the order of their keys: what symbols beyond the sketch are computed from, and
// where decoded keys are looked up. 16 bytes a record; a host that has not the memory scans its records.

/// A sorted set in chunks. A copy is a snapshot: it shares all chunks, and a write copies just one.
public struct DigestSet: Sendable {
  private static let chunkMax = 512

  /// None is empty; all digests of one are before all of the next.
  private var chunks: [[RecordDigest]] = []
  public private(set) var count = 0

  public init() {}

  /// O(n log n).
  public init(_ digests: some Sequence<RecordDigest>) {
    let sorted = digests.sorted()
    var chunk: [RecordDigest] = []
    for digest in sorted where digest != chunk.last && digest != chunks.last?.last {
      if chunk.count == DigestSet.chunkMax / 2 {
        chunks.append(chunk)
        chunk.removeAll(keepingCapacity: true)
      }
      chunk.append(digest)
      count += 1
    }
    if !chunk.isEmpty { chunks.append(chunk) }
  }

  public func contains(_ digest: RecordDigest) -> Bool {
    let place = chunkIndex(of: digest)
    guard place < chunks.count else { return false }
    let index = DigestSet.lowerBound(chunks[place], digest)
    return index < chunks[place].count && chunks[place][index] == digest
  }

  /// Returns whether it was new. O(log n + chunk).
  @discardableResult
  public mutating func insert(_ digest: RecordDigest) -> Bool {
    guard !chunks.isEmpty else {
      chunks = [[digest]]
      count = 1
      return true
    }
    let place = min(chunkIndex(of: digest), chunks.count - 1)
    let index = DigestSet.lowerBound(chunks[place], digest)
    if index < chunks[place].count, chunks[place][index] == digest { return false }
    chunks[place].insert(digest, at: index)
    count += 1
    if chunks[place].count > DigestSet.chunkMax {
      let tail = Array(chunks[place][(DigestSet.chunkMax / 2)...])
      chunks[place].removeSubrange((DigestSet.chunkMax / 2)...)
      chunks.insert(tail, at: place + 1)
    }
    return true
  }

  /// Returns whether it was there.
  @discardableResult
  public mutating func remove(_ digest: RecordDigest) -> Bool {
    let place = chunkIndex(of: digest)
    guard place < chunks.count else { return false }
    let index = DigestSet.lowerBound(chunks[place], digest)
    guard index < chunks[place].count, chunks[place][index] == digest else { return false }
    chunks[place].remove(at: index)
    count -= 1
    if chunks[place].isEmpty { chunks.remove(at: place) }
    return true
  }

  /// The digests of a range, ascending.
  public func forEach(in range: KeyRange, _ body: (RecordDigest) -> Void) {
    let start = RecordDigest(key: range.first, version: 0)
    var place = chunkIndex(of: start)
    while place < chunks.count {
      let chunk = chunks[place]
      var index = DigestSet.lowerBound(chunk, start)
      while index < chunk.count {
        guard range.contains(chunk[index].key) else { return }
        body(chunk[index])
        index += 1
      }
      place += 1
    }
  }

  public func count(in range: KeyRange) -> Int {
    if range.isWhole { return count }
    var total = 0
    forEach(in: range) { _ in total += 1 }
    return total
  }

  /// The digests whose keys begin with the highest `bits` bits of `key`.
  public func matches(key: UInt64, bits: Int) -> [RecordDigest] {
    let shift = UInt64(RecordDigest.keyBits - bits)
    let start = RecordDigest(key: (key >> shift) << shift, version: 0)
    var found: [RecordDigest] = []
    var place = chunkIndex(of: start)
    while place < chunks.count {
      for index in DigestSet.lowerBound(chunks[place], start)..<chunks[place].count {
        guard chunks[place][index].key >> shift == key >> shift else { return found }
        found.append(chunks[place][index])
      }
      place += 1
    }
    return found
  }

  /// The coded symbols at `indices` over the digests of `range`. About 15 ns per digest and index it goes to.
  public func symbols(_ indices: Range<Int>, in range: KeyRange = .whole) -> [CodedSymbol] {
    var cells = Array(repeating: CodedSymbol(), count: indices.count)
    cells.withUnsafeMutableBufferPointer { cells in
      forEach(in: range) { CodedSymbol.spread($0, over: cells, from: indices.lowerBound, sign: 1) }
    }
    return cells
  }

  /// The first chunk whose last digest is not before `digest`.
  private func chunkIndex(of digest: RecordDigest) -> Int {
    var low = 0
    var high = chunks.count
    while low < high {
      let middle = (low + high) / 2
      let chunk = chunks[middle]
      if chunk[chunk.count - 1] < digest { low = middle + 1 } else { high = middle }
    }
    return low
  }

  private static func lowerBound(_ chunk: [RecordDigest], _ digest: RecordDigest) -> Int {
    var low = 0
    var high = chunk.count
    while low < high {
      let middle = (low + high) / 2
      if chunk[middle] < digest { low = middle + 1 } else { high = middle }
    }
    return low
  }
}
