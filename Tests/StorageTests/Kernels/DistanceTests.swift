// Distance kernels against a scalar reference: every type, metric and level, at every dimension to 300.

import Core
import Testing

@testable import Storage

@Suite struct DistanceTests {
  static let dimensions = Array(1...300) + [384, 511, 512, 513, 767, 768, 1000, 1536, 2047, 4095, 4096]
  static let levels = KernelLevel.allCases.filter { $0.isAvailable }

  @Test(arguments: vectorPairs)
  func agreesWithTheReference(element: VectorElement, metric: Metric) {
    var random = SplitMix64(seed: 7)
    // Steps of the kernels of 16-bit floats are of 16 to 64 elements.
    let isHalf = element == .f16 || element == .bf16
    for dimension in Self.dimensions
    where dimension % element.dimensionStep == 0 && !(isHalf && (130...300).contains(dimension)) {
      let shape = VectorShape(dimension: dimension, element: element, metric: metric)
      // One query and six rows: a joint group of four and a rest. Odd starts, so nothing is aligned.
      let vectors = (0..<7).map { _ in randomBytes(shape, using: &random) }
      let expected = vectors.dropFirst().map { reference(vectors[0], $0, shape) }
      let tolerance = element.isFloat ? 1e-5 * Double(dimension) : 0
      for level in Self.levels {
        let distance = DistanceFunction(shape, level: level)
        withUnaligned(vectors) { pointers in
          var batch = [Float](repeating: .nan, count: 6)
          distance.batch(pointers[0], Array(pointers.dropFirst()), 6, into: &batch)
          for index in 0..<6 {
            let one = distance(pointers[0], pointers[index + 1])
            let allowed = tolerance + abs(expected[index]) * (metric == .cosine ? 1e-6 : 1e-7) + 1e-7
            #expect(abs(Double(one) - expected[index]) <= allowed, "\(level) dimension \(dimension)")
            #expect(
              abs(Double(batch[index]) - expected[index]) <= allowed, "\(level) batch, dimension \(dimension)"
            )
          }
        }
      }
    }
  }

  /// Halves of all sizes: subnormal ones, and the largest whose squares are finite as floats.
  @Test(arguments: [VectorElement.f16, .bf16], [Metric.l2, .innerProduct, .cosine])
  func halvesOfEverySize(element: VectorElement, metric: Metric) {
    var random = SplitMix64(seed: 8)
    for round in 0..<50 {
      let shape = VectorShape(
        dimension: 1 + Int(random.next() % 200), element: element, metric: metric)
      // A band of exponents for each round, from subnormal to large.
      let exponents: UInt64 = element == .f16 ? 31 : 180
      let low = random.next() % exponents
      let high = min(exponents, low + 1 + random.next() % 12)
      func vector() -> [UInt8] {
        var writer = ByteWriter()
        for _ in 0..<shape.dimension {
          let exponent = UInt16(low + random.next() % (high - low)) << (element == .f16 ? 10 : 7)
          let rest = UInt16(truncatingIfNeeded: random.next())
          writer.u16(rest & (element == .f16 ? 0x83ff : 0x807f) | exponent)
        }
        return writer.bytes
      }
      let (a, b) = (vector(), vector())
      let expected = reference(a, b, shape)
      // The sum of the sizes of all terms bounds what rounding can do.
      let size =
        metric == .cosine
        ? 1 : abs(reference(magnitudes(a, element), magnitudes(b, element), shape)) + abs(expected)
      for level in Self.levels {
        let distance = DistanceFunction(shape, level: level)
        // Vectors this short are made longer before they are stored, or their squares would vanish.
        if metric == .cosine && element == .bf16 && low < 90 { continue }
        // The native product of bf16 takes what is below 2^-126 for zero.
        let lost = level == .avx512bf16 && element == .bf16 ? 0x1p-126 * 0x1p62 * Double(shape.dimension) : 0
        #expect(
          abs(Double(distance(a, b)) - expected) <= size * 1e-5 + lost + 1e-37,
          "\(level) round \(round): \(distance(a, b)) instead of \(expected)")
      }
    }
  }

  private func magnitudes(_ bytes: [UInt8], _ element: VectorElement) -> [UInt8] {
    bytes.enumerated().map { $0.offset % 2 == 1 ? $0.element & 0x7f : $0.element }
  }

  @Test func extremesOfIntegersAreExact() {
    for level in Self.levels {
      for (element, low, high) in [(VectorElement.u8, UInt8(0), UInt8(255)), (.i8, 0x80, 0x7f)] {
        let a = [UInt8](repeating: low, count: 4096)
        let b = [UInt8](repeating: high, count: 4096)
        let l2 = DistanceFunction(VectorShape(dimension: 4096, element: element, metric: .l2), level: level)
        #expect(l2(a, b) == 4096 * 255 * 255)
        let ip = DistanceFunction(
          VectorShape(dimension: 4096, element: element, metric: .innerProduct), level: level)
        #expect(ip(b, b) == (element == .u8 ? -4096 * 255 * 255 : -4096 * 127 * 127))
        #expect(ip(a, b) == (element == .u8 ? 0 : 4096 * 128 * 127))
      }
    }
  }

  @Test func zeroVectorsHaveCosineDistanceOne() {
    let zero = [UInt8](repeating: 0, count: 70)
    let one = [UInt8](repeating: 1, count: 70)
    for level in Self.levels {
      for element in [VectorElement.u8, .i8, .f16, .bf16] {
        var (zero, one) = (zero, one)
        if element.isFloat {
          let ones = Vector([Float](repeating: 1, count: 70)).rounded(to: element)
          (zero, one) = (zero + zero, ones?.bytes ?? [])
        }
        let distance = DistanceFunction(
          VectorShape(dimension: 70, element: element, metric: .cosine), level: level)
        #expect(distance(zero, one) == 1 && distance(one, zero) == 1)
        #expect(abs(distance(one, one)) < 1e-6)
      }
    }
  }

  private func randomBytes(_ shape: VectorShape, using random: inout SplitMix64) -> [UInt8] {
    if !shape.element.isFloat {
      return (0..<shape.rowBytes).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    }
    let values = (0..<shape.dimension).map { _ in Float.random(in: -1...1, using: &random) }
    return Vector(values).rounded(to: shape.element)?.bytes ?? []
  }

  private func withUnaligned(_ vectors: [[UInt8]], _ body: ([UnsafeRawPointer]) -> Void) {
    let stride = vectors[0].count + 5
    // Floats must be aligned for C; bytes may lie anywhere.
    let step = vectors[0].count % 2 == 0 ? (stride + 3) & ~3 : stride
    let buffer = IOBuffer(count: step * vectors.count + 4)
    let start = vectors[0].count % 2 == 0 ? 4 : 1
    for (index, vector) in vectors.enumerated() {
      (buffer.base + start + index * step).copyMemory(from: vector, byteCount: vector.count)
    }
    body(vectors.indices.map { UnsafeRawPointer(buffer.base + start + $0 * step) })
  }

  private func reference(_ a: [UInt8], _ b: [UInt8], _ shape: VectorShape) -> Double {
    let x = Vector(element: shape.element, bytes: a).floats.map(Double.init)
    let y = Vector(element: shape.element, bytes: b).floats.map(Double.init)
    let dot = zip(x, y).reduce(0.0) { $0 + $1.0 * $1.1 }
    switch shape.metric {
    case .hamming: return Double(zip(a, b).reduce(0) { $0 + ($1.0 ^ $1.1).nonzeroBitCount })
    case .l2: return zip(x, y).reduce(0.0) { $0 + ($1.0 - $1.1) * ($1.0 - $1.1) }
    case .innerProduct: return -dot
    case .cosine:
      if shape.element == .f32 { return 1 - dot }
      let norms = x.reduce(0.0) { $0 + $1 * $1 } * y.reduce(0.0) { $0 + $1 * $1 }
      return norms == 0 ? 1 : 1 - dot / norms.squareRoot()
    }
  }
}
