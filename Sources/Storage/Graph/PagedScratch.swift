// The memory of a search by page reads: the pages it has opened, the coded query, and the state of its reads.

import Core

/// What a search by page reads needs beside `GraphScratch`. A slot holds one run: in a frame of the cache
/// while there is one to be had, else in memory of the scratch.
final class PagedScratch {
  /// Runs held at once; a run that was read stays until its slot is needed.
  static let slots = 64
  static let inFlightMax = 32
  private static let noFrame = -1

  let runBytes: Int
  let codeQuery = CodeQuery()
  /// Rows whose neighbours have been ranked.
  var expanded = RowSet()
  /// Rows that have been compared exactly.
  var compared = RowSet()
  /// Rows to expand when their run arrives.
  var waiting: [UInt32] = []
  /// Rows to expand now, each with its block.
  var expanding: [(row: UInt32, block: UnsafeRawPointer)] = []
  /// Committed slot by slot, as a slot first goes without a frame.
  private let ownMemory: IOBuffer
  private var cache: PageCache?
  /// The run in each slot, or -1.
  private(set) var slotRun = [Int](repeating: -1, count: PagedScratch.slots)
  private var slotIsReading = [Bool](repeating: false, count: PagedScratch.slots)
  private var slotFrame = [Int](repeating: PagedScratch.noFrame, count: PagedScratch.slots)
  private var nextSlot = 0

  init(runBytes: Int) {
    self.runBytes = runBytes
    // At least as much as is mapped rather than cleared.
    ownMemory = IOBuffer(count: max(runBytes * Self.slots, 256 << 10), alignment: PagedFile.pageBytes)
  }

  func begin(cache: PageCache?) {
    waiting.removeAll(keepingCapacity: true)
    expanding.removeAll(keepingCapacity: true)
    self.cache = cache.flatMap { $0.frameBytes >= runBytes ? $0 : nil }
    nextSlot = 0
  }

  /// Lets go of all runs. No read may be in flight.
  func end() {
    for slot in 0..<Self.slots { clear(slot) }
    cache = nil
  }

  /// The slot that holds or is reading a run.
  func slot(ofRun run: Int) -> Int? { slotRun.firstIndex(of: run) }

  func isReading(_ slot: Int) -> Bool { slotIsReading[slot] }

  func pointer(_ slot: Int) -> UnsafeRawPointer {
    let frame = slotFrame[slot]
    if frame != Self.noFrame, let cache { return UnsafeRawPointer(cache.pointer(frame)) }
    return UnsafeRawPointer(ownMemory.base + slot * runBytes)
  }

  /// Takes the oldest slot that no read is using, for a run that no slot holds.
  func takeSlot(for run: Int) -> Int {
    while slotIsReading[nextSlot] { nextSlot = (nextSlot + 1) % Self.slots }
    let slot = nextSlot
    nextSlot = (nextSlot + 1) % Self.slots
    clear(slot)
    slotRun[slot] = run
    return slot
  }

  /// Fills the slot from the cache; false when the run is not there.
  func fill(_ slot: Int, fromCache key: UInt64) -> Bool {
    guard let frame = cache?.lookup(key) else { return false }
    slotFrame[slot] = frame
    return true
  }

  /// Where a read is to put the run of this slot.
  func beginRead(_ slot: Int) -> (buffer: IOBuffer, range: Range<Int>) {
    slotIsReading[slot] = true
    cache?.countRead()
    if let cache, let frame = cache.reserve() {
      slotFrame[slot] = frame
      let start = cache.range(frame).lowerBound
      return (cache.memory, start..<start + runBytes)
    }
    return (ownMemory, slot * runBytes..<(slot + 1) * runBytes)
  }

  func endRead(_ slot: Int) { slotIsReading[slot] = false }

  /// Offers a run that was read and verified to others.
  func share(_ slot: Int, as key: UInt64) {
    if slotFrame[slot] != Self.noFrame { cache?.publish(slotFrame[slot], as: key) }
  }

  private func clear(_ slot: Int) {
    if slotFrame[slot] != Self.noFrame {
      cache?.release(slotFrame[slot])
      slotFrame[slot] = Self.noFrame
    }
    slotRun[slot] = -1
    slotIsReading[slot] = false
  }
}
