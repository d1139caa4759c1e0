// Memory that searches and inserts reuse, so that their loops never allocate.

import Core

/// The working memory of one search or insert at a time. Keep one per thread, or pool them.
///
/// Safety of `@unchecked Sendable`: it may move between threads, but only one uses it at any time,
/// which is the duty of whoever pools it.
final class GraphScratch: @unchecked Sendable {
  var visited = RowSet()
  /// What the last search did.
  var work = SearchWork()
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
  /// Queries of ranked searches.
  private(set) lazy var linkQuery = LinkQuery()
  private(set) lazy var codeQuery = CodeQuery()

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
