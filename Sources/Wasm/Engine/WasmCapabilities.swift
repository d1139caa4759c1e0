// What a module may ask of the host besides its own arithmetic; the operator grants it.

import Core

/// A set of capabilities. A module that imports a function of one that it was not granted still runs: it
/// finds version 0 of the tensor capability and falls back to its own code, its log lines go nowhere, it finds no
/// keys; only a call of `clock` or `random`, which have no honest answer then, ends in a trap.
public struct WasmCapabilities: OptionSet, Sendable, Hashable {
  public let rawValue: UInt8
  public init(rawValue: UInt8) { self.rawValue = rawValue }

  /// Lines in the node's log.
  public static let log = WasmCapabilities(rawValue: 1)
  /// Matrix and image arithmetic with the host's kernels.
  public static let tensor = WasmCapabilities(rawValue: 2)
  /// Random numbers, the same for the same query.
  public static let random = WasmCapabilities(rawValue: 4)
  /// The time of the query.
  public static let clock = WasmCapabilities(rawValue: 8)
  /// The values that were published with the module, by key.
  public static let keyValue = WasmCapabilities(rawValue: 16)

  /// What a module gets when the operator says nothing.
  public static let usual: WasmCapabilities = [.log, .tensor]
  public static let all: WasmCapabilities = [.log, .tensor, .random, .clock, .keyValue]

  private static let named: [(name: String, capability: WasmCapabilities)] = [
    ("log", .log), ("tensor", .tensor), ("random", .random), ("clock", .clock), ("kv", .keyValue),
  ]

  /// In the order of their numbers.
  public var names: [String] {
    WasmCapabilities.named.filter { contains($0.capability) }.map(\.name)
  }

  /// Throws `.invalidArgument` for a name that no capability has.
  public init(names: [String]) throws(RoostError) {
    self = []
    for name in names {
      guard let found = WasmCapabilities.named.first(where: { $0.name == name }) else {
        throw RoostError(
          .invalidArgument, "there is no capability '\(name.prefix(80))'", at: "capabilities",
          remedy: "there are: \(WasmCapabilities.all.names.joined(separator: ", "))")
      }
      insert(found.capability)
    }
  }
}
