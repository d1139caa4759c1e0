// The best candidates of a search so far, and the frontier of a filtered one.

import CKernels

/// A bounded list of keys, ascending. The memory belongs to the `GraphScratch` it came from.
struct Beam {
  let keys: UnsafeMutablePointer<CandidateKey>
  let capacity: Int
  private(set) var count = 0
  /// No key before this one is unexpanded.
  private var cursor = 0

  init(keys: UnsafeMutablePointer<CandidateKey>, capacity: Int) {
    precondition(capacity > 0)
    self.keys = keys
    self.capacity = capacity
  }

  var isFull: Bool { count == capacity }

  /// No key of a larger distance is admitted.
  @inline(__always)
  var bound: Float { count < capacity ? .infinity : keys[capacity - 1].distance }

  /// The distance of the key that has `index` nearer ones; infinite while there are not so many.
  @inline(__always)
  func distance(at index: Int) -> Float { index < count ? keys[index].distance : .infinity }

  /// Whether `insert` would take the key.
  @inline(__always)
  func admits(_ key: CandidateKey) -> Bool { count < capacity || key < keys[capacity - 1] }

  /// Inserts a key that the beam admits, in O(capacity); returns the key that had to leave.
  @inline(__always)
  @discardableResult
  mutating func insert(_ key: CandidateKey) -> CandidateKey? {
    assert(admits(key))
    var leaving: CandidateKey?
    if count == capacity {
      leaving = keys[capacity &- 1]
      count &-= 1
    }
    // A key is its bits.
    let position = roost_insert_key(
      UnsafeMutableRawPointer(keys).assumingMemoryBound(to: UInt64.self), count, key.bits)
    count &+= 1
    if position < cursor { cursor = position }
    return leaving
  }

  /// The nearest row not yet expanded, which counts as expanded from now on.
  @inline(__always)
  mutating func popNearest() -> CandidateKey? {
    while cursor < count {
      let key = keys[cursor]
      if !key.isExpanded {
        keys[cursor] = CandidateKey(bits: key.bits | 1)
        cursor &+= 1
        return key
      }
      cursor &+= 1
    }
    return nil
  }

  /// The row that `popNearest` would return now.
  @inline(__always)
  func peekNearest() -> UInt32? {
    var index = cursor
    while index < count {
      if !keys[index].isExpanded { return keys[index].row }
      index &+= 1
    }
    return nil
  }

  /// Replaces `results` by the first `k` candidates.
  func emit(_ k: Int, into results: inout [Candidate]) {
    results.removeAll(keepingCapacity: true)
    for index in 0..<min(k, count) { results.append(keys[index].candidate) }
  }
}

/// A binary min-heap of keys; it grows as needed.
struct Frontier: ~Copyable {
  private var keys = ScratchArray<CandidateKey>()
  private(set) var count = 0

  mutating func removeAll() { count = 0 }

  var peek: CandidateKey? { count > 0 ? keys[0] : nil }

  mutating func push(_ key: CandidateKey) {
    keys.reserve(count + 1, keeping: count)
    var index = count
    count += 1
    while index > 0 {
      let parent = (index - 1) / 2
      if keys[parent] < key { break }
      keys[index] = keys[parent]
      index = parent
    }
    keys[index] = key
  }

  mutating func pop() -> CandidateKey? {
    guard count > 0 else { return nil }
    let top = keys[0]
    count -= 1
    let last = keys[count]
    var index = 0
    while true {
      var child = 2 * index + 1
      if child >= count { break }
      if child + 1 < count && keys[child + 1] < keys[child] { child += 1 }
      if last < keys[child] { break }
      keys[index] = keys[child]
      index = child
    }
    if count > 0 { keys[index] = last }
    return top
  }
}
