// Codes: estimates near the true distances, the same at every level, and headers checked.

import CKernels
import Core
import Testing

@testable import Storage

@Suite struct CodeBookTests {
  @Test(arguments: vectorPairs)
  func estimatesAreClose(element: VectorElement, metric: Metric) {
    let dimensions =
      element == .binary ? [8, 16, 24, 136, 1024, 1032, 4096] : [1, 2, 3, 17, 64, 100, 128, 129, 300]
    for dimension in dimensions {
      // A single byte may well be the zero vector, which has no direction.
      if dimension == 1 && metric == .cosine { continue }
      let shape = VectorShape(dimension: dimension, element: element, metric: metric)
      let data = ClusteredVectors(shape: shape, count: 60, queryCount: 5, seed: UInt64(dimension))
      withPointers(data.rows) { rows in
        let reference = CodeBook(shape: shape, count: rows.count) { rows[$0] }
        var coded: [[UInt8]] = []
        var floats = [Float](repeating: 0, count: dimension)
        for row in rows {
          var code = [UInt8](repeating: 0, count: reference.rowStride)
          reference.encode(row, into: &code, floats: &floats)
          coded.append(code)
        }
        withPointers(coded) { codes in
          for query in data.queries {
            let truth = data.rows.map { data.distance(query, $0) }
            let spread = max(Set(truth).max().map { $0 - (truth.min() ?? 0) } ?? 0, 1e-6)
            var previous: [Float]?
            for level in KernelLevel.allCases where level.isAvailable {
              let prepared = CodeQuery()
              reference.prepare(prepared, for: query)
              var estimates = [Float](repeating: .nan, count: codes.count)
              prepared.estimate(CodeBook.kernel(shape, level), codes, codes.count, into: &estimates)
              if let previous { #expect(previous == estimates, "\(level)") }
              previous = estimates
              // All bits of a binary vector are in its code up to 1024 of them.
              if element == .binary && dimension <= 1024 { #expect(estimates == truth, "\(level)") }
              let worst = zip(truth, estimates).map { abs($0 - $1) }.max() ?? 0
              #expect(worst <= spread * 0.25, "\(level) dimension \(dimension): \(worst) of \(spread)")
            }
          }
        }
      }
    }
  }

  @Test func rotationKeepsLengths() {
    var random = SplitMix64(seed: 3)
    for dimension in [1, 2, 3, 5, 8, 96, 128, 200, 768, 4096] {
      let signs = (0..<(4 * dimension + 63) / 64).map { _ in random.next() }
      var a = (0..<dimension).map { _ in Float.random(in: -1...1, using: &random) }
      let before = a.reduce(0.0) { $0 + Double($1) * Double($1) }
      roost_rotate(&a, dimension, signs)
      let after = a.reduce(0.0) { $0 + Double($1) * Double($1) }
      #expect(abs(before - after) < 1e-4 * before)
    }
  }

  @Test func degenerateVectors() {
    let shape = VectorShape(dimension: 20, element: .f32, metric: .l2)
    let special: [[Float]] = [
      .init(repeating: 0, count: 20), .init(repeating: .leastNonzeroMagnitude, count: 20),
      .init(repeating: 3e18, count: 20),
      (0..<20).map { $0 == 3 ? 1e30 : 0 },
    ]
    for values in special {
      let bytes = values.withUnsafeBytes { Array($0) }
      let book = CodeBook(shape: shape, mean: [Float](repeating: 0, count: 20))
      var code = [UInt8](repeating: 0, count: book.rowStride)
      var floats = [Float](repeating: 0, count: 20)
      book.encode(bytes, into: &code, floats: &floats)
      let query = CodeQuery()
      book.prepare(query, for: bytes)
      var estimate: [Float] = [.nan]
      withPointers([code]) { query.estimate(book.kernel, $0, 1, into: &estimate) }
      #expect(CandidateKey(distance: estimate[0], row: 0).row == 0)
    }
  }

  @Test func headersAreChecked() throws {
    let shape = VectorShape(dimension: 33, element: .i8, metric: .innerProduct)
    let book = CodeBook(shape: shape, mean: (0..<33).map { Float($0) })
    let header = book.encodedHeader(cells: 77)
    #expect(header.count == CodeBook.headerBytes(shape))
    func decode(_ bytes: [UInt8], _ shape: VectorShape) throws -> (book: CodeBook, cells: Int) {
      try bytes.withUnsafeBytes { try CodeBook.read(shape: shape, header: $0, file: "f", offset: 1) }
    }
    let (again, cells) = try decode(header, shape)
    #expect(cells == 77 && again.encodedHeader(cells: cells) == header)
    for index in 0..<20 {
      var bad = header
      bad[index] ^= 0x10
      #expect(throws: RoostError.self) { try decode(bad, shape) }
    }
    #expect(throws: RoostError.self) { try decode(Array(header.dropLast()), shape) }
    #expect(throws: RoostError.self) {
      try decode(header, VectorShape(dimension: 32, element: .i8, metric: .l2))
    }
  }

  private func withPointers(_ rows: [[UInt8]], _ body: ([UnsafeRawPointer]) -> Void) {
    let stride = (rows[0].count + 15) & ~15
    let buffer = IOBuffer(count: stride * rows.count)
    for (index, row) in rows.enumerated() {
      (buffer.base + index * stride).copyMemory(from: row, byteCount: row.count)
    }
    body(rows.indices.map { UnsafeRawPointer(buffer.base + $0 * stride) })
    withExtendedLifetime(buffer) {}
  }
}
