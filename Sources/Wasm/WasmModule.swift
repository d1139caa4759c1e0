// A compiled, checked module: makes filters and scorers for queries and transforms for writes, and turns texts and
// bytes into vectors.

import Core

/// A compiled module. Cheap to share; calls may come from any number of threads.
public final class WasmModule: Sendable {
  let code: ModuleCode
  /// The length of its vectors; nil for all but embedders.
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
    declaredFields = code.kind == .embedder ? nil : try instance.declaredFields()
    if code.kind == .embedder { code.engine.embedders.give(instance) }
  }

  // Idle instances hold the code, and the code holds the engine, which holds the idle instances.
  deinit { code.engine.embedders.evictAll(of: code) }

  /// A filter for one query. Throws `.invalidArgument` when the module is not a filter, refuses the parameters or
  /// asks for a vector that there is not, `.moduleFailed` when it fails, `.overloaded` when too many instances are
  /// alive.
  public func makeFilter(
    parameters: Payload = Payload(), context: GuestContext = GuestContext()
  ) throws(RoostError) -> any CandidateFilter {
    try require(.filter)
    return try WasmFilter(code: code, parameters: parameters, context: context)
  }

  /// A scorer for one query. Throws as `makeFilter` does.
  public func makeScorer(
    parameters: Payload = Payload(), context: GuestContext = GuestContext()
  ) throws(RoostError) -> any CandidateScorer {
    try require(.scorer)
    return try WasmScorer(code: code, parameters: parameters, context: context)
  }

  /// A transform for one write. Throws `.invalidArgument` when the module is not a transform.
  public func makeTransform(
    parameters: Payload = Payload(), nowMicros: Int64 = 0
  ) throws(RoostError) -> TransformRun {
    try require(.transform)
    return TransformRun(code: code, parameters: parameters, nowMicros: nowMicros)
  }

  /// Throws `.invalidArgument` when the module is of another kind.
  public func require(_ wanted: WasmModuleKind) throws(RoostError) {
    guard kind == wanted else {
      throw RoostError(
        .invalidArgument, "module '\(name)' is \(kind.withArticle), not \(wanted.withArticle)",
        at: "module \(name)")
    }
  }
}

extension WasmModuleKind {
  public var withArticle: String { (self == .embedder ? "an " : "a ") + rawValue }
}
