// What keeps every row of a growing graph within reach while lists are pruned: each row but the first has one
// edge that leads to it and is never given up, from a row that was there before it.

import Core
import Synchronization

/// Parents and numbers of children by row. Following parents leads to the first row of the graph, so following
/// the edges to children from there leads to every row.
///
/// A row's number of children, and its being somebody's parent, change only under the lock of its list.
final class AdoptionTree: Sendable {
  /// `[capacity × 2]` of u32: parent + 1 (0: none), children.
  private let memory: AnonymousMemory

  init(capacity: Int) throws(RoostError) {
    memory = try AnonymousMemory(count: capacity * 2 * MemoryLayout<UInt32>.stride)
  }

  /// All-zero bytes are valid `Atomic<UInt32>`s of value 0.
  @inline(__always)
  private func words(_ row: UInt32) -> UnsafeMutablePointer<Atomic<UInt32>> {
    memory.base.assumingMemoryBound(to: Atomic<UInt32>.self) + Int(row) &* 2
  }

  @inline(__always)
  func isParent(_ parent: UInt32, of row: UInt32) -> Bool {
    words(row).pointee.load(ordering: .relaxed) == parent &+ 1
  }

  func childCount(_ row: UInt32) -> Int { Int(words(row)[1].load(ordering: .relaxed)) }

  /// Requires the lock of the parent's list.
  func adopt(_ row: UInt32, by parent: UInt32) {
    words(row).pointee.store(parent + 1, ordering: .relaxed)
    words(parent)[1].wrappingAdd(1, ordering: .relaxed)
  }
}

extension GrowingGraph {
  /// Children of a row by which it may still become the parent of a row that is no twin of it.
  private var childrenMax: Int { max(1, degree / 4) }
  /// Identical vectors that hang from one row. With `childrenMax` they leave at least a quarter of a list.
  var twinsMax: Int { max(1, min(RobustPrune.duplicatesMax, degree / 2)) }

  /// Gives a new row an edge that stays, from one of `candidates` or from a row below the first of them. No
  /// other edge may lead to the row yet.
  func adopt(_ row: UInt32, among candidates: UnsafePointer<UInt32>, _ count: Int, scratch: GraphScratch) {
    guard let tree, count > 0 else { return }
    for index in 0..<count where tryAdopt(row, by: candidates[index], tree, scratch: scratch) { return }
    var random = SplitMix64(seed: UInt64(row))
    var parent = candidates[0]
    scratch.backChosen.reserve(neighboursMax)
    // Whoever has all the children that it may have leads to one; a row without children has room.
    while !tryAdopt(row, by: parent, tree, scratch: scratch) {
      let list = scratch.backChosen.base
      let found = lists.read(parent, into: list)
      var children = 0
      for index in 0..<found where tree.isParent(parent, of: list[index]) {
        list[children] = list[index]
        children += 1
      }
      precondition(children > 0)
      parent = list[Int(random.next() % UInt64(children))]
    }
  }

  private func tryAdopt(
    _ row: UInt32, by parent: UInt32, _ tree: AdoptionTree, scratch: GraphScratch
  ) -> Bool {
    lists.withLock(parent) { list in
      if tree.childCount(parent) >= childrenMax { return false }
      tree.adopt(row, by: parent)
      if list.count < list.slots {
        list.append(row)
      } else {
        pruneList(list, of: parent, adding: row, scratch: scratch)
      }
      return true
    }
  }
}
