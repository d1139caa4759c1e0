// Areas on the globe for filters, and what makes one valid. `GeoRegion` tests places against them.

/// A place on the globe in degrees, WGS 84: latitude in -90...90, longitude in -180...180.
public struct GeoPoint: Sendable, Hashable {
  public var latitude: Double
  public var longitude: Double

  public init(latitude: Double, longitude: Double) {
    self.latitude = latitude
    self.longitude = longitude
  }
}

/// A closed area: its border belongs to it.
public enum GeoArea: Sendable, Equatable {
  /// Everything at most so far from the centre, along a great circle of a sphere of `GeoArea.earthRadiusMeters`.
  case circle(center: GeoPoint, radiusMeters: Double)
  /// Everything between two parallels and two meridians. With `southWest.longitude` above
  /// `northEast.longitude` it lies across the antimeridian.
  case box(southWest: GeoPoint, northEast: GeoPoint)
  /// Everything inside a ring of straight lines in latitude and longitude, by the even-odd rule. The last
  /// point is joined to the first. Each line takes the shorter way round the globe.
  case polygon([GeoPoint])

  /// The mean radius R1 of the WGS 84 ellipsoid (IUGG).
  public static let earthRadiusMeters = 6_371_008.8

  /// Refuses what is no area: throws `.invalidArgument` or `.limitExceeded` at `place`.
  func validate(at place: String) throws(RoostError) {
    func refuse(_ message: String, _ remedy: String = "") -> RoostError {
      RoostError(.invalidArgument, message, at: place, remedy: remedy)
    }
    func check(_ point: GeoPoint) throws(RoostError) {
      guard (-90...90).contains(point.latitude), (-180...180).contains(point.longitude) else {
        throw refuse("latitude must be in -90...90 and longitude in -180...180")
      }
    }
    switch self {
    case .circle(let center, let radius):
      try check(center)
      guard radius >= 0, radius.isFinite else { throw refuse("a radius must be a number from 0 on") }
    case .box(let southWest, let northEast):
      try check(southWest)
      try check(northEast)
      guard southWest.latitude <= northEast.latitude else {
        throw refuse("the first corner of a box lies north of the second", "give south-west, then north-east")
      }
    case .polygon(let points):
      guard points.count <= Limits.filterPolygonPointsMax else {
        throw RoostError(
          .limitExceeded,
          "polygon of \(points.count) points, the limit is \(Limits.filterPolygonPointsMax)", at: place)
      }
      guard points.count >= 3 else { throw refuse("a polygon needs at least three points") }
      for point in points { try check(point) }
      try GeoArea.validateRing(points, refuse)
    }
  }

  private static func validateRing(
    _ points: [GeoPoint], _ refuse: (String, String) -> RoostError
  ) throws(RoostError) {
    for (index, point) in points.enumerated() {
      let next = points[(index + 1) % points.count]
      guard abs(next.longitude - point.longitude) != 180 else {
        throw refuse(
          "an edge of the polygon spans 180 degrees of longitude, so it has no shorter way",
          "put a point between its ends")
      }
    }
    let ring = GeoArea.unwrapped(points)
    guard let first = ring.first, let last = ring.last else { return }
    guard abs(GeoArea.step(from: last.longitude, to: first.longitude) + last.longitude - first.longitude) < 1
    else {
      throw refuse("the polygon goes round a pole", "use a circle, or a box that reaches latitude 90 or -90")
    }
    let longitudes = ring.map(\.longitude)
    guard let west = longitudes.min(), let east = longitudes.max(), east - west <= 360 else {
      throw refuse("the polygon overlaps itself around the globe", "cut it into several")
    }
    var doubleArea = 0.0
    for (index, point) in ring.enumerated() {
      let next = ring[(index + 1) % ring.count]
      doubleArea += (point.longitude - west) * next.latitude - (next.longitude - west) * point.latitude
    }
    guard doubleArea != 0 else { throw refuse("the polygon has no area", "") }
  }

  /// The ring with longitudes that run on beyond 180 instead of jumping: whole turns are added, to at
  /// least one point none, so that no digits are lost where nothing is crossed.
  static func unwrapped(_ points: [GeoPoint]) -> [GeoPoint] {
    var turns: [Double] = []
    turns.reserveCapacity(points.count)
    for (index, point) in points.enumerated() {
      guard index > 0 else {
        turns.append(0)
        continue
      }
      let before = points[index - 1].longitude + 360 * turns[index - 1]
      turns.append(((before - point.longitude) / 360).rounded())
    }
    let fewest = turns.min() ?? 0
    return zip(points, turns).map { point, turns in
      GeoPoint(latitude: point.latitude, longitude: point.longitude + 360 * (turns - fewest))
    }
  }

  /// The way east from one longitude to another, in -180...180.
  private static func step(from: Double, to: Double) -> Double {
    let way = to - from
    return way - 360 * (way / 360).rounded()
  }
}
