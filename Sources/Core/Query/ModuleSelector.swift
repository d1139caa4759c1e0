// Which version of a published module is meant: what queries, schemas and the operator write.

/// `name`, `name@current`, `name@canary`, `name@3` or `name@` and at least 8 digits of the module's SHA-256.
public struct ModuleSelector: Hashable, Sendable, CustomStringConvertible {
  public enum Choice: Hashable, Sendable {
    /// The canary for its share of the requests, the current version for the rest.
    case shared
    case current
    case canary
    case number(UInt32)
    /// The beginning of a digest, 8 to 64 lower-case hexadecimal digits.
    case digest(String)

    /// Reads what follows the `@`. Throws `.invalidArgument`.
    public init(_ text: some StringProtocol) throws(RoostError) {
      switch text {
      case "current": self = .current
      case "canary": self = .canary
      default:
        let isNumber = (1...7).contains(text.utf8.count) && text.utf8.allSatisfy { (48...57).contains($0) }
        if isNumber, !text.hasPrefix("0"), let number = UInt32(text) {
          self = .number(number)
          return
        }
        let isDigest = text.utf8.allSatisfy { (48...57).contains($0) || (97...102).contains($0) }
        guard isDigest, (8...64).contains(text.utf8.count) else {
          throw RoostError(
            .invalidArgument, "'\(text.prefix(80))' is no version of a module", at: "module version",
            remedy: "write current, canary, its number, or 8 or more digits of its SHA-256")
        }
        self = .digest(String(text))
      }
    }

    public var text: String {
      switch self {
      case .shared: ""
      case .current: "current"
      case .canary: "canary"
      case .number(let number): "\(number)"
      case .digest(let digits): digits
      }
    }
  }

  public var name: String
  public var choice: Choice

  /// A name of `Limits.nameBytesMax`, an `@` and a digest.
  public static let bytesMax = Limits.nameBytesMax + 65

  public init(name: String, choice: Choice = .shared) {
    self.name = name
    self.choice = choice
  }

  /// Throws `.invalidArgument` when the text names no module or no version.
  public init(_ text: String) throws(RoostError) {
    guard let mark = text.firstIndex(of: "@") else {
      try validateName(text, what: "module")
      self.init(name: text)
      return
    }
    let name = String(text[..<mark])
    try validateName(name, what: "module")
    self.init(name: name, choice: try Choice(text[text.index(after: mark)...]))
  }

  public var description: String { choice == .shared ? name : "\(name)@\(choice.text)" }
}
