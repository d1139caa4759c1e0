// Graphs whose rows were linked by rounded vectors find as much as others.

import CKernels
import Core
import Testing

@testable import Storage

@Suite struct CoarseVectorsTests {
  @Test(arguments: [Metric.l2, .cosine]) func graphsAreAsGood(_ metric: Metric) async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 48, element: .f32, metric: metric), count: 2500, queryCount: 40, seed: 41)
    var recall: [Bool: Double] = [:]
    for rounds in [false, true] {
      let graph = try data.graph()
      // In two batches, of which the second meets rows of the first.
      await graph.insertAll(rows: 0..<1200, workers: InlineWorkers(), roundsVectors: rounds)
      await graph.insertAll(rows: 1200..<2500, workers: InlineWorkers(), roundsVectors: rounds)
      #expect(graph.count == 2500)
      recall[rounds] = try data.recall(k: 10) { try graph.find($0, k: 10, effort: 40) }
    }
    #expect(recall[true] ?? 0 >= 0.97 && recall[true] ?? 0 >= (recall[false] ?? 1) - 0.01, "\(recall)")
  }

  @Test func isMadeOnlyWhereItPays() async throws {
    func make(
      _ element: VectorElement, _ metric: Metric, _ dimension: Int, _ rows: Int
    ) async throws -> Bool {
      let data = ClusteredVectors(
        shape: VectorShape(dimension: dimension, element: element, metric: metric), count: 1100, seed: 42)
      return await CoarseVectors.make(try data.graph(), rows: 0..<rows, workers: InlineWorkers()) != nil
    }
    #expect(try await make(.f32, .l2, 64, 1100))
    #expect(try await !make(.f32, .l2, 64, 100))
    #expect(try await !make(.f32, .l2, 16, 1100))
    #expect(try await !make(.f32, .innerProduct, 64, 1100))
    #expect(try await !make(.u8, .l2, 64, 1100))
  }

  /// Also beyond the range of the sample, and no numbers.
  @Test func everyElementBecomesAByte() {
    let values: [Float] = [0, 1, -1, 0.5, 2, .infinity, -.infinity, .nan, 1e30, -1e30]
    var bytes = [UInt8](repeating: 7, count: values.count)
    roost_round_to_bytes(values, values.count, -1, 127.5, &bytes)
    #expect(bytes == [128, 255, 0, 191, 255, 255, 0, 0, 255, 0])
  }
}
