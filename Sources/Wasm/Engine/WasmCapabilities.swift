// What a module may ask of the host besides its own arithmetic; the operator grants it.

/// A set of capabilities. A module that imports a function of one that it was not granted still runs: it
/// finds version 0 of the tensor capability and falls back to its own code, and its log lines go nowhere.
public struct WasmCapabilities: OptionSet, Sendable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Lines in the node's log.
  public static let log = WasmCapabilities(rawValue: 1)
  /// Matrix and image arithmetic with the host's kernels.
  public static let tensor = WasmCapabilities(rawValue: 2)
}
