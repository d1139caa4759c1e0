// Values and payloads as JSON (`spec/payload.md`, "Values"): what has no JSON type of its own is an
// object with one name that begins with `$`.

extension Value {
  public var json: JSON {
    switch self {
    case .null: .null
    case .bool(let flag): .bool(flag)
    case .int(let number): .number(String(number))
    case .double(let number):
      number.isFinite ? JSON(number) : Value.form("$double", .string(number < 0 ? "-infinity" : "infinity"))
    case .string(let text): .string(text)
    case .bytes(let bytes): Value.form("$bytes", .string(Base64.encode(bytes)))
    case .geo(let latitude, let longitude): Value.form("$geo", .array([JSON(latitude), JSON(longitude)]))
    case .datetime(let micros): Value.form("$datetime", .string(DatetimeText.format(micros)))
    case .array(let values): .array(values.map(\.json))
    case .map(let fields):
      fields.count == 1 && fields.keys.allSatisfy { $0.hasPrefix("$") }
        ? Value.form("$map", Value.object(fields)) : Value.object(fields)
    }
  }

  private static func form(_ name: String, _ value: JSON) -> JSON { .object([JSON.Member(name, value)]) }

  fileprivate static func object(_ fields: [String: Value]) -> JSON {
    let names = fields.keys.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    return .object(names.compactMap { name in fields[name].map { JSON.Member(name, $0.json) } })
  }

  /// Throws `.invalidArgument` for a number that does not fit or an unknown `$` form; `place` names the
  /// value in the error.
  public init(json: JSON, at place: String) throws(RoostError) {
    switch json {
    case .null: self = .null
    case .bool(let flag): self = .bool(flag)
    case .number(let digits): self = try Value.number(digits, at: place)
    case .string(let text): self = .string(text)
    case .array(let values):
      var elements: [Value] = []
      for (index, value) in values.enumerated() {
        elements.append(try Value(json: value, at: "\(place)[\(index)]"))
      }
      self = .array(elements)
    case .object(let members):
      if members.count == 1, members[0].name.hasPrefix("$") {
        self = try Value.special(members[0], at: place)
      } else {
        self = .map(try Value.fields(members, at: place))
      }
    }
  }

  private static func number(_ digits: String, at place: String) throws(RoostError) -> Value {
    if digits.utf8.allSatisfy({ $0 == UInt8(ascii: "-") || (0x30...0x39).contains($0) }) {
      guard let number = Int64(digits) else {
        throw RoostError(
          .invalidArgument, "\(digits) does not fit into 64 bits", at: place,
          remedy: "write it as \(digits).0")
      }
      return .int(number)
    }
    guard let number = Double(digits), number.isFinite else {
      throw RoostError(.invalidArgument, "\(digits) is too large for a number", at: place)
    }
    return .double(number)
  }

  private static func special(_ member: JSON.Member, at place: String) throws(RoostError) -> Value {
    switch (member.name, member.value) {
    case ("$datetime", .string(let text)):
      if let micros = DatetimeText.parse(text) { return .datetime(micros) }
    case ("$bytes", .string(let text)):
      if let bytes = Base64.decode(text) { return .bytes(bytes) }
    case ("$double", .string("infinity")): return .double(.infinity)
    case ("$double", .string("-infinity")): return .double(-.infinity)
    case ("$geo", .array(let parts)):
      if parts.count == 2, case .number(let latitude) = parts[0], case .number(let longitude) = parts[1],
        let latitude = Double(latitude), let longitude = Double(longitude)
      {
        return .geo(latitude: latitude, longitude: longitude)
      }
    case ("$map", .object(let members)): return .map(try fields(members, at: place))
    default: break
    }
    throw RoostError(
      .invalidArgument, "'\(member.name)' with this content is no special form", at: place,
      remedy: "the forms are {\"$datetime\": \"2026-01-02T03:04:05Z\"}, {\"$geo\": [lat, lon]}, "
        + "{\"$bytes\": \"base64\"}, {\"$double\": \"infinity\"} and {\"$map\": {…}}")
  }

  fileprivate static func fields(_ members: [JSON.Member], at place: String) throws(RoostError) -> [String:
    Value]
  {
    var fields: [String: Value] = [:]
    for member in members {
      fields[member.name] = try Value(json: member.value, at: "\(place).\(member.name)")
    }
    return fields
  }
}

extension Payload {
  /// Fields in the order of their encoding.
  public var json: JSON { Value.object(fields) }

  /// Throws `.invalidArgument`; see `Value.init(json:at:)`.
  public init(json: JSON, at place: String = "payload") throws(RoostError) {
    guard case .object(let members) = json else {
      throw RoostError(.invalidArgument, "expected an object, found \(json.kind)", at: place)
    }
    self.init(try Value.fields(members, at: place))
  }
}
