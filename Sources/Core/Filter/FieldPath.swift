// Where a filter looks inside a payload: the names from the outermost map inward.

/// A dotted path into nested maps. In its text form a dot joins names; a dot or a backslash that
/// belongs to a name is written `\.` and `\\`. Valid by construction; equal when all bytes are.
public struct FieldPath: Hashable, Sendable {
  /// At least one name, none of them empty.
  public let names: [String]

  public static let namesMax = Limits.payloadDepthMax + 1
  public static let textBytesMax = Limits.fieldNameBytesMax * Limits.payloadDepthMax

  public init(names: [String]) throws(RoostError) {
    self.names = names
    try validate()
  }

  /// Reads the text form; throws `.invalidArgument` for an empty name or an unknown escape.
  public init(_ text: String) throws(RoostError) {
    var names: [String] = []
    var name = String.UnicodeScalarView()
    var isEscaped = false
    for scalar in text.unicodeScalars {
      if isEscaped {
        guard scalar == "." || scalar == "\\" else {
          throw RoostError(
            .invalidArgument, "'\\\(scalar)' is not an escape in a field path", at: "filter field '\(text)'",
            remedy: "write \\. for a dot inside a name and \\\\ for a backslash")
        }
        name.append(scalar)
        isEscaped = false
      } else if scalar == "\\" {
        isEscaped = true
      } else if scalar == "." {
        names.append(String(name))
        name = String.UnicodeScalarView()
      } else {
        name.append(scalar)
      }
    }
    guard !isEscaped else {
      throw RoostError(
        .invalidArgument, "a field path ends in a lone backslash", at: "filter field '\(text)'")
    }
    names.append(String(name))
    try self.init(names: names)
  }

  public var text: String {
    var text = String.UnicodeScalarView()
    for (index, name) in names.enumerated() {
      if index > 0 { text.append(".") }
      for scalar in name.unicodeScalars {
        if scalar == "." || scalar == "\\" { text.append("\\") }
        text.append(scalar)
      }
    }
    return String(text)
  }

  private func validate() throws(RoostError) {
    guard (1...FieldPath.namesMax).contains(names.count) else {
      throw RoostError(
        .limitExceeded, "a field path has \(names.count) names, it must have 1 to \(FieldPath.namesMax)",
        at: "filter field")
    }
    for name in names {
      guard !name.isEmpty, name.utf8.count <= Limits.fieldNameBytesMax else {
        throw RoostError(
          .invalidArgument, "a field name must have 1 to \(Limits.fieldNameBytesMax) bytes",
          at: "filter field '\(text.prefix(80))'")
      }
    }
    guard text.utf8.count <= FieldPath.textBytesMax else {
      throw RoostError(
        .limitExceeded, "a field path has more than \(FieldPath.textBytesMax) bytes",
        at: "filter field '\(text.prefix(80))'")
    }
  }
}

extension FieldPath {
  public static func == (a: FieldPath, b: FieldPath) -> Bool {
    a.names.count == b.names.count && zip(a.names, b.names).allSatisfy { $0.utf8.elementsEqual($1.utf8) }
  }

  public func hash(into hasher: inout Hasher) {
    for var name in names { name.withUTF8 { hasher.combine(bytes: UnsafeRawBufferPointer($0)) } }
  }
}

extension FieldPath: ExpressibleByStringLiteral {
  /// For paths in source code; text from outside goes through `init(_:)`, which throws.
  public init(stringLiteral text: String) {
    guard let path = try? FieldPath(text) else { preconditionFailure("'\(text)' is no field path") }
    self = path
  }
}
