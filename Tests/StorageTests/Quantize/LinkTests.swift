// Links: estimates near the true distances for every metric, the same at every level, bounds kept.

import CKernels
import Core
import Testing

@testable import Storage

@Suite struct LinkTests {
  private static let levels = KernelLevel.allCases.filter { $0.isAvailable }

  /// A random block: its bytes and the query for it.
  private struct RandomBlock {
    let layout: LinkLayout
    let bytes: IOBuffer
    let ids: [UInt32]
    var query = LinkQuery()

    init(dimension: Int, degree: Int, used: Int, using random: inout SplitMix64) {
      layout = LinkLayout(dimension: dimension, degree: degree)
      bytes = IOBuffer(count: layout.blockBytes)
      let floats = bytes.base.assumingMemoryBound(to: Float.self)
      for lane in 0..<layout.lanes {
        floats[lane] = Float.random(in: 0...2, using: &random)
        floats[layout.lanes + lane] = Float.random(in: -1...0, using: &random)
      }
      for index in layout.codesOffset..<layout.blockBytes {
        bytes.mutableBytes[index] = UInt8(truncatingIfNeeded: random.next())
      }
      ids = (0..<degree).map { $0 < used ? UInt32($0 * 3) : NodeLayout.none }
      query.floats.reserve(dimension)
      for index in 0..<dimension { query.floats[index] = Float.random(in: -1...1, using: &random) }
      query.round(dimension: dimension, chunks: layout.chunks)
    }

    func rank(_ level: KernelLevel, bound: Float) -> [(row: UInt32, estimate: Float)] {
      let scratch = GraphScratch()
      scratch.reserveBatch(layout.degree + 16)
      let batch = scratch.batch
      let count = query.rank(
        roost_link_kernel_at(level.rawValue), bytes.base, ids, degree: layout.degree, own: 0.25, bound: bound,
        into: batch)
      return (0..<count).map { (batch.rows[$0], batch.distances[$0]) }
    }
  }

  @Test func levelsAgree() throws {
    var random = SplitMix64(seed: 11)
    for dimension in [1, 15, 16, 17, 100, 128, 129, 1024] {
      for degree in [1, 15, 16, 17, 31, 32, 33, 64] {
        let used = degree > 4 ? degree - 2 : degree
        let block = RandomBlock(dimension: dimension, degree: degree, used: used, using: &random)
        let all = block.rank(.portable, bound: .infinity)
        #expect(all.map(\.row) == (0..<used).map { UInt32($0 * 3) })
        for level in Self.levels {
          let found = block.rank(level, bound: .infinity)
          #expect(found.map(\.row) == all.map(\.row), "\(level) \(dimension) × \(degree)")
          for (a, b) in zip(found, all) {
            let allowed = 1e-5 * (1 + abs(b.estimate)) * Float(dimension).squareRoot()
            #expect(abs(a.estimate - b.estimate) <= allowed)
          }
          let bound = found[found.count / 2].estimate
          let near = block.rank(level, bound: bound)
          #expect(near.map(\.row) == found.filter { $0.estimate <= bound }.map(\.row))
        }
      }
    }
  }

  /// A level without a kernel of its own would fall back to the slowest.
  @Test func everyLevelHasItsKernel() {
    func address(_ level: KernelLevel) -> Int {
      unsafeBitCast(roost_link_kernel_at(level.rawValue), to: Int.self)
    }
    for level in Self.levels where level != .portable { #expect(address(level) != address(.portable)) }
  }

  /// What is not a number is kept only while everything is, as are rows that are infinitely far.
  @Test func notANumber() {
    var random = SplitMix64(seed: 12)
    let block = RandomBlock(dimension: 32, degree: 20, used: 20, using: &random)
    let floats = block.bytes.base.assumingMemoryBound(to: Float.self)
    floats[3] = .nan
    floats[17] = .infinity
    for level in Self.levels {
      #expect(block.rank(level, bound: .infinity).count == 20)
      #expect(!block.rank(level, bound: 1000).contains { $0.row == 17 * 3 })
    }
  }

  @Test(arguments: vectorPairs.filter { $0.0 != .binary })
  func estimatesAreClose(element: VectorElement, metric: Metric) async throws {
    for dimension in [65, 128] {
      let shape = VectorShape(dimension: dimension, element: element, metric: metric)
      let data = ClusteredVectors(shape: shape, count: 300, queryCount: 5, seed: UInt64(dimension))
      let graph = try data.graph()
      await graph.insertAll(rows: 0..<300, workers: InlineWorkers())
      await graph.finish(workers: InlineWorkers())
      let encoder = NodeSectionEncoder(graph: graph, order: (0..<300).map { UInt32($0) })
      let book = CodeBook(shape: shape, count: 300) { graph.vector(UInt32($0)) }
      let layout = LinkLayout(dimension: dimension, degree: graph.degree)
      let coder = LinkCoder(book: book, layout: layout, neighboursMax: graph.neighboursMax)
      let scratch = GraphScratch()
      scratch.reserveBatch(layout.degree + 16)
      let batch = scratch.batch
      let query = LinkQuery()
      var squaredError = 0.0
      var squaredSpread = 0.0
      for row in stride(from: 0, to: 300, by: 7) {
        let block = IOBuffer(count: layout.blockBytes)
        coder.encode(row, of: encoder, into: block.base)
        var ids = [UInt32](repeating: NodeLayout.none, count: graph.neighboursMax)
        let count = encoder.neighbours(ofRow: row, into: &ids)
        for index in count..<ids.count { ids[index] = NodeLayout.none }
        for bytes in data.queries {
          let vector = IOBuffer(bytes)
          book.prepare(query, for: vector.base, chunks: layout.chunks)
          let own = data.distance(vector.base, graph.vector(UInt32(row)))
          let found = query.rank(
            roost_link_kernel_at(KernelLevel.best.rawValue), block.base, ids, degree: layout.degree, own: own,
            bound: .infinity, into: batch)
          #expect(found == count)
          for index in 0..<found {
            let truth = Double(data.distance(vector.base, graph.vector(batch.rows[index])))
            let error = Double(batch.distances[index]) - truth
            squaredError += error * error
            // What the estimate has to tell: how much farther or nearer than the row itself.
            squaredSpread += (Double(own) - truth) * (Double(own) - truth)
          }
        }
      }
      let error = (squaredError / squaredSpread).squareRoot()
      #expect(error < 0.3, "dimension \(dimension): error \(error)")
    }
  }

  @Test func layoutsFollowTheSpecification() {
    let layout = LinkLayout(dimension: 128, degree: 32)
    #expect(layout.blockBytes == 1280 && layout.codesOffset == 256 && layout.setBytes == 512)
    #expect(LinkLayout(dimension: 1, degree: 17).blockBytes == 32 * 8 + 2 * 64)
    let small = NodeLayout(shape: VectorShape(dimension: 16, element: .f32, metric: .l2), degree: 32)
    #expect(LinkLayout(small) == nil)
    let large = NodeLayout(shape: VectorShape(dimension: 17, element: .f32, metric: .l2), degree: 32)
    #expect(LinkLayout(large) != nil)
  }

  @Test func degenerateDifferences() {
    let centre = [Float](repeating: 1, count: 20)
    for values in [
      [Float](repeating: 0, count: 20), .init(repeating: .leastNonzeroMagnitude, count: 20),
      .init(repeating: 3e18, count: 20), .init(repeating: 3e38, count: 20), .init(repeating: .nan, count: 20),
    ] {
      var codes = [UInt8](repeating: 0, count: 128)
      let factors = roost_encode_link(values, centre, 20, 5, &codes)
      if values[0] < 1 { #expect(factors.scale == 0 && factors.along == 0) }
      if values[0] == 3e18 { #expect(factors.scale.isFinite && factors.scale > 0) }
      var levels = [Int8](repeating: 0, count: 20)
      var step: Float = 0
      _ = roost_round_query(values, 20, &levels, &step)
      #expect(step > 0 && step.isFinite)
    }
  }
}
