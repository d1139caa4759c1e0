// Reusable memory for hot loops.

import CKernels

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

/// The memory of a set of rows that forgets everything in time proportional to what it holds.
struct RowSet: ~Copyable {
  /// Members noted one by one; a larger set is forgotten by clearing all words.
  private static let notedMax = 16_384
  /// Rows that one call of `keepNew` takes.
  static let batchMax = 4_096

  private var words = UnsafeMutablePointer<UInt64>.allocate(capacity: 1)
  private var wordCount = 0
  private let noted = UnsafeMutablePointer<UInt32>.allocate(capacity: RowSet.notedMax + RowSet.batchMax)
  private var notedCount = 0

  init() {}

  deinit {
    words.deallocate()
    noted.deallocate()
  }

  /// An empty set of rows below `rowCount`, valid until the next call. What it holds must come back by `end`.
  mutating func begin(rowCount: Int) -> Marks {
    let needed = (rowCount + 63) / 64
    if needed > wordCount {
      words.deallocate()
      wordCount = needed
      words = .allocate(capacity: needed)
      words.initialize(repeating: 0, count: needed)
    } else if notedCount >= Self.notedMax || notedCount > wordCount {
      words.update(repeating: 0, count: wordCount)
    } else {
      for index in 0..<notedCount { words[Int(noted[index] >> 6)] = 0 }
    }
    notedCount = 0
    return Marks(words: words, noted: noted, wordCount: wordCount, notedMax: Self.notedMax)
  }

  /// Takes note of what has been inserted into `marks` since `begin`.
  mutating func end(_ marks: Marks) { notedCount = marks.notedCount }

  /// The set while it is in use: plain pointers, so that hot loops keep it in registers.
  struct Marks {
    fileprivate let words: UnsafeMutablePointer<UInt64>
    fileprivate let noted: UnsafeMutablePointer<UInt32>
    fileprivate let wordCount: Int
    fileprivate let notedMax: Int
    fileprivate var notedCount = 0

    fileprivate init(
      words: UnsafeMutablePointer<UInt64>, noted: UnsafeMutablePointer<UInt32>, wordCount: Int, notedMax: Int
    ) {
      self.words = words
      self.noted = noted
      self.wordCount = wordCount
      self.notedMax = notedMax
    }

    @inline(__always)
    func contains(_ row: UInt32) -> Bool {
      assert(Int(row >> 6) < wordCount)
      return words[Int(row >> 6)] & (1 << UInt64(row & 63)) != 0
    }

    /// Adds a row below the `rowCount` of `begin`; returns whether it is new.
    @inline(__always)
    mutating func insert(_ row: UInt32) -> Bool {
      let index = Int(row >> 6)
      assert(index < wordCount)
      let bit = UInt64(1) << UInt64(row & 63)
      let word = words[index]
      if word & bit != 0 { return false }
      words[index] = word | bit
      if notedCount < notedMax {
        noted[notedCount] = row
        notedCount &+= 1
      }
      return true
    }

    /// Keeps those of the first `count` rows that are new, and adds them; returns how many they are.
    @inline(__always)
    mutating func keepNew(_ rows: UnsafeMutablePointer<UInt32>, _ count: Int) -> Int {
      precondition(count <= RowSet.batchMax)
      let kept = roost_keep_unmarked(rows, count, words, noted + notedCount)
      notedCount = min(notedCount &+ kept, notedMax)
      return kept
    }
  }
}
