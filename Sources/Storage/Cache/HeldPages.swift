// Pages of a sealed file in memory for as long as somebody holds them: in a frame of the cache, or, when
// every frame is in use, in memory of their own.

import Core

/// Verified bytes of consecutive pages. Lets go of them at the end of its life.
struct HeldPages: ~Copyable {
  let bytes: UnsafeRawPointer
  private let cache: PageCache?
  private let frame: Int
  private let buffer: IOBuffer?

  fileprivate init(_ cache: PageCache, frame: Int) {
    bytes = UnsafeRawPointer(cache.pointer(frame))
    self.cache = cache
    self.frame = frame
    buffer = nil
  }

  fileprivate init(_ buffer: IOBuffer) {
    bytes = UnsafeRawPointer(buffer.base)
    cache = nil
    frame = -1
    self.buffer = buffer
  }

  deinit { cache?.release(frame) }
}

extension PagedFile {
  /// `count` pages from `first`, from the cache or by one read through it. A page must always be asked for
  /// with the same `first` and `count`.
  /// - Parameter again: the same caller has just used them.
  func hold(page first: Int, count: Int, again: Bool = false) async throws(RoostError) -> HeldPages {
    let bytes = count * Self.pageBytes
    guard let cache, cache.frameBytes >= bytes else { return try await readApart(first, count) }
    let key = cacheKey(page: first)
    if let frame = cache.lookup(key, again: again) { return HeldPages(cache, frame: frame) }
    guard let frame = cache.reserve() else { return try await readApart(first, count) }
    let held = HeldPages(cache, frame: frame)
    let start = cache.range(frame).lowerBound
    cache.countRead()
    let got = try await file.read(
      into: cache.memory, range: start..<start + bytes, at: UInt64(first * Self.pageBytes))
    try verify(pages: first..<first + count, held.bytes, byteCount: got)
    cache.publish(frame, as: key)
    return held
  }

  private func readApart(_ first: Int, _ count: Int) async throws(RoostError) -> HeldPages {
    let buffer = IOBuffer(count: count * Self.pageBytes, alignment: Self.pageBytes)
    cache?.countRead()
    let got = try await file.read(
      into: buffer, range: 0..<buffer.count, at: UInt64(first * Self.pageBytes))
    try verify(pages: first..<first + count, UnsafeRawPointer(buffer.base), byteCount: got)
    return HeldPages(buffer)
  }

  /// Checks pages that were read together.
  func verify(pages: Range<Int>, _ bytes: UnsafeRawPointer, byteCount: Int) throws(RoostError) {
    guard byteCount >= pages.count * Self.pageBytes else {
      throw .corrupted(
        "the file ends inside page \(pages.lowerBound + byteCount / Self.pageBytes)", file: path,
        offset: UInt64(pages.lowerBound * Self.pageBytes))
    }
    for page in pages { try verify(page: page, bytes + (page - pages.lowerBound) * Self.pageBytes) }
  }

  /// The bytes of a range of a section: from the mapping, the cache, or by reads.
  func read(_ section: Section, _ range: Range<Int>) async throws(RoostError) -> [UInt8] {
    if isMapped { return Array(try bytes(section, range)) }
    guard range.lowerBound >= 0, range.upperBound <= section.byteCount else {
      throw .corrupted(
        "bytes \(range) lie outside a section of \(section.byteCount)", file: path,
        offset: UInt64(section.firstPage * Self.pageBytes))
    }
    var result: [UInt8] = []
    result.reserveCapacity(range.count)
    var position = range.lowerBound
    while position < range.upperBound {
      let page = position / Self.pageBytes
      let held = try await hold(page: section.firstPage + page, count: 1)
      let start = position - page * Self.pageBytes
      let count = min(Self.pageBytes - start, range.upperBound - position)
      result += UnsafeRawBufferPointer(start: held.bytes + start, count: count)
      position += count
    }
    return result
  }

  /// A range of a section that is too large or too rarely used for the cache, by one read.
  func readApart(_ section: Section, _ range: Range<Int>) async throws(RoostError) -> IOBufferSlice {
    guard range.lowerBound >= 0, range.upperBound <= section.byteCount, !range.isEmpty else {
      throw .corrupted(
        "bytes \(range) lie outside a section of \(section.byteCount)", file: path,
        offset: UInt64(section.firstPage * Self.pageBytes))
    }
    let first = range.lowerBound / Self.pageBytes
    let last = (range.upperBound - 1) / Self.pageBytes
    let buffer = IOBuffer(count: (last - first + 1) * Self.pageBytes, alignment: Self.pageBytes)
    let page = section.firstPage + first
    cache?.countRead()
    let got = try await file.read(
      into: buffer, range: 0..<buffer.count, at: UInt64(page * Self.pageBytes))
    try verify(pages: page..<page + last - first + 1, UnsafeRawPointer(buffer.base), byteCount: got)
    let start = range.lowerBound - first * Self.pageBytes
    return IOBufferSlice(buffer: buffer, range: start..<start + range.count)
  }

  /// Reads those of these pages that the cache does not hold, many at once, as far as it has room. What
  /// cannot be read is left to whoever asks for it.
  /// - Parameter count: pages that belong together from each of `firsts`.
  func warm(_ firsts: some Sequence<Int>, count: Int) async {
    guard let cache, cache.frameBytes >= count * Self.pageBytes else { return }
    let missing = Array(Set(firsts.filter { !cache.contains(cacheKey(page: $0)) })).sorted()
    guard missing.count > 1 else { return }
    let queue = file.makeReadQueue()
    var frames = [Int](repeating: -1, count: missing.count)
    var next = 0
    while true {
      while next < missing.count, queue.inFlight < Self.warmReadsMax, let frame = cache.reserve() {
        frames[next] = frame
        cache.countRead()
        let start = cache.range(frame).lowerBound
        queue.submit(
          into: cache.memory, range: start..<start + count * Self.pageBytes,
          at: UInt64(missing[next] * Self.pageBytes), tag: next)
        next += 1
      }
      guard queue.inFlight > 0 else { break }
      do throws(RoostError) {
        let index = try await queue.next()
        let (first, frame) = (missing[index], frames[index])
        frames[index] = -1
        defer { cache.release(frame) }
        try verify(
          pages: first..<first + count, UnsafeRawPointer(cache.pointer(frame)),
          byteCount: count * Self.pageBytes)
        cache.publish(frame, as: cacheKey(page: first))
      } catch { continue }
    }
    for frame in frames where frame >= 0 { cache.release(frame) }
  }

  private static let warmReadsMax = 32
}

/// Part of a buffer.
struct IOBufferSlice {
  let buffer: IOBuffer
  let range: Range<Int>

  var bytes: UnsafeRawBufferPointer { buffer.bytes(range) }
}
