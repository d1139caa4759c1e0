// Brings measurements to one unit, so that filters can compare them: {"length": 12, "length_unit": "in"} gets
// "length_m": 0.3048. A unit that it does not know refuses the record. Parameters: {"fields": ["length", "weight"]};
// lengths, weights and temperatures in the usual units.

struct Units: Transform {
  private let measured: Elements

  init(parameters: Fields) throws(GuestError) {
    guard case .array(let elements)? = parameters.value("fields") else {
      throw GuestError("'fields' must be an array of names")
    }
    measured = elements
  }

  mutating func transform(_ record: Fields, _ changes: inout Changes) throws(GuestError) {
    for element in measured {
      guard case .string(let name) = element, let number = record.number(name),
        let unit = record.string(joined(name, "_unit"))
      else { continue }
      guard let (factor, offset, base) = Units.conversion(unit) else {
        throw GuestError("it has an unknown unit")
      }
      changes.set(joined(name, base), .double((number + offset) * factor))
    }
  }

  /// value in the base unit = (value + offset) × factor
  private static func conversion(_ unit: Bytes) -> (factor: Double, offset: Double, base: StaticString)? {
    if unit.equals("m") { return (1, 0, "_m") }
    if unit.equals("cm") { return (0.01, 0, "_m") }
    if unit.equals("mm") { return (0.001, 0, "_m") }
    if unit.equals("km") { return (1_000, 0, "_m") }
    if unit.equals("in") { return (0.0254, 0, "_m") }
    if unit.equals("ft") { return (0.3048, 0, "_m") }
    if unit.equals("kg") { return (1, 0, "_kg") }
    if unit.equals("g") { return (0.001, 0, "_kg") }
    if unit.equals("lb") { return (0.453_592_37, 0, "_kg") }
    if unit.equals("K") { return (1, 0, "_K") }
    if unit.equals("C") { return (1, 273.15, "_K") }
    if unit.equals("F") { return (5.0 / 9.0, 459.67, "_K") }
    return nil
  }

  private var joinedName = UnsafeMutablePointer<UInt8>.allocate(capacity: 160)

  /// A name with an ending; valid until the next call. Names have at most 128 bytes.
  private func joined(_ name: Bytes, _ ending: StaticString) -> Bytes {
    let ending = Bytes(ending)
    let count = name.count <= 128 ? name.count : 128
    for index in 0..<count { joinedName[index] = name[index] }
    for index in 0..<ending.count { joinedName[count + index] = ending[index] }
    return Bytes(start: joinedName, count: count + ending.count)
  }
}

typealias ModuleTransform = Units
