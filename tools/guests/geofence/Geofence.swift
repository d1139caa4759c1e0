// Passes records whose place lies inside a polygon. Parameters: {"field": "place", "area": [{"$geo": [48.1, 16.2]}, …]};
// the area may also be published with the module, as the key that "zone" names: {"field": "place", "zone": "old-town"}.
// For areas that do not cross the 180th meridian.

struct Geofence: Filter {
  private struct Corner {
    var latitude: Double
    var longitude: Double
  }

  private let field: Bytes
  private var corners: [Corner] = []

  init(parameters: Fields) throws(GuestError) {
    field = parameters.string("field") ?? Bytes("place")
    var area = parameters.value("area")
    if let zone = parameters.string("zone") {
      area = state(zone)
      guard area != nil else { throw GuestError("there is no such zone") }
    }
    guard case .array(let elements)? = area else { throw GuestError("'area' must be an array of places") }
    for element in elements {
      guard case .geo(let latitude, let longitude) = element else {
        throw GuestError("'area' must be an array of places")
      }
      corners.append(Corner(latitude: latitude, longitude: longitude))
    }
    guard corners.count >= 3 else { throw GuestError("an area has at least three corners") }
  }

  var fields: [Bytes] { [field] }

  func passes(_ candidate: Candidate) -> Bool {
    guard case .geo(let latitude, let longitude)? = candidate.value(field) else { return false }
    // A ray to the east crosses the border an odd number of times from inside (Jordan's theorem).
    var isInside = false
    var previous = corners[corners.count - 1]
    for corner in corners {
      if (corner.latitude > latitude) != (previous.latitude > latitude) {
        let share = (latitude - corner.latitude) / (previous.latitude - corner.latitude)
        let crossing = corner.longitude + share * (previous.longitude - corner.longitude)
        if longitude < crossing { isInside.toggle() }
      }
      previous = corner
    }
    return isInside
  }
}

typealias ModuleFilter = Geofence
