// The page cache: against a model, never beyond its budget, and with many readers of a failing file at once.

import Core
import Synchronization
import Testing

@testable import Storage

@Suite struct PageCacheTests {
  private static let frameCost = PagedFile.pageBytes + PageCache.bookkeepingBytes

  /// Random look-ups, reservations, releases and changes of the budget: a frame holds what was published in
  /// it as long as it is pinned, keys never point to the wrong frame, and the budget is kept.
  @Test(arguments: 1...20 as ClosedRange<UInt64>)
  func modelBased(seed: UInt64) {
    var random = SplitMix64(seed: seed)
    let most = Int(random.next() % 40)
    var limit = most
    var cache = PageCacheState(frames: most)
    /// What each frame was last published as, and who has it pinned.
    var contents: [Int: UInt64] = [:]
    var pins: [(frame: Int, key: UInt64?)] = []
    for step in 0..<4000 {
      let key = PageCacheState.key(owner: UInt32(1 + random.next() % 2), page: Int(random.next() % 60))
      switch random.next() % 16 {
      case 0..<8:
        if let frame = cache.lookup(key) {
          #expect(contents[frame] == key, "seed \(seed) step \(step)")
          pins.append((frame, key))
        } else if let frame = cache.reserve() {
          #expect(!pins.contains { $0.frame == frame }, "seed \(seed) step \(step)")
          contents[frame] = nil
          if random.next() % 5 == 0 {
            pins.append((frame, nil))  // a read that fails later
          } else {
            cache.publish(frame, as: key)
            contents[frame] = key
            pins.append((frame, key))
          }
        } else {
          // Room is refused only when pins hold it.
          #expect(Set(pins.map(\.frame)).count >= min(limit, 1), "seed \(seed) step \(step)")
        }
      case 8..<14:
        guard !pins.isEmpty else { continue }
        let pin = pins.remove(at: Int(random.next() % UInt64(pins.count)))
        #expect(contents[pin.frame] == pin.key, "seed \(seed) step \(step)")
        _ = cache.release(pin.frame)
      case 14:
        if random.next() % 20 == 0 { cache.forget(owner: UInt32(1 + random.next() % 2)) }
      default:
        guard random.next() % 10 == 0 else { continue }
        limit = Int(random.next() % UInt64(most + 1))
        cache.returnFrames(cache.setLimit(limit))
      }
      #expect(cache.inUse <= max(limit, Set(pins.map(\.frame)).count), "seed \(seed) step \(step)")
    }
    for pin in pins { _ = cache.release(pin.frame) }
    _ = cache.setLimit(0)
    #expect(cache.inUse == 0, "seed \(seed)")
  }

  @Test func forgottenPagesAreNotFound() {
    var cache = PageCacheState(frames: 8)
    let (mine, other) = (PageCacheState.key(owner: 1, page: 5), PageCacheState.key(owner: 2, page: 5))
    for key in [mine, other] {
      guard let frame = cache.reserve() else { continue }
      cache.publish(frame, as: key)
      _ = cache.release(frame)
    }
    cache.forget(owner: 1)
    #expect(cache.lookup(mine) == nil && cache.lookup(other) != nil)
  }

  /// A scan over many pages must not push out those that are asked for again and again.
  @Test func scansLeaveHotPagesAlone() {
    var cache = PageCacheState(frames: 100)
    func touch(_ page: Int) -> Bool {
      let key = PageCacheState.key(owner: 1, page: page)
      if let frame = cache.lookup(key) {
        _ = cache.release(frame)
        return true
      }
      guard let frame = cache.reserve() else { return false }
      cache.publish(frame, as: key)
      _ = cache.release(frame)
      return false
    }
    for _ in 0..<3 { for page in 0..<60 { _ = touch(page) } }
    for page in 1000..<5000 { _ = touch(page) }
    let kept = (0..<60).filter { touch($0) }.count
    #expect(kept >= 55, "\(kept) of 60 hot pages survived a scan")
  }

  @Test func noBudgetNoFrames() throws {
    let cache = try PageCache(frameBytes: 4096, budgetBytes: 100)
    #expect(cache.reserve() == nil && cache.lookup(1) == nil && cache.stats.refusals == 1)
    #expect(cache.stats.usedBytes == 0 && cache.stats.budgetBytes == 0)
  }

  /// Reading ahead fills the cache with right pages only, and gives back every frame, whatever the disk does.
  @Test(arguments: 1...6 as ClosedRange<UInt64>)
  func readingAhead(seed: UInt64) async throws {
    let pages = 40
    let bytes = (0..<pages).flatMap { [UInt8](repeating: UInt8($0), count: PagedFile.pageBytes) }
    let sums = (0..<pages).map { page in crc32c([UInt8](repeating: UInt8(page), count: PagedFile.pageBytes)) }
    for frames in [3, 25, 60] {
      let file = FaultyFile(contents: bytes, seed: seed)
      let cache = try PageCache(frameBytes: 4096, budgetBytes: frames * Self.frameCost)
      let paged = try PagedFile(
        path: "faulty", file: file, mapping: try await file.map(), isMapped: false, checksums: sums,
        cache: cache)
      await paged.warm([5, 7, 5, 9] + Array(12..<40), count: 1)
      #expect(cache.stats.usedBytes <= cache.stats.budgetBytes)
      if frames > 40 { #expect(cache.stats.usedBytes > 20 * Self.frameCost, "seed \(seed)") }
      for page in 0..<pages {
        guard let frame = cache.lookup(paged.cacheKey(page: page)) else { continue }
        let right = UnsafeRawBufferPointer(start: cache.pointer(frame), count: 4096).allSatisfy { $0 == page }
        #expect(right, "seed \(seed): page \(page)")
        cache.release(frame)
      }
      var taken = 0
      while cache.reserve() != nil { taken += 1 }
      #expect(taken == frames, "seed \(seed): \(frames - taken) frames have leaked")
    }
  }

  /// Many tasks on many threads read a file through a cache that is far too small, while the disk flips bits,
  /// fails and cuts reads short: every page that comes is right, every error is typed, nothing leaks.
  @Test(arguments: 1...4 as ClosedRange<UInt64>)
  func concurrentReadersAndFaults(seed: UInt64) async throws {
    let pages = 64
    var bytes: [UInt8] = []
    for page in 0..<pages { bytes += [UInt8](repeating: UInt8(page), count: PagedFile.pageBytes) }
    let file = FaultyFile(contents: bytes, seed: seed)
    let cache = try PageCache(frameBytes: 4096, budgetBytes: 9 * Self.frameCost)
    let sums = (0..<pages).map { page in crc32c([UInt8](repeating: UInt8(page), count: PagedFile.pageBytes)) }
    let paged = try PagedFile(
      path: "faulty", file: file, mapping: try await file.map(), isMapped: false, checksums: sums,
      cache: cache)
    let outcome = await withTaskGroup(of: (good: Int, bad: Int).self) { group in
      for worker in 0..<8 {
        group.addTask {
          var random = SplitMix64(seed: seed &* 100 &+ UInt64(worker))
          var counts = (good: 0, bad: 0)
          for _ in 0..<500 {
            let page = Int(random.next() % 8 == 0 ? random.next() % 64 : random.next() % 12)
            do throws(RoostError) {
              let held = try await paged.hold(page: page, count: 1)
              await Task.yield()  // others evict meanwhile
              let right = UnsafeRawBufferPointer(start: held.bytes, count: 4096).allSatisfy { $0 == page }
              #expect(right, "seed \(seed): page \(page) holds something else")
              counts.good += 1
            } catch {
              #expect(error.kind == .io || error.kind == .corrupted, "seed \(seed): \(error)")
              counts.bad += 1
            }
          }
          return counts
        }
      }
      return await group.reduce(into: (good: 0, bad: 0)) { $0 = ($0.good + $1.good, $0.bad + $1.bad) }
    }
    #expect(outcome.good > 0 && outcome.bad > 0 && outcome.good + outcome.bad == 4000, "seed \(seed)")
    let stats = cache.stats
    #expect(stats.usedBytes <= stats.budgetBytes && stats.budgetBytes == 9 * Self.frameCost)
    #expect(stats.hits > 0 && stats.evictions > 0)
    // Nothing is pinned any more: the whole budget can be taken anew.
    var taken: [Int] = []
    while let frame = cache.reserve() { taken.append(frame) }
    #expect(taken.count == 9, "seed \(seed): \(9 - taken.count) frames have leaked")
  }
}

/// Reads ahead, each as faulty as those of its file.
private final class FaultyQueue: ReadQueue {
  private let file: FaultyFile
  private var pending: [(buffer: IOBuffer, range: Range<Int>, offset: UInt64, tag: Int)] = []

  init(_ file: FaultyFile) { self.file = file }

  var inFlight: Int { pending.count }

  func submit(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64, tag: Int) {
    pending.append((buffer, range, offset, tag))
  }

  func next() async throws(RoostError) -> Int {
    let read = pending.removeLast()
    let got = try await file.read(into: read.buffer, range: read.range, at: read.offset)
    guard got == read.range.count else { throw RoostError(.io, "short read", at: file.path) }
    return read.tag
  }
}

/// Reads that now and then fail, come short or with a wrong bit.
private final class FaultyFile: File {
  let path = "faulty"
  private let contents: [UInt8]
  private let random: Mutex<SplitMix64>

  init(contents: [UInt8], seed: UInt64) {
    self.contents = contents
    random = Mutex(SplitMix64(seed: seed))
  }

  func read(into buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) -> Int {
    let chance = random.withLock { $0.next() }
    await Task.yield()
    if chance % 20 == 0 { throw RoostError(.io, "bad sector", at: path) }
    let start = Int(offset)
    (buffer.base + range.lowerBound).copyMemory(
      from: Array(contents[start..<start + range.count]), byteCount: range.count)
    if chance % 20 == 1 {
      let place = range.lowerBound + Int(chance >> 32) % range.count
      buffer.mutableBytes[place] ^= 0x10
    }
    return chance % 20 == 2 ? range.count / 2 : range.count
  }

  func size() async throws(RoostError) -> UInt64 { UInt64(contents.count) }
  func write(_ buffer: IOBuffer, range: Range<Int>, at offset: UInt64) async throws(RoostError) {}
  func sync() async throws(RoostError) {}
  func truncate(to size: UInt64) async throws(RoostError) {}
  func map() async throws(RoostError) -> FileMapping {
    let copy = IOBuffer(contents, alignment: 4096)
    return FileMapping(bytes: copy.bytes) { _ in withExtendedLifetime(copy) {} }
  }
  func makeReadQueue() -> any ReadQueue { FaultyQueue(self) }
  func close() async {}
}
