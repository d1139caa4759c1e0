// The link section of a segment: for each row, its neighbours' codes relative to the row itself.

import CKernels
import Core

/// Writes the link blocks of a graph's rows as one section.
enum LinkSectionWriter {
  private static let batchBytes = 8 << 20

  /// - Parameter encoder: writes the nodes; a block's neighbours are those of the node, in the same order.
  static func write(
    _ encoder: NodeSectionEncoder, layout: LinkLayout, book: CodeBook, workers: any Workers,
    to writer: PagedFileWriter
  ) async throws(RoostError) -> Section {
    writer.beginSection()
    let rowsPerBatch = max(1, batchBytes / layout.blockBytes)
    for start in stride(from: 0, to: encoder.rowCount, by: rowsPerBatch) {
      let count = min(rowsPerBatch, encoder.rowCount - start)
      let batch = IOBuffer(count: count * layout.blockBytes)
      await encoder.graph.forEachRun(count: count, workers: workers) { run, _ in
        let coder = LinkCoder(book: book, layout: layout, neighboursMax: encoder.graph.neighboursMax)
        for index in run {
          coder.encode(start + index, of: encoder, into: batch.base + index * layout.blockBytes)
        }
      }
      try await writer.append(batch.bytes)
    }
    return try await writer.endSection()
  }
}

/// Codes blocks, one at a time.
final class LinkCoder {
  private let book: CodeBook
  private let layout: LinkLayout
  private var list: ScratchArray<UInt32>
  private var own: ScratchArray<Float>
  private var centre: ScratchArray<Float>
  private var difference: ScratchArray<Float>

  init(book: CodeBook, layout: LinkLayout, neighboursMax: Int) {
    self.book = book
    self.layout = layout
    list = ScratchArray(capacity: max(neighboursMax, 1))
    own = ScratchArray(capacity: book.shape.dimension)
    centre = ScratchArray(capacity: book.shape.dimension)
    difference = ScratchArray(capacity: book.shape.dimension)
  }

  /// - Parameter block: `layout.blockBytes` zeros.
  func encode(_ row: Int, of encoder: NodeSectionEncoder, into block: UnsafeMutableRawPointer) {
    let (own, centre, difference) = (own.base, centre.base, difference.base)
    let dimension = book.shape.dimension
    book.load(encoder.vector(row), into: own)
    for index in 0..<dimension { centre[index] = own[index] - book.mean[index] }
    book.rotate(centre)
    let offsets = block.assumingMemoryBound(to: Float.self)
    let scales = offsets + layout.lanes
    let count = encoder.neighbours(ofRow: row, into: list.base)
    for lane in 0..<count {
      book.load(encoder.vector(Int(list[lane])), into: difference)
      var withMean: Float = 0
      for index in 0..<dimension {
        difference[index] -= own[index]
        withMean += difference[index] * book.mean[index]
      }
      book.rotate(difference)
      let set = block + layout.codesOffset + lane / ROOST_LINK_SET * layout.setBytes
      let factors = roost_encode_link(
        difference, centre, dimension, lane % ROOST_LINK_SET,
        set.assumingMemoryBound(to: UInt8.self))
      // With q, x and y for query, row and neighbour, c for the mean:
      // |q − y|² = |q − x|² + |y − x|² − 2 (q − c)·(y − x) + 2 (x − c)·(y − x); 1 − cosine is half of that;
      // −q·y = −q·x − c·(y − x) − (q − c)·(y − x).
      switch book.shape.metric {
      case .l2:
        offsets[lane] = factors.squared + 2 * factors.along
        scales[lane] = -2 * factors.scale
      case .cosine:
        offsets[lane] = factors.squared / 2 + factors.along
        scales[lane] = -factors.scale
      case .innerProduct:
        offsets[lane] = -withMean
        scales[lane] = -factors.scale
      case .hamming: preconditionFailure("binary vectors have no links")
      }
    }
  }
}
