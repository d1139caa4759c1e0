// All records within a radius.

import Core

extension SearchRun {
  private static let firstCount = 64
  private static let growth = 4

  /// The rows whose distance is at most `radius`, nearest first, at most `limit`. Asks for more and more of
  /// the nearest until one of them lies outside the radius: then the walk has been where the radius ends.
  mutating func within(_ radius: Float, limit: Int) async throws(RoostError) -> [Found] {
    guard case .vector(let vector) = target else {
      preconditionFailure("validation lets no best score come with a radius")
    }
    var count = exact ? limit : min(limit, Self.firstCount)
    while true {
      var found = try await nearest(count, to: vector, also: [], effortMin: 2 * count)
      if found.count == count, count < limit, let last = found.last, last.distance <= radius {
        count = min(limit, count * Self.growth)
        try await pause()
        continue
      }
      found.removeLast(found.count - (found.firstIndex { !($0.distance <= radius) } ?? found.count))
      return found
    }
  }
}
