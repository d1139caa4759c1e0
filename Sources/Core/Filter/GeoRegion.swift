// An area made ready for many tests of places.

import Glibc

/// Tells which places lie in a `GeoArea`. A place at a pole has every longitude; the meridians -180 and
/// 180 are one.
public struct GeoRegion: Sendable {
  /// The smallest box of parallels and meridians around the area. `west` is in -180...180 and `east` may
  /// exceed 180: the box goes east from `west` to `east`, at most once round.
  public struct Bounds: Sendable, Equatable {
    public var south: Double
    public var north: Double
    public var west: Double
    public var east: Double

    @inline(__always)
    func contains(longitude: Double) -> Bool {
      west <= longitude && longitude <= east || longitude + 360 <= east || longitude - 360 >= west
    }
  }

  public let bounds: Bounds
  private let shape: Shape
  /// Of a polygon: `[count × 2]`, latitude and unwrapped longitude of each point.
  private let ring: [Double]

  private enum Shape {
    case circle(latitude: Double, longitude: Double, cosLatitude: Double, limit: Double)
    case box(west: Double, east: Double)
    case polygon
    case everything
  }

  /// The area must be valid.
  public init(_ area: GeoArea) {
    switch area {
    case .circle(let center, let radius): self = GeoRegion.circle(center, radius)
    case .box(let southWest, let northEast):
      let (west, east) = (southWest.longitude, northEast.longitude)
      self.init(
        bounds: Bounds(
          south: southWest.latitude, north: northEast.latitude, west: west,
          east: west <= east ? east : east + 360), shape: .box(west: west, east: east))
    case .polygon(let points): self = GeoRegion.polygon(points)
    }
  }

  private init(bounds: Bounds, shape: Shape, ring: [Double] = []) {
    self.bounds = bounds
    self.shape = shape
    self.ring = ring
  }

  private static func polygon(_ points: [GeoPoint]) -> GeoRegion {
    var bounds = Bounds(south: 90, north: -90, west: .infinity, east: -.infinity)
    var ring: [Double] = []
    ring.reserveCapacity(2 * points.count)
    for point in GeoArea.unwrapped(points) {
      bounds.south = min(bounds.south, point.latitude)
      bounds.north = max(bounds.north, point.latitude)
      bounds.west = min(bounds.west, point.longitude)
      bounds.east = max(bounds.east, point.longitude)
      ring += [point.latitude, point.longitude]
    }
    return GeoRegion(bounds: bounds, shape: .polygon, ring: ring)
  }

  private static func circle(_ center: GeoPoint, _ radiusMeters: Double) -> GeoRegion {
    let angle = radiusMeters / GeoArea.earthRadiusMeters
    guard angle < Double.pi else {
      return GeoRegion(
        bounds: Bounds(south: -90, north: 90, west: -180, east: 180), shape: .everything)
    }
    let latitude = center.latitude * .pi / 180
    let half = sin(angle / 2)
    let shape = Shape.circle(
      latitude: latitude, longitude: center.longitude * .pi / 180, cosLatitude: cosine(center.latitude),
      limit: half * half)
    // A little wider than the circle, so that rounding never cuts a place off its rim.
    let reach = angle * 180 / .pi * (1 + 1e-12) + 1e-9
    var bounds = Bounds(
      south: max(-90, center.latitude - reach), north: min(90, center.latitude + reach), west: -180, east: 180
    )
    // Of a circle that holds no pole, the meridians touch where sin(Δλ) = sin(angle) / cos(latitude).
    if bounds.south > -90, bounds.north < 90 {
      let spread = asin(min(1, sin(angle) / cos(latitude))) * 180 / .pi * (1 + 1e-12) + 1e-9
      bounds.west = center.longitude - spread
      bounds.east = center.longitude + spread
      if bounds.west < -180 {
        bounds.west += 360
        bounds.east += 360
      }
    }
    return GeoRegion(bounds: bounds, shape: shape)
  }

  public func contains(latitude: Double, longitude: Double) -> Bool {
    guard bounds.south <= latitude, latitude <= bounds.north else { return false }
    switch shape {
    case .everything: return true
    case .circle(let centerLatitude, let centerLongitude, let cosCenter, let limit):
      guard bounds.contains(longitude: longitude) || abs(latitude) == 90 else { return false }
      return GeoRegion.haversine(latitude, longitude, centerLatitude, centerLongitude, cosCenter) <= limit
    case .box(let west, let east):
      if abs(latitude) == 90 { return true }
      if GeoRegion.isBetween(longitude, west, east) { return true }
      return abs(longitude) == 180 && GeoRegion.isBetween(-longitude, west, east)
    case .polygon:
      if abs(latitude) == 90 { return true }
      if bounds.west <= longitude, longitude <= bounds.east, isInRing(latitude, longitude) { return true }
      if longitude + 360 <= bounds.east, isInRing(latitude, longitude + 360) { return true }
      return longitude - 360 >= bounds.west && isInRing(latitude, longitude - 360)
    }
  }

  /// sin²(d / 2) of the angle d between two places; the centre in radians.
  @inline(__always)
  private static func haversine(
    _ latitude: Double, _ longitude: Double, _ centerLatitude: Double, _ centerLongitude: Double,
    _ cosCenter: Double
  ) -> Double {
    let radians = latitude * .pi / 180
    let north = sin((radians - centerLatitude) / 2)
    let east = sin((longitude * .pi / 180 - centerLongitude) / 2)
    return north * north + cosCenter * cosine(latitude) * east * east
  }

  /// Of degrees; exactly 0 at the poles, so that all their longitudes are one point.
  @inline(__always)
  private static func cosine(_ latitude: Double) -> Double {
    abs(latitude) == 90 ? 0 : cos(latitude * .pi / 180)
  }

  @inline(__always)
  private static func isBetween(_ longitude: Double, _ west: Double, _ east: Double) -> Bool {
    west <= east ? west <= longitude && longitude <= east : longitude >= west || longitude <= east
  }

  /// Even-odd rule with a ray to the east; what lies on an edge is inside.
  private func isInRing(_ latitude: Double, _ longitude: Double) -> Bool {
    ring.withUnsafeBufferPointer { ring in
      var isInside = false
      var (y, x) = (ring[ring.count - 2], ring[ring.count - 1])
      for index in stride(from: 0, to: ring.count, by: 2) {
        let (nextY, nextX) = (ring[index], ring[index + 1])
        // Above 0 when the place lies to the left of the edge.
        let side = (nextX - x) * (latitude - y) - (nextY - y) * (longitude - x)
        if side == 0, min(x, nextX) <= longitude, longitude <= max(x, nextX), min(y, nextY) <= latitude,
          latitude <= max(y, nextY)
        {
          return true
        }
        if (y > latitude) != (nextY > latitude), (nextY > y) == (side > 0) { isInside.toggle() }
        (y, x) = (nextY, nextX)
      }
      return isInside
    }
  }
}
