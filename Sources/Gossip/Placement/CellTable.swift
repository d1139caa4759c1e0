// Metric placement: vectors that are near each other live together. The table of cells is gossiped, so that
// any coordinator knows which nodes can hold a near neighbour.

import Core

/// A part of the vector space, around a centroid, and who serves it.
public struct VectorCell: Hashable, Sendable {
  public var centroid: [Float]
  /// The largest l2 distance of a vector of the cell from the centroid.
  public var radius: Float
  /// The root mean square of these distances: where most vectors are.
  public var typicalRadius: Float
  public var count: Int
  /// The nearest or fastest first.
  public var nodes: [MemberID]

  public init(centroid: [Float], radius: Float, typicalRadius: Float, count: Int, nodes: [MemberID] = []) {
    self.centroid = centroid
    self.radius = radius
    self.typicalRadius = typicalRadius
    self.count = count
    self.nodes = nodes
  }
}

/// All cells of a collection; the table with the higher version holds.
public struct CellTable: Hashable, Sendable {
  public var version: UInt64
  public var cells: [VectorCell]

  public init(version: UInt64, cells: [VectorCell]) {
    self.version = version
    self.cells = cells
  }

  /// k-means over a sample (k-means++ seeding: Arthur and Vassilvitskii, SODA 2007; then Lloyd's steps).
  /// For metric cosine give vectors of length 1. O(vectors × cells × steps × dimension).
  /// - Parameter vectors: `[count × dimension]`, all of one dimension, at least one.
  public init(clustering vectors: [[Float]], cells count: Int, steps: Int = 8, version: UInt64, seed: UInt64)
  {
    precondition(!vectors.isEmpty && count > 0)
    var random = SplitMix64(seed: seed)
    var centroids = [vectors[Int(random.next() % UInt64(vectors.count))]]
    var nearest = vectors.map { CellTable.squared($0, centroids[0]) }
    while centroids.count < min(count, vectors.count) {
      let total = nearest.reduce(0) { $0 + Double($1) }
      guard total > 0 else { break }
      var left = total * (Double(random.next() >> 11) / 0x1p53)
      var choice = 0
      while choice < vectors.count - 1, left >= Double(nearest[choice]) {
        left -= Double(nearest[choice])
        choice += 1
      }
      centroids.append(vectors[choice])
      for index in vectors.indices {
        nearest[index] = min(nearest[index], CellTable.squared(vectors[index], vectors[choice]))
      }
    }
    for _ in 0..<steps {
      var sums = centroids.map { [Float](repeating: 0, count: $0.count) }
      var counts = [Int](repeating: 0, count: centroids.count)
      for vector in vectors {
        let cell = CellTable.nearest(vector, centroids)
        counts[cell] += 1
        for axis in vector.indices { sums[cell][axis] += vector[axis] }
      }
      // A cell that lost all stays where it was.
      for cell in centroids.indices where counts[cell] > 0 {
        centroids[cell] = sums[cell].map { $0 / Float(counts[cell]) }
      }
    }
    self.version = version
    cells = centroids.map { VectorCell(centroid: $0, radius: 0, typicalRadius: 0, count: 0) }
    for vector in vectors { insert(vector) }
  }

  /// The cell that a vector belongs to; ties go to the lower number.
  public func cell(of vector: [Float]) -> Int { CellTable.nearest(vector, cells.map(\.centroid)) }

  /// Counts a vector in its cell and widens that; returns the cell.
  @discardableResult
  public mutating func insert(_ vector: [Float]) -> Int {
    let index = cell(of: vector)
    let square = CellTable.squared(vector, cells[index].centroid)
    let count = Float(cells[index].count)
    let mean = cells[index].typicalRadius * cells[index].typicalRadius
    cells[index].typicalRadius = ((mean * count + square) / (count + 1)).squareRoot()
    cells[index].radius = max(cells[index].radius, square.squareRoot())
    cells[index].count += 1
    return index
  }

  static func squared(_ a: [Float], _ b: [Float]) -> Float {
    precondition(a.count == b.count)
    var sum: Float = 0
    for axis in a.indices { sum += (a[axis] - b[axis]) * (a[axis] - b[axis]) }
    return sum
  }

  private static func nearest(_ vector: [Float], _ centroids: [[Float]]) -> Int {
    var best = (index: 0, square: Float.infinity)
    for index in centroids.indices {
      let square = squared(vector, centroids[index])
      if square < best.square { best = (index, square) }
    }
    return best.index
  }
}
