import Core
import Testing

@Suite struct GeoRegionTests {
  private func point(_ latitude: Double, _ longitude: Double) -> GeoPoint {
    GeoPoint(latitude: latitude, longitude: longitude)
  }

  private func contains(_ area: GeoArea, _ latitude: Double, _ longitude: Double) throws -> Bool {
    try Filter.field("x", .within(area)).validate()
    return GeoRegion(area).contains(latitude: latitude, longitude: longitude)
  }

  @Test func agreesWithTheReference() {
    let seed = UInt64.random(in: 0..<1_000_000)
    var generator = FilterGenerator(seed: seed)
    var inside = [0, 0, 0]
    for _ in 0..<1_000 {
      let area = generator.area()
      let region = GeoRegion(area)
      for _ in 0..<10 {
        let place = generator.place()
        guard !ReferenceArea.isOnBorder(area, place) else { continue }
        let verdict = region.contains(latitude: place.latitude, longitude: place.longitude)
        #expect(verdict == ReferenceArea.contains(area, place), "seed \(seed): \(area) \(place)")
        guard verdict else { continue }
        switch area {
        case .circle: inside[0] += 1
        case .box: inside[1] += 1
        case .polygon: inside[2] += 1
        }
        let bounds = region.bounds
        #expect(bounds.south <= place.latitude && place.latitude <= bounds.north)
        #expect(
          abs(place.latitude) == 90
            || [-360, 0, 360].contains { (bounds.west...bounds.east).contains(place.longitude + $0) },
          "seed \(seed): \(area) \(place) \(bounds)")
      }
    }
    #expect(inside.allSatisfy { $0 > 100 }, "seed \(seed): \(inside)")
  }

  @Test func knownDistances() throws {
    // Vienna to Bratislava: 55 km. A quarter of a meridian of the sphere: 10,007,557 m.
    let vienna = point(48.2082, 16.3738)
    #expect(try contains(.circle(center: vienna, radiusMeters: 56_000), 48.1486, 17.1077))
    #expect(try !contains(.circle(center: vienna, radiusMeters: 54_000), 48.1486, 17.1077))
    #expect(try contains(.circle(center: point(0, 0), radiusMeters: 10_007_558), 90, 123))
    #expect(try !contains(.circle(center: point(0, 0), radiusMeters: 10_007_556), 90, 123))
    #expect(try contains(.circle(center: point(0, 179), radiusMeters: 250_000), 0, -179))
    #expect(try !contains(.circle(center: point(0, 179), radiusMeters: 200_000), 0, -179))
    #expect(try contains(.circle(center: point(89, 0), radiusMeters: 230_000), 89, 180))
    #expect(try contains(.circle(center: point(5, 5), radiusMeters: 0), 5, 5))
    #expect(try contains(.circle(center: point(5, 5), radiusMeters: 21_000_000), -5, -175))
    #expect(try contains(.circle(center: point(90, 0), radiusMeters: 0), 90, -77))
  }

  @Test func bordersBelongToTheArea() throws {
    let box = GeoArea.box(southWest: point(10, 20), northEast: point(30, 40))
    for (latitude, longitude) in [(10.0, 20.0), (10, 40), (30, 20), (30, 40), (10, 33), (20, 20)] {
      #expect(try contains(box, latitude, longitude))
    }
    #expect(try !contains(box, 10.nextDown, 30))
    #expect(try !contains(box, 20, 40.0.nextUp))
    let triangle = GeoArea.polygon([point(0, 0), point(0, 4), point(4, 0)])
    for (latitude, longitude) in [(0.0, 0.0), (0, 4), (4, 0), (0, 2), (2, 0), (2, 2), (1, 3), (1, 1)] {
      #expect(try contains(triangle, latitude, longitude), "\(latitude),\(longitude)")
    }
    #expect(try !contains(triangle, 2.0.nextUp, 2))
    #expect(try !contains(triangle, -Double.leastNonzeroMagnitude, 2))
    // Closing the ring by hand changes nothing.
    let closed = GeoArea.polygon([point(0, 0), point(0, 4), point(4, 0), point(0, 0)])
    #expect(try contains(closed, 1, 1) && !contains(closed, 3, 3))
  }

  @Test func antimeridianAndPoles() throws {
    let box = GeoArea.box(southWest: point(-10, 170), northEast: point(10, -170))
    for longitude in [170.0, 180, -180, -170, 175, -175] { #expect(try contains(box, 0, longitude)) }
    for longitude in [169.9, -169.9, 0] { #expect(try !contains(box, 0, longitude)) }
    let rim = GeoArea.box(southWest: point(-10, 170), northEast: point(10, 180))
    #expect(try contains(rim, 0, -180) && contains(rim, 0, 180) && !contains(rim, 0, -179))
    let west = GeoArea.box(southWest: point(-10, -180), northEast: point(10, -170))
    #expect(try contains(west, 0, 180) && !contains(west, 0, 179))
    let world = GeoArea.box(southWest: point(-90, -180), northEast: point(90, 180))
    #expect(try contains(world, 90, 5) && contains(world, -90, 5) && contains(world, 0, 180))
    let cap = GeoArea.box(southWest: point(80, 10), northEast: point(90, 20))
    #expect(try contains(cap, 90, -100) && !contains(cap, 89, -100))
    let ring = GeoArea.polygon([point(-10, 170.3), point(-10, -170.3), point(10, -170.3), point(10, 170.3)])
    for longitude in [170.3, 180, -180, -170.3, 171, -171] { #expect(try contains(ring, 0, longitude)) }
    for longitude in [170.2, -170.2, 0] { #expect(try !contains(ring, 0, longitude)) }
    // Starting on the other side of the antimeridian changes nothing, not even on the border.
    let other = GeoArea.polygon([point(10, -170.3), point(10, 170.3), point(-10, 170.3), point(-10, -170.3)])
    for longitude in [170.3, 180, -180, -170.3, 171, -171] { #expect(try contains(other, 0, longitude)) }
  }

  @Test func refusesWhatIsNoArea() {
    let bad: [GeoArea] = [
      .circle(center: point(91, 0), radiusMeters: 1), .circle(center: point(0, .nan), radiusMeters: 1),
      .circle(center: point(0, 0), radiusMeters: -1), .circle(center: point(0, 0), radiusMeters: .infinity),
      .circle(center: point(0, 0), radiusMeters: .nan),
      .box(southWest: point(10, 0), northEast: point(5, 10)),
      .box(southWest: point(10, 0), northEast: point(15, 181)),
      .polygon([point(0, 0), point(1, 1)]), .polygon([point(0, 0), point(1, 1), point(2, 2)]),
      .polygon([point(0, 0), point(0, 180), point(5, 90)]),
      .polygon([point(80, 0), point(80, 120), point(80, -120)]),
      .polygon([GeoPoint](repeating: point(1, 2), count: Limits.filterPolygonPointsMax + 1)),
    ]
    for area in bad {
      #expect(throws: RoostError.self, "\(area)") { try Filter.field("x", .within(area)).validate() }
    }
  }
}
