// Our own cache of pages that were read with O_DIRECT: a fixed number of frames, S3-FIFO (Yang et al., SOSP
// 2023) to choose who leaves, pins for frames in use. Reads go straight into frames; only verified bytes are
// ever visible to others.

import Core
import Glibc
import Synchronization

/// Frames of `frameBytes` for pages of any number of files. Never holds more than its budget: when every
/// frame is pinned, `reserve` gives none and the caller uses memory of its own.
///
/// Safe to use from any number of threads: bookkeeping is under one lock, held for tens of nanoseconds; a
/// frame's bytes are written only while it is reserved, and read only while it is pinned.
final class PageCache: Sendable {
  /// What a frame costs beside its bytes.
  static let bookkeepingBytes = 64

  let frameBytes: Int
  /// All frames, one after the other; committed as they are first used.
  let memory: IOBuffer
  private let state: Mutex<PageCacheState>
  private let reads = Atomic<UInt64>(0)

  /// - Parameter budgetBytes: memory for frames and bookkeeping; `setBudget` only goes below.
  init(frameBytes: Int, budgetBytes: Int) throws(RoostError) {
    precondition(frameBytes > 0 && frameBytes % PagedFile.pageBytes == 0)
    self.frameBytes = frameBytes
    let frames = Self.frames(in: budgetBytes, frameBytes)
    memory = try IOBuffer(reserving: frames * frameBytes)
    state = Mutex(PageCacheState(frames: frames))
  }

  /// What this many frames cost.
  static func bytes(ofFrames count: Int, _ frameBytes: Int) -> Int { count * (frameBytes + bookkeepingBytes) }

  private static func frames(in bytes: Int, _ frameBytes: Int) -> Int {
    min(max(0, bytes) / (frameBytes + bookkeepingBytes), Int(Int32.max))
  }

  /// A number that tells the pages of one file from those of others.
  func makeOwner() -> UInt32 { state.withLock { $0.makeOwner() } }

  /// The frame that holds a page, pinned; nil when there is none.
  /// - Parameter again: the same caller has just used the page, which says nothing about how hot it is.
  func lookup(_ key: UInt64, again: Bool = false) -> Int? { state.withLock { $0.lookup(key, again: again) } }

  func contains(_ key: UInt64) -> Bool { state.withLock { $0.contains(key) } }

  /// An empty frame, pinned and known to nobody else; nil when the budget is in use.
  func reserve() -> Int? { state.withLock { $0.reserve() } }

  /// Makes a reserved frame, now filled with verified bytes, visible. It stays pinned.
  func publish(_ frame: Int, as key: UInt64) { state.withLock { $0.publish(frame, as: key) } }

  /// Gives back a pin, or a reserved frame that was not published.
  func release(_ frame: Int) {
    let isOver = state.withLock { $0.release(frame) }
    if isOver { shrink { $0.limit } }
  }

  /// Drops all pages of a file that is gone.
  func forget(owner: UInt32) { state.withLock { $0.forget(owner: owner) } }

  /// Changes the budget, at most to that of the beginning; frames beyond it go as soon as no one uses them.
  func setBudget(_ bytes: Int) { shrink { _ in Self.frames(in: bytes, frameBytes) } }

  /// Sets the limit and gives the memory of frames that are free back to the system.
  private func shrink(to limit: (PageCacheState) -> Int) {
    let freed = state.withLock { $0.setLimit(limit($0)) }
    for frame in freed { madvise(pointer(frame), frameBytes, MADV_DONTNEED) }
    if !freed.isEmpty { state.withLock { $0.returnFrames(freed) } }
  }

  /// Notes a read from disk, into a frame or elsewhere.
  @inline(__always)
  func countRead() { reads.wrappingAdd(1, ordering: .relaxed) }

  func pointer(_ frame: Int) -> UnsafeMutableRawPointer { memory.base + frame * frameBytes }

  func range(_ frame: Int) -> Range<Int> { frame * frameBytes..<(frame + 1) * frameBytes }

  var stats: PageCacheStats {
    let reads = reads.load(ordering: .relaxed)
    return state.withLock { state in
      var stats = state.stats
      stats.reads = reads
      stats.budgetBytes = state.limit * (frameBytes + Self.bookkeepingBytes)
      stats.usedBytes = state.inUse * (frameBytes + Self.bookkeepingBytes)
      return stats
    }
  }
}

/// What a page cache holds and how it has done since it was made.
public struct PageCacheStats: Sendable, Equatable {
  public var budgetBytes = 0
  public var usedBytes = 0
  public var hits: UInt64 = 0
  public var misses: UInt64 = 0
  public var evictions: UInt64 = 0
  /// Reads from disk, into frames or elsewhere, other than those of scans.
  public var reads: UInt64 = 0
  /// Reads that found no frame free of pins and went elsewhere.
  public var refusals: UInt64 = 0

  public init() {}

  /// Share of look-ups that were answered from memory.
  public var hitRate: Double { hits + misses == 0 ? 0 : Double(hits) / Double(hits + misses) }
}
