// The meaning of an area, by other formulas than the engine's: unit vectors on the sphere for circles,
// winding angles in a shifted plane for polygons.

import Core
import Foundation

enum ReferenceArea {
  /// Places nearer to a border than this, in degrees, may be judged either way.
  static let slack = 1e-7

  static func contains(_ area: GeoArea, _ place: GeoPoint) -> Bool {
    switch area {
    case .circle(let center, let meters): angle(center, place) * GeoArea.earthRadiusMeters <= meters
    case .box(let southWest, let northEast):
      southWest.latitude <= place.latitude && place.latitude <= northEast.latitude
        && (abs(place.latitude) == 90
          || east(southWest.longitude, place.longitude) <= width(southWest, northEast))
    case .polygon(let points):
      winds(points, place) || points.contains { $0.latitude == place.latitude && abs(place.latitude) == 90 }
    }
  }

  /// Whether the place lies so near the border that two formulas may differ.
  static func isOnBorder(_ area: GeoArea, _ place: GeoPoint) -> Bool {
    switch area {
    case .circle(let center, let meters):
      return abs(angle(center, place) - meters / GeoArea.earthRadiusMeters) < 1e-9
    case .box: return false
    case .polygon(let points):
      let ring = unrolled(points)
      return ring.indices.contains { index in
        distance(ring[index], ring[(index + 1) % ring.count], place) < slack
      }
    }
  }

  static func angle(_ a: GeoPoint, _ b: GeoPoint) -> Double {
    func vector(_ point: GeoPoint) -> SIMD3<Double> {
      let (latitude, longitude) = (point.latitude * .pi / 180, point.longitude * .pi / 180)
      return SIMD3(cos(latitude) * cos(longitude), cos(latitude) * sin(longitude), sin(latitude))
    }
    let (x, y) = (vector(a), vector(b))
    let difference = x - y
    return 2 * asin(min(1, ((difference * difference).sum()).squareRoot() / 2))
  }

  /// Degrees to go east, in 0..<360.
  private static func east(_ from: Double, _ to: Double) -> Double {
    let way = (to - from).truncatingRemainder(dividingBy: 360)
    return way < 0 ? way + 360 : way
  }

  private static func width(_ southWest: GeoPoint, _ northEast: GeoPoint) -> Double {
    let (west, east) = (southWest.longitude, northEast.longitude)
    return west <= east ? east - west : east - west + 360
  }

  /// The ring with each point taken on the turn of the globe that is nearest to the one before it.
  private static func unrolled(_ points: [GeoPoint]) -> [GeoPoint] {
    var ring = points
    for index in 1..<ring.count {
      let before = ring[index - 1].longitude
      while ring[index].longitude - before > 180 { ring[index].longitude -= 360 }
      while before - ring[index].longitude > 180 { ring[index].longitude += 360 }
    }
    return ring
  }

  /// The angles under which the edges are seen add up to a number of turns, which is odd inside.
  private static func winds(_ points: [GeoPoint], _ place: GeoPoint) -> Bool {
    let ring = unrolled(points)
    return [-360.0, 0, 360].contains { turn in
      var sum = 0.0
      for index in ring.indices {
        let (a, b) = (ring[index], ring[(index + 1) % ring.count])
        let (ax, ay) = (a.longitude - place.longitude - turn, a.latitude - place.latitude)
        let (bx, by) = (b.longitude - place.longitude - turn, b.latitude - place.latitude)
        sum += atan2(ax * by - ay * bx, ax * bx + ay * by)
      }
      return Int((sum / (2 * .pi)).rounded()) % 2 != 0
    }
  }

  private static func distance(_ a: GeoPoint, _ b: GeoPoint, _ place: GeoPoint) -> Double {
    [-720.0, -360, 0, 360, 720].map { turn in
      let (ax, ay) = (a.longitude + turn - place.longitude, a.latitude - place.latitude)
      let (bx, by) = (b.longitude + turn - place.longitude, b.latitude - place.latitude)
      let (dx, dy) = (bx - ax, by - ay)
      let length = dx * dx + dy * dy
      let share = length == 0 ? 0 : max(0, min(1, -(ax * dx + ay * dy) / length))
      return hypot(ax + share * dx, ay + share * dy)
    }.min() ?? .infinity
  }
}
