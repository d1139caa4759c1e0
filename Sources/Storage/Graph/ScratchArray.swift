// Reusable memory for hot loops.

/// An uninitialised block of trivial elements that only ever grows.
struct ScratchArray<Element: BitwiseCopyable>: ~Copyable {
  private(set) var base: UnsafeMutablePointer<Element>
  private(set) var capacity: Int

  init(capacity: Int = 64) {
    precondition(capacity > 0)
    base = .allocate(capacity: capacity)
    self.capacity = capacity
  }

  deinit { base.deallocate() }

  /// Makes room for `count` elements; the first `keeping` survive.
  @inline(__always)
  mutating func reserve(_ count: Int, keeping: Int = 0) {
    if count > capacity { grow(count, keeping: keeping) }
  }

  private mutating func grow(_ count: Int, keeping: Int) {
    let larger = Swift.max(count, capacity * 2)
    let fresh = UnsafeMutablePointer<Element>.allocate(capacity: larger)
    fresh.update(from: base, count: Swift.min(keeping, capacity))
    base.deallocate()
    base = fresh
    capacity = larger
  }

  @inline(__always)
  subscript(index: Int) -> Element {
    get {
      assert(index >= 0 && index < capacity)
      return base[index]
    }
    set {
      assert(index >= 0 && index < capacity)
      base[index] = newValue
    }
  }
}

/// A set of rows that forgets everything in time proportional to what it holds.
struct RowSet: ~Copyable {
  private var words: UnsafeMutablePointer<UInt64>
  private var wordCount: Int
  private var members = ScratchArray<UInt32>(capacity: 1024)
  private(set) var count = 0

  init() {
    wordCount = 1024
    words = .allocate(capacity: wordCount)
    words.initialize(repeating: 0, count: wordCount)
  }

  deinit { words.deallocate() }

  /// Empties the set and makes room for rows below `rowCount`.
  mutating func reset(rowCount: Int) {
    let needed = (rowCount + 63) / 64
    if needed > wordCount {
      words.deallocate()
      wordCount = needed
      words = .allocate(capacity: needed)
      words.initialize(repeating: 0, count: needed)
    } else if count > wordCount / 4 {
      words.update(repeating: 0, count: wordCount)
    } else {
      for index in 0..<count { words[Int(members[index] >> 6)] = 0 }
    }
    count = 0
  }

  @inline(__always)
  func contains(_ row: UInt32) -> Bool {
    assert(Int(row >> 6) < wordCount)
    return words[Int(row >> 6)] & (1 << UInt64(row & 63)) != 0
  }

  /// Adds a row below the `rowCount` of `reset`; returns whether it is new.
  @inline(__always)
  mutating func insert(_ row: UInt32) -> Bool {
    let index = Int(row >> 6)
    assert(index < wordCount)
    let bit = UInt64(1) << UInt64(row & 63)
    let word = words[index]
    if word & bit != 0 { return false }
    words[index] = word | bit
    members.reserve(count &+ 1, keeping: count)
    members.base[count] = row
    count &+= 1
    return true
  }
}
