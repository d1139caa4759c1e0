// The vectors of a growing graph rounded to bytes, for as long as many rows are linked in at once: looking for
// neighbours reads a quarter of the memory. What is found is compared exactly afterwards.

import CKernels
import Core

/// `[rows × dimension]` bytes, one scale for all: their squared Euclidean distances are in proportion to those
/// of the vectors, and for cosine, whose vectors have length 1, in the same order.
final class CoarseVectors: Sendable {
  /// Batches of rows that are worth the rounding.
  static let rowsMin = 1024
  /// Larger graphs are linked by their vectors as they are.
  static let bytesMax = 128 << 20
  private static let dimensionMin = 32
  /// Rows by which the range of the elements is told.
  private static let sampleRows = 1024

  let distance: DistanceFunction
  private let stride: Int
  private let memory: AnonymousMemory

  /// Rounds `rows` and the rows that the graph has; nil when that does not pay or memory is short.
  static func make(
    _ graph: GrowingGraph, rows: some RandomAccessCollection<Int> & Sendable, workers: any Workers
  ) async -> CoarseVectors? {
    let shape = graph.shape
    guard rows.count >= rowsMin, shape.element == .f32, shape.metric == .l2 || shape.metric == .cosine,
      shape.dimension >= dimensionMin, let last = rows.max()
    else { return nil }
    // Rows are numbered as they come, so those of the graph are below those that follow.
    let limit = last + 1
    let stride = (shape.dimension + 63) & ~63
    guard limit * stride <= bytesMax, let memory = allocate(limit * stride),
      let (low, step) = range(graph, rows)
    else { return nil }
    let coarse = CoarseVectors(shape.dimension, stride, memory)
    let first = rows.first ?? 0
    await graph.forEachRun(count: limit, workers: workers) { run, _ in
      for row in run where row >= first || graph.contains(UInt32(row)) {
        roost_round_to_bytes(
          graph.vector(UInt32(row)).assumingMemoryBound(to: Float.self), shape.dimension, low, 1 / step,
          (memory.base + row * stride).assumingMemoryBound(to: UInt8.self))
      }
    }
    return coarse
  }

  private static func allocate(_ bytes: Int) -> AnonymousMemory? {
    do throws(RoostError) {
      let memory = try AnonymousMemory(count: bytes)
      memory.preferHugePages()
      return memory
    } catch { return nil }
  }

  /// The least element of a sample and the step from one byte to the next; what lies beyond is cut off.
  private static func range(
    _ graph: GrowingGraph, _ rows: some RandomAccessCollection<Int>
  ) -> (low: Float, step: Float)? {
    var low = Float.infinity
    var high = -Float.infinity
    let step = max(1, rows.count / sampleRows)
    for position in Swift.stride(from: 0, to: rows.count, by: step) {
      let row = rows[rows.index(rows.startIndex, offsetBy: position)]
      let vector = graph.vector(UInt32(row)).assumingMemoryBound(to: Float.self)
      for index in 0..<graph.shape.dimension {
        low = min(low, vector[index])
        high = max(high, vector[index])
      }
    }
    let width = (high - low) / 255
    return width.isFinite && width > Float.leastNormalMagnitude ? (low, width) : nil
  }

  private init(_ dimension: Int, _ stride: Int, _ memory: AnonymousMemory) {
    distance = DistanceFunction(VectorShape(dimension: dimension, element: .u8, metric: .l2))
    self.stride = stride
    self.memory = memory
  }

  @inline(__always)
  func pointer(_ row: UInt32) -> UnsafeRawPointer {
    precondition(Int(row) &* stride < memory.count)
    return UnsafeRawPointer(memory.base + Int(row) &* stride)
  }

  /// The distances from `row` to `count` rows, in steps.
  @inline(__always)
  func batch(
    from row: UInt32, to rows: UnsafePointer<UInt32>, _ pointers: UnsafeMutablePointer<UnsafeRawPointer>,
    _ count: Int, into distances: UnsafeMutablePointer<Float>
  ) {
    for index in 0..<count { pointers[index] = pointer(rows[index]) }
    distance.batch(pointer(row), pointers, count, into: distances)
  }
}
