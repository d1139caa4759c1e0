// What the vectors of a graph look like in memory, and the distance between two of them.

import CKernels
import Core

/// Dimension, element type and metric of a set of vectors.
struct VectorShape: Sendable, Equatable {
  let dimension: Int
  let element: VectorElement
  let metric: Metric

  init(dimension: Int, element: VectorElement, metric: Metric) {
    precondition((1...Limits.dimensionMax).contains(dimension) && dimension % element.dimensionStep == 0)
    precondition(element.metrics.contains(metric))
    self.dimension = dimension
    self.element = element
    self.metric = metric
  }

  /// Bytes of one vector, without padding.
  var rowBytes: Int { element.byteCount(dimension: dimension) }
}

/// The instructions that distance kernels may use. The raw values are those of the C dispatch.
enum KernelLevel: Int32, Sendable, CaseIterable {
  case portable = 0
  case neon = 1
  case avx2 = 2
  case avx512 = 3
  /// With BF16 and VPOPCNTDQ.
  case avx512bf16 = 4

  var isAvailable: Bool { roost_level_available(rawValue) != 0 }
  static var best: KernelLevel { KernelLevel(rawValue: roost_cpu_level()) ?? .portable }
}

/// The distance of one shape, resolved once for the CPU at hand; smaller is nearer.
///
/// l2: squared Euclidean distance. Inner product: the negated dot product. Cosine: 1 − cosine; f32
/// vectors are taken as normalised, the others are normalised here (a zero vector is at distance 1).
/// Hamming: the bits that differ.
struct DistanceFunction: Sendable {
  private let one: roost_distance
  private let many: roost_distance_batch
  private let dimension: Int

  init(_ shape: VectorShape, level: KernelLevel = .best) {
    let kernel = roost_distance_kernel_at(
      Int32(shape.element.rawValue), Int32(shape.metric.rawValue), level.rawValue)
    one = kernel.one
    many = kernel.batch
    dimension = shape.dimension
  }

  /// The distance of two vectors, `[dimension]` each.
  @inline(__always)
  func callAsFunction(_ a: UnsafeRawPointer, _ b: UnsafeRawPointer) -> Float { one(a, b, dimension) }

  /// The distances of `query` to `count` rows, fetching rows ahead of their use.
  @inline(__always)
  func batch(
    _ query: UnsafeRawPointer, _ rows: UnsafePointer<UnsafeRawPointer>, _ count: Int,
    into distances: UnsafeMutablePointer<Float>
  ) {
    many(query, rows, count, dimension, distances)
  }
}
