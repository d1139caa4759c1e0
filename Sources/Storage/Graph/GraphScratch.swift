// Memory that searches and inserts reuse, so that their loops never allocate.

import Core

/// The working memory of one search or insert at a time. Keep one per thread, or pool them.
///
/// Safety of `@unchecked Sendable`: it may move between threads, but only one uses it at any time,
/// which is the duty of whoever pools it.
final class GraphScratch: @unchecked Sendable {
  var visited = RowSet()
  var frontier = Frontier()
  /// The beam of a search or insert.
  var keys = ScratchArray<CandidateKey>(capacity: 256)
  /// Accepted rows of a filtered search.
  var accepted = ScratchArray<CandidateKey>(capacity: 256)
  /// Expanded rows that left the beam of an insert, then all candidates of its pruning.
  var candidates = ScratchArray<CandidateKey>(capacity: 1024)
  var candidateCount = 0
  /// One batch: rows, where their vectors lie, their distances.
  var rows = ScratchArray<UInt32>(capacity: 256)
  var pointers = ScratchArray<UnsafeRawPointer>(capacity: 256)
  var distances = ScratchArray<Float>(capacity: 256)
  var verdicts = ScratchArray<Bool>(capacity: 256)
  /// Pruning: the neighbours chosen so far and where their vectors lie.
  var chosen = ScratchArray<UInt32>(capacity: 256)
  var chosenPointers = ScratchArray<UnsafeRawPointer>(capacity: 256)
  var pruneDistances = ScratchArray<Float>(capacity: 256)
  /// Pruning of another node's list while `chosen` is still in use.
  var backKeys = ScratchArray<CandidateKey>(capacity: 256)
  var backChosen = ScratchArray<UInt32>(capacity: 256)

  /// Searches by page reads; made when first used.
  private var paged: PagedScratch?

  init() {}

  func pagedScratch(runBytes: Int) -> PagedScratch {
    if let paged, paged.runBytes == runBytes { return paged }
    let fresh = PagedScratch(runBytes: runBytes)
    paged = fresh
    return fresh
  }

  /// Makes room for batches of `count` rows.
  func reserveBatch(_ count: Int) {
    rows.reserve(count)
    pointers.reserve(count)
    distances.reserve(count)
    verdicts.reserve(count)
  }

  /// The memory of one batch, as large as `reserveBatch` made it; valid until the next `reserveBatch`.
  var batch: ScratchBatch {
    ScratchBatch(rows: rows.base, pointers: pointers.base, distances: distances.base, verdicts: verdicts.base)
  }
}

/// Rows, where their vectors lie, their distances, and verdicts on them: plain pointers for hot loops.
struct ScratchBatch {
  let rows: UnsafeMutablePointer<UInt32>
  let pointers: UnsafeMutablePointer<UnsafeRawPointer>
  let distances: UnsafeMutablePointer<Float>
  let verdicts: UnsafeMutablePointer<Bool>
}

/// What a search by page reads needs on top: page buffers, the coded query, and the state of its reads.
final class PagedScratch {
  /// Runs held at once; a run that was read stays until its slot is needed.
  static let slots = 64
  static let inFlightMax = 32

  let runBytes: Int
  let buffer: IOBuffer
  let codeQuery = CodeQuery()
  /// Rows whose neighbours have been ranked.
  var expanded = RowSet()
  /// Rows that have been compared exactly.
  var compared = RowSet()
  /// The run in each slot, or -1.
  var slotRun = [Int](repeating: -1, count: PagedScratch.slots)
  var slotIsReading = [Bool](repeating: false, count: PagedScratch.slots)
  var nextSlot = 0
  /// Rows to expand when their run arrives.
  var waiting: [UInt32] = []
  /// Rows to expand now, each with its block.
  var expanding: [(row: UInt32, block: UnsafeRawPointer)] = []

  init(runBytes: Int) {
    self.runBytes = runBytes
    buffer = IOBuffer(count: runBytes * Self.slots, alignment: PagedFile.pageBytes)
  }

  func reset() {
    waiting.removeAll(keepingCapacity: true)
    expanding.removeAll(keepingCapacity: true)
    for slot in 0..<Self.slots {
      slotRun[slot] = -1
      slotIsReading[slot] = false
    }
    nextSlot = 0
  }

  /// The slot that holds or is reading a run.
  func slot(ofRun run: Int) -> Int? { slotRun.firstIndex(of: run) }

  /// The slot to read into next: the oldest that no read is using.
  func takeSlot(for run: Int) -> Int {
    while slotIsReading[nextSlot] { nextSlot = (nextSlot + 1) % Self.slots }
    let slot = nextSlot
    nextSlot = (nextSlot + 1) % Self.slots
    slotRun[slot] = run
    slotIsReading[slot] = true
    return slot
  }

  func range(ofSlot slot: Int) -> Range<Int> { slot * runBytes..<(slot + 1) * runBytes }
}
