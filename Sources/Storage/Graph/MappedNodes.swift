// The nodes of a sealed graph, read in place from verified pages of a mapping.

import CKernels
import Core
import Synchronization

/// A node section of a mapped file. Every page is verified at first touch and every neighbour id is
/// checked, so damaged bytes end in `.corrupted`, never in a wild read.
///
/// Safety of `@unchecked Sendable`: `base` points into the mapping, which `file` keeps alive and nobody
/// writes; `verified` is atomic words.
struct MappedNodes: NodeSource, @unchecked Sendable {
  let file: PagedFile
  let firstPage: Int
  let layout: NodeLayout
  let distance: DistanceFunction
  let rowCount: Int
  /// The first run in the mapping.
  private let base: UnsafeRawPointer
  /// One bit a run: all its pages have been verified. The file's own bits are one call further away.
  private let verified: RunBits

  /// - Parameter section: lies inside the file and has the bytes that `rowCount` rows take.
  init(file: PagedFile, section: Section, layout: NodeLayout, rowCount: Int) throws(RoostError) {
    self.file = file
    firstPage = section.firstPage
    self.layout = layout
    distance = DistanceFunction(layout.shape)
    self.rowCount = rowCount
    verified = try RunBits(count: layout.runCount(rows: rowCount))
    base = (file.unverifiedBase ?? UnsafeRawPointer(verified.words)) + section.firstPage * PagedFile.pageBytes
  }

  var neighboursMax: Int { layout.degree }

  @inline(__always)
  func block(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer {
    assert(Int(row) < rowCount)
    let run = layout.run(of: row)
    if !verified.contains(run) { try verify(run) }
    return base + (run &* layout.runBytes &+ layout.offset(of: row, inRun: run))
  }

  @inline(never)
  private func verify(_ run: Int) throws(RoostError) {
    for page in 0..<layout.pagesPerRun {
      _ = try file.mappedPage(firstPage + run * layout.pagesPerRun + page)
    }
    verified.insert(run)
  }

  @inline(__always)
  func vector(_ row: UInt32) throws(RoostError) -> UnsafeRawPointer { try block(row) }

  /// Keeps what each block needs in registers.
  @inline(__always)
  func locate(
    _ rows: UnsafePointer<UInt32>, _ count: Int, into pointers: UnsafeMutablePointer<UnsafeRawPointer>
  ) throws(RoostError) {
    let (layout, base, bits) = (layout, base, verified.words)
    for index in 0..<count {
      let row = rows[index]
      let run = layout.run(of: row)
      if bits[run >> 6].load(ordering: .relaxed) & (1 << UInt64(run & 63)) == 0 { try verify(run) }
      pointers[index] = base + (run &* layout.runBytes &+ layout.offset(of: row, inRun: run))
    }
  }

  @inline(__always)
  func neighbours(of row: UInt32, into list: UnsafeMutablePointer<UInt32>) throws(RoostError) -> Int {
    let block = try block(row)
    return try layout.readNeighbours(block, of: row, rowCount: rowCount, into: list) { path(row) }
  }

  @inline(__always)
  func prefetchNeighbours(of row: UInt32) {
    let run = layout.run(of: row)
    let list = base + (run &* layout.runBytes &+ layout.offset(of: row, inRun: run) &+ layout.listOffset)
    var line = 0
    while line < layout.degree &* 4 {
      roost_prefetch(list + line)
      line &+= 64
    }
  }

  private func path(_ row: UInt32) -> (file: String, offset: UInt64) {
    let run = layout.run(of: row)
    let page = firstPage + run * layout.pagesPerRun
    return (file.path, UInt64(page * PagedFile.pageBytes + layout.offset(of: row, inRun: run)))
  }
}

extension NodeLayout {
  /// Copies the neighbours of a block, each of which must be below `rowCount`; returns how many.
  @inline(__always)
  func readNeighbours(
    _ block: UnsafeRawPointer, of row: UInt32, rowCount: Int, into list: UnsafeMutablePointer<UInt32>,
    place: () -> (file: String, offset: UInt64)
  ) throws(RoostError) -> Int {
    let ids = block + listOffset
    for index in 0..<degree {
      let id = UInt32(littleEndian: ids.loadUnaligned(fromByteOffset: index &* 4, as: UInt32.self))
      if id >= UInt32(truncatingIfNeeded: rowCount) {
        if id == Self.none { return index }
        let place = place()
        throw .corrupted(
          "row \(row) has neighbour \(id), there are \(rowCount) rows", file: place.file, offset: place.offset
        )
      }
      list[index] = id
    }
    return degree
  }
}

/// A fixed set of atomic bits, all clear at first.
private final class RunBits: Sendable {
  private let memory: AnonymousMemory
  private let count: Int

  init(count: Int) throws(RoostError) {
    memory = try AnonymousMemory(count: (count + 63) / 64 * 8)
    self.count = count
  }

  /// All-zero bytes are valid `Atomic<UInt64>`s of value 0.
  @inline(__always)
  var words: UnsafeMutablePointer<Atomic<UInt64>> { memory.base.assumingMemoryBound(to: Atomic<UInt64>.self) }

  @inline(__always)
  func contains(_ index: Int) -> Bool {
    assert(index >= 0 && index < count)
    return words[index >> 6].load(ordering: .relaxed) & (1 << UInt64(index & 63)) != 0
  }

  func insert(_ index: Int) {
    precondition(index >= 0 && index < count)
    _ = words[index >> 6].bitwiseOr(1 << UInt64(index & 63), ordering: .relaxed)
  }
}
