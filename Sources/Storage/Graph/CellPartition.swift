// Splits rows into cells of rows that are near each other, by two levels of k-means. A search by page reads
// looks through the codes of the nearest cells in memory before it reads anything (`PagedSearch.swift`).

import Core

/// Rows in the order in which a segment holds them, and where its cells begin.
struct RowOrder: Sendable, Equatable {
  var rows: [UInt32]
  /// Positions in `rows` at which a cell begins, ascending from 0.
  var cells: [UInt32]
}

enum CellPartition {
  /// Rows in a cell, on average: cells and rows in them cost a search about the same.
  static func cellRows(of count: Int) -> Int {
    min(max(Int(Double(count).squareRoot() / 4), 64), 512)
  }

  private static let rounds = 5
  private static let sampleRowsPerCell = 48

  /// The cells of `rows`, none of them empty; cells that follow each other are near each other. Takes about
  /// two microseconds a row. Depends on nothing but the vectors.
  static func split(_ rows: [UInt32], of graph: GrowingGraph) -> [[UInt32]] {
    let cellRows = cellRows(of: rows.count)
    let cells = rows.count / cellRows
    guard cells > 1 else { return rows.isEmpty ? [] : [rows] }
    let clustering = Clustering(graph: graph)
    let top = max(1, Int(Double(cells).squareRoot()))
    var result: [[UInt32]] = []
    for group in clustering.split(rows, into: top, rounds: rounds, samplePerCell: sampleRowsPerCell * 4) {
      let parts = (group.count + cellRows / 2) / cellRows
      for cell in clustering.split(group, into: parts, rounds: rounds, samplePerCell: sampleRowsPerCell) {
        // Vectors that are equal, for instance, all end up in one cell.
        for start in stride(from: 0, to: cell.count, by: 4 * cellRows) {
          result.append(Array(cell[start..<min(start + 4 * cellRows, cell.count)]))
        }
      }
    }
    return result
  }
}

/// k-means (Lloyd, 1982) on vectors as floats, for cosine of length 1.
private struct Clustering {
  private let graph: GrowingGraph
  private let dimension: Int
  private let distance: DistanceFunction

  init(graph: GrowingGraph) {
    self.graph = graph
    dimension = graph.shape.dimension
    distance = DistanceFunction(VectorShape(dimension: dimension, element: .f32, metric: .l2))
  }

  /// At most `parts` groups, those that are not empty, each next to the one nearest to it.
  func split(_ rows: [UInt32], into parts: Int, rounds: Int, samplePerCell: Int) -> [[UInt32]] {
    guard parts > 1 else { return [rows] }
    var centres = Centres(count: parts, dimension: dimension)
    let sampled = min(rows.count, parts * samplePerCell)
    let sample = (0..<sampled).map { rows[$0 * rows.count / sampled] }
    var floats = [Float](repeating: 0, count: dimension)
    for centre in 0..<parts {
      CodeBook.load(graph.vector(sample[centre * sampled / parts]), graph.shape, into: &floats)
      centres.set(centre, floats)
    }
    for _ in 0..<rounds {
      var sums = Centres(count: parts, dimension: dimension)
      var counts = [Int](repeating: 0, count: parts)
      for row in sample {
        CodeBook.load(graph.vector(row), graph.shape, into: &floats)
        let nearest = centres.nearest(floats, distance)
        counts[nearest] += 1
        sums.add(floats, to: nearest)
      }
      // A centre that nothing is nearest to stays where it is.
      for centre in 0..<parts where counts[centre] > 0 {
        centres.set(centre, sums.scaled(centre, by: 1 / Float(counts[centre])))
      }
    }
    var groups = [[UInt32]](repeating: [], count: parts)
    for row in rows {
      CodeBook.load(graph.vector(row), graph.shape, into: &floats)
      groups[centres.nearest(floats, distance)].append(row)
    }
    return centres.chain(distance).map { groups[$0] }.filter { !$0.isEmpty }
  }
}

/// `[count × dimension]` floats.
private struct Centres {
  private let count: Int
  private let dimension: Int
  private var values: [Float]

  init(count: Int, dimension: Int) {
    self.count = count
    self.dimension = dimension
    values = Array(repeating: 0, count: count * dimension)
  }

  mutating func set(_ centre: Int, _ floats: [Float]) {
    for index in 0..<dimension { values[centre * dimension + index] = floats[index] }
  }

  mutating func add(_ floats: [Float], to centre: Int) {
    for index in 0..<dimension { values[centre * dimension + index] += floats[index] }
  }

  func scaled(_ centre: Int, by factor: Float) -> [Float] {
    values[centre * dimension..<(centre + 1) * dimension].map { $0 * factor }
  }

  func nearest(_ floats: [Float], _ distance: DistanceFunction) -> Int {
    floats.withUnsafeBytes { floats in
      values.withUnsafeBytes { values in
        guard let query = floats.baseAddress, let base = values.baseAddress else { return 0 }
        var best = Float.infinity
        var found = 0
        for centre in 0..<count {
          let length = distance(query, base + centre * dimension * 4)
          if length < best {
            best = length
            found = centre
          }
        }
        return found
      }
    }
  }

  /// All centres, each followed by the nearest of those that are left.
  func chain(_ distance: DistanceFunction) -> [Int] {
    var rest = Array(1..<count)
    var order = [0]
    while !rest.isEmpty {
      let last = Array(values[order[order.count - 1] * dimension..<(order[order.count - 1] + 1) * dimension])
      var best = Float.infinity
      var position = 0
      last.withUnsafeBytes { last in
        values.withUnsafeBytes { values in
          guard let query = last.baseAddress, let base = values.baseAddress else { return }
          for (index, centre) in rest.enumerated() {
            let length = distance(query, base + centre * dimension * 4)
            if length < best {
              best = length
              position = index
            }
          }
        }
      }
      order.append(rest.remove(at: position))
    }
    return order
  }
}
