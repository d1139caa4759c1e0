// Writes a filter in the language that `Filter(text:)` reads.

extension Filter {
  /// Filter text. Reading it gives this filter back, except that `and` and `or` of a single part come
  /// back as that part. A filter that `validate()` refuses may have a text that cannot be read.
  public var text: String { FilterText.text(of: self, within: .or) }
}

enum FilterText {
  /// How tightly the place binds where a filter is written.
  enum Binding: Int {
    case or, and, not
  }

  static func text(of filter: Filter, within place: Binding) -> String {
    switch filter {
    case .field(let path, let predicate): return text(of: predicate, path: name(path))
    case .not(.field(let path, let predicate)):
      return negatedText(of: predicate, path: name(path))
        ?? "not \(text(of: .field(path, predicate), within: .not))"
    case .nested(let path, let part): return "\(name(path))[\(text(of: part, within: .or))]"
    case .hasID(let ids): return "has-id(\(ids.map(text(of:)).joined(separator: ", ")))"
    case .not(let part): return "not \(text(of: part, within: .not))"
    case .and(let parts): return join(parts, "and", .and, isTrueWhenEmpty: true, within: place)
    case .or(let parts): return join(parts, "or", .or, isTrueWhenEmpty: false, within: place)
    }
  }

  private static func text(of predicate: FieldPredicate, path: String) -> String {
    switch predicate {
    case .exists: "exists(\(path))"
    case .hasValue: "\(path) is not empty"
    case .equals(let value): "\(path) = \(text(of: value))"
    case .isIn(let values): "\(path) in (\(list(values)))"
    case .range(let range): text(of: range, field: path)
    case .text(let match): "\(path) \(text(of: match))"
    case .within(let area): "\(path) within \(text(of: area))"
    }
  }

  /// The negation as people write it; nil when it is written with `not` in front.
  private static func negatedText(of predicate: FieldPredicate, path: String) -> String? {
    switch predicate {
    case .exists, .range: nil
    case .hasValue: "\(path) is empty"
    case .equals(let value): "\(path) != \(text(of: value))"
    case .isIn(let values): "\(path) not in (\(list(values)))"
    case .text(let match): "\(path) not \(text(of: match))"
    case .within(let area): "\(path) not within \(text(of: area))"
    }
  }

  private static func text(of match: TextMatch) -> String {
    "matches \(match.mode == .all ? "" : "\(match.mode) ")\(quote(match.text, "\""))"
  }

  private static func text(of area: GeoArea) -> String {
    switch area {
    case .circle(let center, let meters): "\(meters) m of \(text(of: center))"
    case .box(let southWest, let northEast): "box(\(text(of: southWest)), \(text(of: northEast)))"
    case .polygon(let points): "polygon(\(points.map(text(of:)).joined(separator: ", ")))"
    }
  }

  private static func text(of point: GeoPoint) -> String {
    text(of: .geo(latitude: point.latitude, longitude: point.longitude))
  }

  private static func text(of id: RecordID) -> String {
    switch id {
    case .number(let number): "\(number)"
    case .key(let key): quote(key, "\"")
    }
  }

  private static func join(
    _ parts: [Filter], _ word: String, _ binding: Binding, isTrueWhenEmpty: Bool, within place: Binding
  ) -> String {
    switch parts.count {
    case 0: return "\(isTrueWhenEmpty)"
    case 1: return text(of: parts[0], within: place)
    default:
      // A part that is itself the same connective keeps its parentheses, so the tree comes back as it was.
      let inner = Binding(rawValue: binding.rawValue + 1) ?? .not
      let joined = parts.map { text(of: $0, within: inner) }.joined(separator: " \(word) ")
      return binding.rawValue < place.rawValue ? "(\(joined))" : joined
    }
  }

  private static func text(of range: FilterRange, field: String) -> String {
    switch (range.lower, range.upper) {
    case (.inclusive(let lower), .inclusive(let upper)): "\(field) in \(text(of: lower))..\(text(of: upper))"
    case (.inclusive(let lower), .exclusive(let upper)): "\(text(of: lower)) <= \(field) < \(text(of: upper))"
    case (.exclusive(let lower), .inclusive(let upper)): "\(text(of: lower)) < \(field) <= \(text(of: upper))"
    case (.exclusive(let lower), .exclusive(let upper)): "\(text(of: lower)) < \(field) < \(text(of: upper))"
    case (.inclusive(let lower), .unbounded): "\(field) >= \(text(of: lower))"
    case (.exclusive(let lower), .unbounded): "\(field) > \(text(of: lower))"
    case (.unbounded, .inclusive(let upper)): "\(field) <= \(text(of: upper))"
    case (.unbounded, .exclusive(let upper)): "\(field) < \(text(of: upper))"
    case (.unbounded, .unbounded): "\(field) in .."
    }
  }

  private static func list(_ values: [Value]) -> String {
    values.map(text(of:)).joined(separator: ", ")
  }

  static func text(of value: Value) -> String {
    switch value {
    case .null: "null"
    case .bool(let flag): "\(flag)"
    case .int(let number): "\(number)"
    case .double(let number):
      if number.isInfinite { number < 0 ? "-infinity" : "infinity" } else { "\(number)" }
    case .string(let text): quote(text, "\"")
    case .bytes(let bytes): "bytes\"\(bytes.hex)\""
    case .geo(let latitude, let longitude): "geo\"\(latitude),\(longitude)\""
    case .datetime(let micros): text(ofDatetime: micros)
    case .array(let values): "[\(list(values))]"
    case .map(let fields):
      "{"
        + fields.sorted { $0.key < $1.key }.map { "\(quote($0.key, "`")): \(text(of: $0.value))" }
        .joined(separator: ", ") + "}"
    }
  }

  private static func text(ofDatetime micros: Int64) -> String {
    let text = DatetimeText.format(micros)
    // Beyond RFC 3339 it is `@` and the microseconds, which stand in quotes.
    return text.hasPrefix("@") ? "datetime\"\(text)\"" : text
  }

  /// A path as written in filter text: names that are no plain words stand in backticks.
  private static func name(_ path: FieldPath) -> String {
    path.names.map { name in
      let isPlain =
        FilterLexer.isWordStart(name.utf8.first ?? 0) && name.utf8.allSatisfy(FilterLexer.isWordPart)
        && !FilterLexer.reserved.contains(name.lowercased())
      return isPlain ? name : quote(name, "`")
    }.joined(separator: ".")
  }

  private static func quote(_ text: String, _ mark: Unicode.Scalar) -> String {
    var quoted = String.UnicodeScalarView()
    quoted.append(mark)
    for scalar in text.unicodeScalars {
      switch scalar {
      case mark, "\\":
        quoted.append("\\")
        quoted.append(scalar)
      case "\n": quoted.append(contentsOf: "\\n".unicodeScalars)
      case "\r": quoted.append(contentsOf: "\\r".unicodeScalars)
      case "\t": quoted.append(contentsOf: "\\t".unicodeScalars)
      case _ where scalar.value < 0x20 || scalar.value == 0x7f:
        quoted.append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".unicodeScalars)
      default: quoted.append(scalar)
      }
    }
    quoted.append(mark)
    return String(quoted)
  }
}
