// How a collection divides its memory: mappings, codes, decoded payloads, and pages that were read.

import Core
import Synchronization

/// The caches that the segments of one collection share, and the rule by which `memoryBytes` is divided.
/// Codes of segments that are read page by page come first, since every read they spare is worth more than a
/// cached page; pages get what is left.
final class CollectionMemory: Sendable {
  private static let payloadShare = 16
  /// Codes of a segment are about this part (one over it) of its file.
  private static let codesShare = 8
  /// What a search has at hand and the next search starts from; less would read the same page twice.
  private static let cacheFramesMin = 64

  let totalBytes: Int
  let pages: PageCache
  /// Decoded payload blocks.
  let payloads: ByteBudget

  init(totalBytes: Int, schema: CollectionSchema) throws(RoostError) {
    self.totalBytes = max(0, totalBytes)
    let frameBytes = schema.fields.reduce(PagedFile.pageBytes) {
      max($0, NodeLayout(shape: $1.shape, degree: $1.degree).runBytes)
    }
    pages = try PageCache(
      frameBytes: frameBytes,
      budgetBytes: max(totalBytes, PageCache.bytes(ofFrames: Self.cacheFramesMin, frameBytes)))
    payloads = ByteBudget(limit: max(1 << 20, totalBytes / Self.payloadShare))
  }

  /// Which segments are used in place: the smallest first, as long as the codes of the others fit beside
  /// them.
  /// - Parameter sizes: bytes of each segment's file, by number.
  func mapped(_ sizes: [UInt64: Int]) -> Set<UInt64> {
    var rest = sizes.values.reduce(0, +)
    var used = 0
    var chosen: Set<UInt64> = []
    for (number, bytes) in sizes.sorted(by: { ($0.value, $0.key) < ($1.value, $1.key) }) {
      rest -= bytes
      guard used + bytes + rest / Self.codesShare <= totalBytes else { break }
      used += bytes
      chosen.insert(number)
    }
    return chosen
  }

  /// Whether a new segment can be used in place beside others.
  func fits(_ bytes: Int, beside others: [Segment]) -> Bool { bytes + Self.used(by: others) <= totalBytes }

  private static func used(by segments: [Segment]) -> Int {
    segments.reduce(0) {
      $0
        + ($1.file.isMapped
          ? Int($1.fileBytes) : $1.fields.reduce(0) { $0 + $1.residentBytes } + $1.file.tableBytes)
    }
  }

  /// Gives the page cache what these segments leave.
  func balance(_ segments: [Segment]) {
    guard segments.contains(where: { !$0.file.isMapped }) else { return }
    let least = PageCache.bytes(ofFrames: Self.cacheFramesMin, pages.frameBytes)
    pages.setBudget(max(least, totalBytes - Self.used(by: segments) - payloads.limit))
  }
}

extension Collection {
  /// Bytes of the segments in the folder of a collection.
  package static func segmentBytes(_ path: String, files: any FileSystem) async throws(RoostError) -> Int {
    var bytes = 0
    for name in try await files.list(path) {
      guard case .segment = FileName(name) else { continue }
      bytes += try await fileBytes(path + "/" + name, files)
    }
    return bytes
  }
}

/// Bytes that several holders may hold together.
final class ByteBudget: Sendable {
  let limit: Int
  private let used = Atomic<Int>(0)

  init(limit: Int) { self.limit = limit }

  var isExceeded: Bool { used.load(ordering: .relaxed) > limit }

  func add(_ bytes: Int) { used.wrappingAdd(bytes, ordering: .relaxed) }
}
