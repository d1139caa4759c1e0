// What a collection's embedder makes a vector of.

/// Text, or the bytes of an image, a signal or whatever else the embedder knows.
public enum EmbedderInput: Sendable, Equatable {
  case text(String)
  case bytes([UInt8])

  public var byteCount: Int {
    switch self {
    case .text(let text): text.utf8.count
    case .bytes(let bytes): bytes.count
    }
  }

  /// The input that a payload field holds; nil for a value that is neither string nor bytes.
  public init?(_ value: Value?) {
    switch value {
    case .string(let text)?: self = .text(text)
    case .bytes(let bytes)?: self = .bytes(bytes)
    default: return nil
    }
  }

  /// Throws `.limitExceeded`.
  public func validate(at place: String) throws(RoostError) {
    let (what, limit) =
      switch self {
      case .text: ("text", Limits.textBytesMax)
      case .bytes: ("input", Limits.embedderBytesMax)
      }
    guard byteCount <= limit else {
      throw RoostError(
        .limitExceeded, "\(what) of \(byteCount) bytes for the embedder, the limit is \(limit)", at: place)
    }
  }
}
