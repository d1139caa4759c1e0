// Where the parts of a link block lie; `spec/graph.md`, "Links", is the same in words.

import CKernels
import Core

/// A link block holds what estimates the distances to all neighbours of one row: an offset and a scale for
/// each, then 2-bit codes, interleaved in sets of 16 neighbours.
struct LinkLayout: Sendable, Equatable {
  /// Vectors of up to so many bytes are compared as they are: a code would save nothing.
  private static let exactBytesMax = 64

  let degree: Int
  /// Neighbours of a block: the degree, rounded up to whole sets.
  let lanes: Int
  /// Groups of 16 dimensions.
  let chunks: Int

  init(dimension: Int, degree: Int) {
    precondition((1...1024).contains(degree) && (1...Limits.dimensionMax).contains(dimension))
    self.degree = degree
    lanes = (degree + ROOST_LINK_SET - 1) & ~(ROOST_LINK_SET - 1)
    chunks = (dimension + ROOST_LINK_CHUNK - 1) / ROOST_LINK_CHUNK
  }

  /// The layout for a segment's graph; nil when its vectors are small enough to do without, or bits.
  init?(_ layout: NodeLayout) {
    guard layout.shape.rowBytes > Self.exactBytesMax, layout.shape.element != .binary else { return nil }
    self.init(dimension: layout.shape.dimension, degree: layout.degree)
  }

  /// From the start of a block to its codes.
  var codesOffset: Int { lanes * 8 }
  /// Codes of one set of 16 neighbours.
  var setBytes: Int { chunks * ROOST_LINK_CHUNK_BYTES }
  /// A multiple of 64. Blocks follow each other without gaps.
  var blockBytes: Int { codesOffset + lanes / ROOST_LINK_SET * setBytes }

  func sectionBytes(rows: Int) -> Int { rows * blockBytes }
}

/// A query in the form that the link kernel takes; reused from query to query.
final class LinkQuery {
  var floats = ScratchArray<Float>(capacity: 128)
  private var levels = ScratchArray<Int8>(capacity: 128)
  /// Behind a pointer, so that the hot loop needs no exclusive access to the object.
  private let parameters = UnsafeMutablePointer<roost_link_query>.allocate(capacity: 1)

  init() {
    parameters.initialize(to: roost_link_query(levels: levels.base, chunks: 0, step: 0, shift: 0))
  }

  deinit { parameters.deallocate() }

  /// Rounds the rotated query in `floats` to 8 bits.
  func round(dimension: Int, chunks: Int) {
    let padded = chunks * ROOST_LINK_CHUNK
    levels.reserve(padded)
    var step: Float = 0
    let sum = roost_round_query(floats.base, dimension, levels.base, &step)
    for index in dimension..<padded { levels.base[index] = 0 }
    parameters.pointee = roost_link_query(
      levels: levels.base, chunks: chunks, step: step, shift: 1.5 * Float(sum))
  }

  /// Keeps the neighbours whose estimate is not above `bound`; see `roost_link_kernel`.
  @inline(__always)
  func rank(
    _ kernel: roost_link_kernel, _ block: UnsafeRawPointer, _ ids: UnsafeRawPointer, degree: Int, own: Float,
    bound: Float, into batch: ScratchBatch
  ) -> Int {
    kernel(parameters, block, ids, degree, own, bound, batch.rows, batch.distances)
  }
}
