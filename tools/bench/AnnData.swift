// What `bench ann` searches in: files in the formats of big-ann-benchmarks, or data made here.

import Core
import Foundation

/// Base vectors, queries and, for each query, the true nearest neighbours.
struct AnnData {
  let base: [Vector]
  let queries: [Vector]
  let truth: GroundTruth?
  /// Tells this data from other data; part of the name of its index.
  let name: String

  var dimension: Int { base.first?.dimension ?? 0 }
  var element: VectorElement { base.first?.element ?? .f32 }

  static func load(
    base: String, queries: String, truth: String?, element: VectorElement?, files: any FileSystem
  ) async throws -> AnnData {
    func read(_ path: String) async throws -> [Vector] {
      let reader = try await VectorFileReader.open(path, files: files)
      var vectors: [Vector] = []
      while let rows = try await reader.next(100_000) {
        for index in 0..<rows.count { vectors.append(rows.vector(index)) }
      }
      await reader.close()
      return vectors
    }
    let vectors = try await read(base)
    let name = (base as NSString).lastPathComponent + "-\(vectors.count)"
    return try AnnData(
      base: vectors, queries: try await read(queries),
      truth: try await truth.asyncMap { try await GroundTruth.read($0, files: files) }, name: name
    ).converted(to: element)
  }

  /// The same vectors in another type; nil: as they are.
  func converted(to target: VectorElement?) throws -> AnnData {
    guard let target, target != element else { return self }
    let name = name + "-\(target.name)"
    guard target == .binary else {
      func rounded(_ vectors: [Vector]) throws -> [Vector] {
        try vectors.map { vector in
          guard let rounded = vector.rounded(to: target) else {
            throw RoostError(.invalidArgument, "the vectors do not fit \(target.name)", at: "--element")
          }
          return rounded
        }
      }
      return AnnData(base: try rounded(base), queries: try rounded(queries), truth: truth, name: name)
    }
    guard dimension % 8 == 0 else {
      throw RoostError(.invalidArgument, "dimension \(dimension) is not a multiple of 8", at: "--element")
    }
    var means = [Double](repeating: 0, count: dimension)
    for vector in base {
      for (index, value) in vector.floats.enumerated() { means[index] += Double(value) / Double(base.count) }
    }
    func signs(_ vectors: [Vector]) -> [Vector] {
      vectors.map { vector in Vector(bits: zip(vector.floats, means).map { Double($0) > $1 }) }
    }
    return AnnData(base: signs(base), queries: signs(queries), truth: nil, name: name)
  }

  /// Clusters of low intrinsic dimension: each cluster is a random 8-dimensional subspace around a centre,
  /// with a little noise in all dimensions, as embeddings have it.
  static func make(count: Int, dimension: Int, queries: Int, seed: UInt64) -> AnnData {
    var random = SplitMix64(seed: seed)
    let intrinsic = min(8, dimension)
    let clusters = (0..<max(1, count / 2000)).map { _ in
      (
        center: (0..<dimension).map { _ in random.normal() },
        axes: (0..<intrinsic).map { _ in (0..<dimension).map { _ in random.normal() * 0.3 } }
      )
    }
    func point() -> Vector {
      let cluster = clusters[Int(random.next() % UInt64(clusters.count))]
      var values = cluster.center
      for axis in cluster.axes {
        let weight = random.normal()
        for index in values.indices { values[index] += weight * axis[index] }
      }
      for index in values.indices { values[index] += random.normal() * 0.05 }
      return Vector(values)
    }
    return AnnData(
      base: (0..<count).map { _ in point() }, queries: (0..<queries).map { _ in point() }, truth: nil,
      name: "made-\(count)x\(dimension)-\(seed)")
  }
}

extension Optional {
  func asyncMap<T>(_ body: (Wrapped) async throws -> T) async throws -> T? {
    guard let self else { return nil }
    return try await body(self)
  }
}

extension SplitMix64 {
  /// A standard normal number (Box and Muller, 1958).
  mutating func normal() -> Float {
    let u = max(Double(next() >> 11) / Double(1 << 53), 1e-300)
    let v = Double(next() >> 11) / Double(1 << 53)
    return Float((-2 * log(u)).squareRoot() * cos(2 * .pi * v))
  }
}
