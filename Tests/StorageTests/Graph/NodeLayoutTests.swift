// Where node blocks lie.

import Core
import Testing

@testable import Storage

@Suite struct NodeLayoutTests {
  @Test func usualShapes() {
    let bytes = NodeLayout(shape: VectorShape(dimension: 128, element: .u8, metric: .l2), degree: 32)
    #expect(
      bytes.blockBytes == 256 && bytes.stride == 256 && bytes.blocksPerRun == 16 && bytes.pagesPerRun == 1)
    let floats = NodeLayout(shape: VectorShape(dimension: 128, element: .f32, metric: .l2), degree: 32)
    #expect(floats.blockBytes == 640 && floats.stride == 640 && floats.blocksPerRun == 6)
    let large = NodeLayout(shape: VectorShape(dimension: 1024, element: .f32, metric: .l2), degree: 32)
    #expect(
      large.blockBytes == 4224 && large.pagesPerRun == 2 && large.blocksPerRun == 1 && large.stride == 8192)
  }

  @Test func blocksFitAndDoNotOverlap() {
    for dimension in [1, 2, 3, 5, 31, 63, 64, 100, 128, 255, 300, 768, 999, 1000, 1024, 3000, 4096] {
      for element in VectorElement.allCases where dimension % element.dimensionStep == 0 {
        for degree in [2, 32, 64] {
          let layout = NodeLayout(
            shape: VectorShape(dimension: dimension, element: element, metric: element.metrics[0]),
            degree: degree)
          #expect(layout.stride >= layout.blockBytes)
          #expect(layout.stride * layout.blocksPerRun <= layout.runBytes)
          #expect(layout.blocksPerRun == max(1, 4096 / layout.blockBytes))
          #expect(layout.listOffset % 4 == 0 && layout.stride % 4 == 0)
          for row in [0, 1, 2, 340, 341, 342, 4095, 65_537, 123_456_789, 1 << 30, (1 << 31) - 1] {
            let run = layout.run(of: UInt32(row))
            #expect(run == row / layout.blocksPerRun)
            #expect(layout.offset(of: UInt32(row), inRun: run) == row % layout.blocksPerRun * layout.stride)
          }
        }
      }
    }
  }
}

@Suite struct LocalityOrderTests {
  @Test func keepsNeighboursTogether() async throws {
    let data = ClusteredVectors(
      shape: VectorShape(dimension: 128, element: .u8, metric: .l2), count: 800, seed: 31)
    let graph = try data.graph()
    await graph.insertAll(rows: 0..<800, workers: InlineWorkers())
    await graph.finish(workers: InlineWorkers())
    let rows = (0..<UInt32(800)).filter { $0 % 10 != 4 }
    let placed = graph.localityOrder(of: rows)
    let order = placed.rows
    #expect(order.sorted() == rows)
    #expect(graph.localityOrder(of: []) == RowOrder(rows: [], cells: []))
    #expect(placed.cells.count > 4 && placed.cells.first == 0 && placed.cells.allSatisfy { $0 < 720 })
    #expect(zip(placed.cells, placed.cells.dropFirst()).allSatisfy { $0 < $1 })
    let layout = NodeLayout(shape: data.shape, degree: graph.degree)
    func sharedRuns(_ order: [UInt32]) -> Int {
      var places: [UInt32: Int] = [:]
      for (place, row) in order.enumerated() { places[row] = place / layout.blocksPerRun }
      return order.reduce(0) { sum, row in
        sum + graph.neighbourArray(Int(row)).filter { places[$0] == places[row] }.count
      }
    }
    #expect(sharedRuns(order) > 3 * sharedRuns(rows))
  }
}
