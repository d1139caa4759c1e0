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
    case .equals(let field, let value): return "\(name(field)) = \(text(of: value))"
    case .isIn(let field, let values): return "\(name(field)) in (\(list(values)))"
    case .range(let field, let range): return text(of: range, field: name(field))
    case .exists(let field): return "exists(\(name(field)))"
    case .not(.equals(let field, let value)): return "\(name(field)) != \(text(of: value))"
    case .not(.isIn(let field, let values)): return "\(name(field)) not in (\(list(values)))"
    case .not(let part): return "not \(text(of: part, within: .not))"
    case .and(let parts): return join(parts, "and", .and, isTrueWhenEmpty: true, within: place)
    case .or(let parts): return join(parts, "or", .or, isTrueWhenEmpty: false, within: place)
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
    case .datetime(let micros): "datetime\"\(DatetimeText.format(micros))\""
    case .array(let values): "[\(list(values))]"
    case .map(let fields):
      "{"
        + fields.sorted { $0.key < $1.key }.map { "\(quote($0.key, "`")): \(text(of: $0.value))" }
        .joined(separator: ", ") + "}"
    }
  }

  /// A path as written in filter text: names that are no plain words stand in backticks.
  private static func name(_ field: String) -> String {
    guard let path = try? FieldPath(field) else { return quote(field, "`") }
    return path.names.map { name in
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
