// A compiled, checked module: makes filters for queries and turns texts into vectors.

import Core

/// A compiled module. Cheap to share; calls may come from any number of threads.
public final class WasmModule: Sendable {
  let code: ModuleCode
  /// The length of its vectors; nil for a filter.
  public let dimension: Int?
  /// The payload fields that it reads whatever its parameters are; nil when it has not declared any, and
  /// then it sees the whole payload.
  public let declaredFields: [String]?

  public var name: String { code.name }
  public var kind: WasmModuleKind { code.kind }
  /// The functions of the guest ABI that it exports, sorted.
  public var exports: [String] { code.exports.sorted() }

  /// Starts an instance once, so that a module that cannot start is refused when it is published.
  init(code: ModuleCode) throws(RoostError) {
    self.code = code
    let instance = try WasmInstance(code: code)
    dimension = code.kind == .embedder ? try instance.dimension() : nil
    declaredFields = code.kind == .filter ? try instance.declaredFields() : nil
    if code.kind == .embedder { code.engine.embedders.give(instance) }
  }

  // Idle instances hold the code, and the code holds the engine, which holds the idle instances.
  deinit { code.engine.embedders.evictAll(of: code) }

  /// A filter for one query. Throws `.invalidArgument` when the module is not a filter or refuses the
  /// parameters, `.moduleFailed` when it fails, `.overloaded` when too many instances are alive.
  public func makeFilter(parameters: Payload = Payload()) throws(RoostError) -> any CandidateFilter {
    guard kind == .filter else {
      throw RoostError(
        .invalidArgument, "module '\(name)' is an embedder, not a filter", at: "module \(name)")
    }
    return try WasmFilter(code: code, parameters: parameters)
  }
}
