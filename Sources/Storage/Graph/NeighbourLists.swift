// The edges of a growing graph: one fixed-size list a row, written under a lock of its own, read without.

import CKernels
import Core
import Glibc
import Synchronization

/// `[capacity × wordsPerRow]` of u32. Word 0 holds the count (bits 0–15), whether the row is in the graph
/// (bit 30) and the writers' lock (bit 31); the neighbours follow.
///
/// Readers take no lock: the count is published after the neighbours it covers, and a list that is being
/// rewritten in place shows a mix of old and new neighbours, each of them a row that is in the arena.
final class NeighbourLists: Sendable {
  private static let lockBit: UInt32 = 1 << 31
  private static let presentBit: UInt32 = 1 << 30
  private static let countMask: UInt32 = 0xffff
  private static let spinsBeforeYield = 64

  let capacity: Int
  /// Neighbours that one list can hold.
  let slots: Int
  private let wordsPerRow: Int
  private let memory: AnonymousMemory

  init(capacity: Int, slots: Int) throws(RoostError) {
    precondition(slots > 0 && slots <= Int(Self.countMask))
    self.capacity = capacity
    self.slots = slots
    wordsPerRow = slots + 1
    memory = try AnonymousMemory(count: capacity * wordsPerRow * MemoryLayout<UInt32>.stride)
    memory.preferHugePages()
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
    let count = Int(words.pointee.load(ordering: .acquiring) & Self.countMask)
    for index in 0..<count { list[index] = words[1 &+ index].load(ordering: .acquiring) }
    return count
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
    }

    /// Replaces all neighbours and marks the row as being in the graph.
    func assign(_ list: UnsafePointer<UInt32>, _ newCount: Int) {
      precondition(newCount <= slots)
      for index in 0..<newCount { words[1 + index].store(list[index], ordering: .releasing) }
      setCount(newCount)
    }

    /// Takes the row out of the graph.
    func clear() { words.pointee.store(NeighbourLists.lockBit, ordering: .releasing) }

    private func setCount(_ count: Int) {
      words.pointee.store(
        NeighbourLists.lockBit | NeighbourLists.presentBit | UInt32(count), ordering: .releasing)
    }
  }
}
