// The edges of a growing graph: one fixed-size list a row, written under a lock of its own, read without.

import CKernels
import Core
import Glibc
import Synchronization

/// `[capacity × wordsPerRow]` of u32. Word 0 holds the count (bits 0–15), how often the list was rewritten
/// (bits 16–29), whether the row is in the graph (bit 30) and the writers' lock (bit 31); the neighbours follow.
///
/// Readers take no lock and never miss a neighbour that stays: `rewrite` moves none before its copy is in
/// place, and a reader in whose back a list was rewritten reads it again.
final class NeighbourLists: Sendable {
  private static let lockBit: UInt32 = 1 << 31
  private static let presentBit: UInt32 = 1 << 30
  private static let countMask: UInt32 = 0xffff
  private static let editionUnit: UInt32 = 1 << 16
  private static let editionMask: UInt32 = 0x3fff << 16
  private static let spinsBeforeYield = 64

  let capacity: Int
  /// Neighbours that one list can hold.
  let slots: Int
  private let wordsPerRow: Int
  private let memory: AnonymousMemory

  /// - Parameter memory: `byteCount` zeros.
  init(capacity: Int, slots: Int, memory: AnonymousMemory) {
    precondition(slots > 0 && slots <= Int(Self.countMask))
    precondition(memory.count >= Self.byteCount(capacity: capacity, slots: slots))
    self.capacity = capacity
    self.slots = slots
    wordsPerRow = slots + 1
    self.memory = memory
    memory.preferHugePages()
  }

  /// A copy of the first `rows` lists. No writer may be at work on the original.
  convenience init(copying other: NeighbourLists, rows: Int, memory: AnonymousMemory) {
    precondition(rows <= other.capacity)
    self.init(capacity: rows, slots: other.slots, memory: memory)
    memory.base.copyMemory(
      from: other.memory.base, byteCount: Self.byteCount(capacity: rows, slots: other.slots))
  }

  static func byteCount(capacity: Int, slots: Int) -> Int {
    capacity * (slots + 1) * MemoryLayout<UInt32>.stride
  }

  /// All-zero bytes are a valid `Atomic<UInt32>` of value 0, so the fresh mapping needs no initialising.
  @inline(__always)
  private func words(_ row: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>> {
    precondition(Int(row) < capacity)
    return memory.base.assumingMemoryBound(to: Atomic<UInt32>.self) + Int(row) &* wordsPerRow
  }

  func contains(_ row: UInt32) -> Bool {
    words(row).pointee.load(ordering: .acquiring) & Self.presentBit != 0
  }

  func count(_ row: UInt32) -> Int { Int(words(row).pointee.load(ordering: .acquiring) & Self.countMask) }

  /// Copies the neighbours of a row; `list` has room for `slots`.
  @inline(__always)
  func read(_ row: UInt32, into list: UnsafeMutablePointer<UInt32>) -> Int {
    let words = words(row)
    while true {
      let head = words.pointee.load(ordering: .acquiring)
      let count = Int(head & Self.countMask)
      for index in 0..<count { list[index] = words[1 &+ index].load(ordering: .acquiring) }
      if (words.pointee.load(ordering: .acquiring) ^ head) & Self.editionMask == 0 { return count }
    }
  }

  @inline(__always)
  func prefetch(_ row: UInt32) {
    let start = UnsafeRawPointer(words(row))
    for line in 0...(wordsPerRow * 4 - 1) / 64 { roost_prefetch(start + line * 64) }
  }

  /// Runs `body` while no other writer can touch the list.
  @inline(__always)
  func withLock<T>(_ row: UInt32, _ body: (borrowing LockedList) -> T) -> T {
    let words = words(row)
    var spins = 0
    while true {
      let value = words.pointee.load(ordering: .relaxed)
      if value & Self.lockBit == 0,
        words.pointee.weakCompareExchange(
          expected: value, desired: value | Self.lockBit, successOrdering: .acquiring,
          failureOrdering: .relaxed
        ).exchanged
      {
        break
      }
      spins += 1
      if spins % Self.spinsBeforeYield == 0 { sched_yield() } else { roost_pause() }
    }
    defer { words.pointee.bitwiseAnd(~Self.lockBit, ordering: .releasing) }
    return body(LockedList(words: words, slots: slots))
  }

  /// A list whose lock is held.
  struct LockedList: ~Copyable {
    fileprivate let words: UnsafeMutablePointer<Atomic<UInt32>>
    let slots: Int

    var count: Int { Int(words.pointee.load(ordering: .relaxed) & NeighbourLists.countMask) }

    func contains(_ row: UInt32) -> Bool {
      for index in 0..<count where words[1 + index].load(ordering: .relaxed) == row { return true }
      return false
    }

    func read(into list: UnsafeMutablePointer<UInt32>) -> Int {
      let count = count
      for index in 0..<count { list[index] = words[1 + index].load(ordering: .relaxed) }
      return count
    }

    /// Adds a neighbour; requires a free slot.
    func append(_ row: UInt32) {
      let count = count
      precondition(count < slots)
      words[1 + count].store(row, ordering: .releasing)
      setCount(count + 1)
    }

    /// Overwrites one neighbour.
    func replace(at index: Int, with row: UInt32) {
      precondition(index < count)
      words[1 + index].store(row, ordering: .releasing)
      setCount(count, isNewEdition: true)
    }

    /// Replaces all neighbours, in this order, and marks the row as being in the graph. For lists that no
    /// reader depends on: it may miss neighbours that stay.
    func assign(_ list: UnsafePointer<UInt32>, _ newCount: Int) {
      precondition(newCount <= slots)
      for index in 0..<newCount { words[1 + index].store(list[index], ordering: .releasing) }
      setCount(newCount, isNewEdition: true)
    }

    /// Replaces all neighbours, in any order, so that readers at all times find those that stay.
    func rewrite(_ list: UnsafePointer<UInt32>, _ newCount: Int) {
      precondition(newCount <= slots)
      let oldCount = count
      // Neighbours that are not yet among the first `newCount` words.
      var next = 0
      func takeMisplaced() -> UInt32? {
        while next < newCount {
          defer { next += 1 }
          let row = list[next]
          if !holds(row, in: 0..<min(oldCount, newCount)) { return row }
        }
        return nil
      }
      func isKept(_ row: UInt32) -> Bool {
        for index in 0..<newCount where list[index] == row { return true }
        return false
      }
      for index in 0..<newCount {
        if index < oldCount, isKept(words[1 + index].load(ordering: .relaxed)) { continue }
        guard let row = takeMisplaced() else { break }
        words[1 + index].store(row, ordering: .releasing)
      }
      setCount(newCount, isNewEdition: true)
    }

    private func holds(_ row: UInt32, in range: Range<Int>) -> Bool {
      for index in range where words[1 + index].load(ordering: .relaxed) == row { return true }
      return false
    }

    /// Takes the row out of the graph.
    func clear() { words.pointee.store(NeighbourLists.lockBit, ordering: .releasing) }

    private func setCount(_ count: Int, isNewEdition: Bool = false) {
      var edition = words.pointee.load(ordering: .relaxed) & NeighbourLists.editionMask
      if isNewEdition { edition = (edition &+ NeighbourLists.editionUnit) & NeighbourLists.editionMask }
      words.pointee.store(
        NeighbourLists.lockBit | NeighbourLists.presentBit | edition | UInt32(count), ordering: .releasing)
    }
  }
}
