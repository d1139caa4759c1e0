// The distance by which rows are linked to each other; for inner product it is not the one that queries use.

import Core
import Glibc
import Synchronization

/// Distances between rows of an arena, never negative.
///
/// l2 and cosine link by the metric itself. The inner product is no measure of nearness between rows: long
/// vectors would be everyone's neighbours and short ones nobody's. So each row gets one more, imagined
/// coordinate √(M² − |x|²), where M is the length of the longest. Then all rows have length M, squared
/// Euclidean distance 2(M² − x·y − aₓa_y) links them, and for a query, whose own extra coordinate is 0, its
/// order is that of the inner product (Bachrach et al., RecSys 2014).
final class LinkDistance: Sendable {
  let vectors: VectorArena
  let function: DistanceFunction
  /// Squared lengths by row; inner product only. A row's is written before any list leads to the row.
  private let squaredLengths: AnonymousMemory?
  /// The bits of M², which for floats that are not negative sort as the floats do.
  private let largestBits = Atomic<UInt32>(0)

  /// - Parameter memory: `byteCount` zeros.
  init(vectors: VectorArena, memory: AnonymousMemory) {
    self.vectors = vectors
    function = DistanceFunction(vectors.shape)
    let byteCount = Self.byteCount(shape: vectors.shape, capacity: vectors.capacity)
    precondition(memory.count >= byteCount)
    squaredLengths = byteCount > 0 ? memory : nil
  }

  static func byteCount(shape: VectorShape, capacity: Int) -> Int {
    shape.metric == .innerProduct ? capacity * MemoryLayout<Float>.stride : 0
  }

  /// To be called once a row's vector is in the arena, before the row is linked.
  func prepare(_ row: UInt32) {
    guard let squaredLengths else { return }
    let vector = vectors.pointer(Int(row))
    let squared = max(0, -function(vector, vector))
    squaredLengths.base.assumingMemoryBound(to: Float.self)[Int(row)] = squared
    _ = largestBits.max(squared.bitPattern, ordering: .relaxed)
  }

  /// The distances from `row` to `count` rows, whose vectors lie at `pointers`.
  @inline(__always)
  func batch(
    from row: UInt32, to rows: UnsafePointer<UInt32>, _ pointers: UnsafePointer<UnsafeRawPointer>,
    _ count: Int,
    into distances: UnsafeMutablePointer<Float>
  ) {
    function.batch(vectors.pointer(Int(row)), pointers, count, into: distances)
    if let squaredLengths {
      lift(row, rows, count, squaredLengths.base.assumingMemoryBound(to: Float.self), distances)
    }
  }

  private func lift(
    _ row: UInt32, _ rows: UnsafePointer<UInt32>, _ count: Int, _ squared: UnsafePointer<Float>,
    _ distances: UnsafeMutablePointer<Float>
  ) {
    let largest = Float(bitPattern: largestBits.load(ordering: .relaxed))
    let own = max(0, largest - squared[Int(row)]).squareRoot()
    for index in 0..<count {
      let other = max(0, largest - squared[Int(rows[index])]).squareRoot()
      distances[index] = max(0, 2 * (largest + distances[index] - own * other))
    }
  }

  /// Distances of identical vectors are at most this.
  private var roundingError: Float {
    switch vectors.shape.metric {
    case .l2, .hamming: 0
    case .cosine: 1e-5
    case .innerProduct: Float(bitPattern: largestBits.load(ordering: .relaxed)) * 1e-5
    }
  }

  /// Whether the vector of a candidate of `row` has the very bytes of the row's.
  @inline(__always)
  func isDuplicate(_ candidate: CandidateKey, of row: UInt32) -> Bool {
    candidate.distance <= roundingError && isDuplicate(candidate.row, row)
  }

  func isDuplicate(_ first: UInt32, _ second: UInt32) -> Bool {
    memcmp(vectors.pointer(Int(first)), vectors.pointer(Int(second)), vectors.shape.rowBytes) == 0
  }
}
