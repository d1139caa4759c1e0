// Which candidates become neighbours (DiskANN, NeurIPS 2019, algorithm 2), and exact duplicates.

import Core
import Glibc

/// Chooses neighbours for a node so that each one covers a direction of its own.
struct RobustPrune: Sendable {
  /// Identical vectors that one list keeps. They do not occlude anything and nothing occludes them, so
  /// without a bound they would fill the list, and without a share of it they would lose each other.
  static let duplicatesMax = 8
  private static let chunk = 8

  let distance: LinkDistance
  let alpha: Float

  /// Chooses up to `limit` rows from `candidates` (ascending, without repeats or `row` itself) into `chosen`.
  /// - Returns: how many were chosen; the first is always the nearest candidate.
  func choose(
    for row: UInt32, from candidates: UnsafePointer<CandidateKey>, _ count: Int, limit: Int,
    into chosen: UnsafeMutablePointer<UInt32>, scratch: GraphScratch
  ) -> Int {
    scratch.chosenPointers.reserve(limit)
    scratch.pruneDistances.reserve(Self.chunk)
    let pointers = scratch.chosenPointers.base
    let distances = scratch.pruneDistances.base
    var picked = 0
    var duplicates = 0
    for index in 0..<count {
      if picked == limit { break }
      let candidate = candidates[index]
      if distance.isDuplicate(candidate, of: row) {
        guard duplicates < Self.duplicatesMax else { continue }
        duplicates += 1
      } else if isOccluded(candidate, by: chosen, pointers, picked, distances) {
        continue
      }
      chosen[picked] = candidate.row
      pointers[picked] = distance.vectors.pointer(Int(candidate.row))
      picked += 1
    }
    return picked
  }

  /// Whether a chosen row is nearer to the candidate than the node is, by a factor of `alpha`.
  @inline(__always)
  private func isOccluded(
    _ candidate: CandidateKey, by chosen: UnsafeMutablePointer<UInt32>,
    _ pointers: UnsafeMutablePointer<UnsafeRawPointer>, _ picked: Int,
    _ distances: UnsafeMutablePointer<Float>
  ) -> Bool {
    let threshold = candidate.distance / alpha
    var start = 0
    while start < picked {
      let size = min(Self.chunk, picked - start)
      distance.batch(from: candidate.row, to: chosen + start, pointers + start, size, into: distances)
      for index in 0..<size where distances[index] <= threshold { return true }
      start += size
    }
    return false
  }
}
