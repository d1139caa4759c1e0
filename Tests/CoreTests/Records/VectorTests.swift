// Vectors of every type: widening, rounding, and what a schema refuses.

import Core
import Testing

@Suite struct VectorTests {
  @Test func everyHalfWidensAndRoundsBack() throws {
    for bits in UInt16.min...UInt16.max {
      let bytes = [UInt8(bits & 255), UInt8(bits >> 8)]
      let half = Float16(bitPattern: bits)
      if half.isFinite {
        let vector = Vector(element: .f16, bytes: bytes)
        let floats = vector.floats
        let isRight = floats == [Float(half)] && floats[0].sign == half.sign
        if !isRight || Vector(floats).rounded(to: .f16) != vector { Issue.record("f16 \(bits)") }
      }
      let wide = Float(bitPattern: UInt32(bits) << 16)
      if wide.isFinite {
        let vector = Vector(element: .bf16, bytes: bytes)
        let isRight = vector.floats == [wide]
        if !isRight || Vector([wide]).rounded(to: .bf16) != vector { Issue.record("bf16 \(bits)") }
      }
    }
  }

  @Test(arguments: 0..<4) func roundsToTheNearest(_ round: Int) throws {
    let seed = UInt64(round) + 90
    var random = SplitMix64(seed: seed)
    for _ in 0..<500 {
      let value = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      guard value.isFinite else { continue }
      #expect(
        Vector([value]).rounded(to: .f16)?.bytes
          == (Float16(value).isFinite ? bytes(Float16(value).bitPattern) : nil), "seed \(seed): \(value)")
      // The nearer of the two around it; of two as near, the even one.
      let low = UInt16(value.bitPattern >> 16)
      let (below, above) = (widened(low), widened(low + 1))
      let (toBelow, toAbove) = (abs(Double(value) - below), abs(Double(value) - above))
      let nearest = toBelow < toAbove || toBelow == toAbove && low % 2 == 0 ? low : low + 1
      let expected = nearest & 0x7f80 == 0x7f80 ? nil : bytes(nearest)
      #expect(Vector([value]).rounded(to: .bf16)?.bytes == expected, "seed \(seed): \(value)")
    }
  }

  /// What the bits would stand for if the exponent had no end.
  private func widened(_ bits: UInt16) -> Double {
    let sign: Double = bits & 0x8000 == 0 ? 1 : -1
    if bits & 0x7f80 == 0x7f80 { return sign * 0x1p128 }
    return Double(Float(bitPattern: UInt32(bits) << 16))
  }

  private func bytes(_ half: UInt16) -> [UInt8] { [UInt8(half & 255), UInt8(half >> 8)] }

  @Test func bitsStandInTheOrderOfNumpy() {
    let vector = Vector(bits: [true, false, false, false, false, false, true, true])
    #expect(vector.bytes == [0b1000_0011] && vector.dimension == 8)
    #expect(vector.floats == [1, 0, 0, 0, 0, 0, 1, 1])
  }

  @Test func pairsOfTypeAndMetric() throws {
    for element in VectorElement.allCases {
      for metric in Metric.allCases {
        let schema = CollectionSchema(dimension: 16, element: element, metric: metric)
        if element.metrics.contains(metric) {
          try schema.validate()
        } else {
          let error = #expect(throws: RoostError.self) { try schema.validate() }
          #expect(error?.place == "schema.metric" && error?.kind == .invalidArgument)
        }
      }
      try CollectionSchema(dimension: 16, element: element).validate()
    }
    let error = #expect(throws: RoostError.self) {
      try CollectionSchema(dimension: 12, element: .binary).validate()
    }
    #expect(error?.place == "schema.dimension")
  }

  @Test func infinitiesAndNaNAreRefused() throws {
    for element in [VectorElement.f32, .f16, .bf16] {
      for metric in element.metrics {
        let schema = CollectionSchema(dimension: 3, element: element, metric: metric)
        let good = try #require(Vector([1, -2, 3] as [Float]).rounded(to: element))
        try schema.validate(good)
        for bad in [Float.infinity, -.infinity, .nan, .signalingNaN] {
          let vector = Vector([1, bad, 2])
          #expect(throws: RoostError.self) { try schema.validate(vector) }
          guard let half = vector.rounded(to: element), half.element != .f32 else { continue }
          let error = #expect(throws: RoostError.self) { try schema.validate(half) }
          #expect(error?.message.contains("element 1") == true, "\(element) \(bad)")
        }
        let zero = try #require(Vector([0, -0.0, 0] as [Float]).rounded(to: element))
        if metric == .cosine { #expect(throws: RoostError.self) { try schema.validate(zero) } }
      }
    }
    let small = CollectionSchema(dimension: 1, element: .f16)
    try small.validate(Vector([65504] as [Float]))
    #expect(throws: RoostError.self) { try small.validate(Vector([65520] as [Float])) }
    #expect(throws: RoostError.self) { try small.validate(Vector([1] as [UInt8])) }
    let bits = CollectionSchema(dimension: 8, element: .binary)
    #expect(throws: RoostError.self) { try bits.validate(Vector([Float](repeating: 1, count: 8))) }
  }
}
