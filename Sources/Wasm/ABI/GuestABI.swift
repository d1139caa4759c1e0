// The names and types of guest ABI version 1 (`spec/wasm-abi.md`), and the check that a binary keeps them.

import Core

/// What a module is for.
public enum WasmModuleKind: String, Sendable, CaseIterable {
  /// Batches of candidates to verdicts.
  case filter
  /// Batches of texts or of bytes to vectors.
  case embedder
  /// Batches of candidates to numbers that order them.
  case scorer
  /// Batches of payloads to attributes derived from them.
  case transform
}

enum GuestABI {
  static let version: Int32 = 1

  static let memory = "memory"
  static let abi = "roost_abi"
  static let buffer = "roost_buffer"
  static let filter = "roost_filter"
  static let embed = "roost_embed"
  static let embedBytes = "roost_embed_bytes"
  static let score = "roost_score"
  static let transform = "roost_transform"
  static let query = "roost_query"
  static let vector = "roost_vector"
  static let dimension = "roost_dimension"
  static let configure = "roost_configure"
  static let fields = "roost_fields"
  static let message = "roost_message"
  static let initialize = "_initialize"

  static let importModule = "roost"
  static let log = "log"
  static let logType = FunctionType([.i32, .i32, .i32])
  /// What a module may import, by "module.name".
  private static let imports: [String: FunctionType] = {
    var imports = ["\(importModule).\(log)": logType]
    for (name, type) in QueryImports.types { imports["\(importModule).\(name)"] = type }
    for (name, type) in TensorImports.types { imports["\(TensorImports.module).\(name)"] = type }
    return imports
  }()

  /// Alignment of the buffer and of the output area within it.
  static let alignment = 16
  /// What the host fills the output area with: no verdict, and NaN as f32.
  static let unwritten: UInt8 = 0xff
  /// Bytes that `roost_fields` may return.
  static let fieldsBytesMax = 4_096
  /// What `roost_vector` calls the field that is searched.
  static let searchedVector = "*"

  private static let batchType = FunctionType([.i32, .i32, .i32], [.i32])
  private static let types: [(name: String, type: FunctionType)] = [
    (abi, FunctionType([], [.i32])),
    (buffer, FunctionType([.i32], [.i32])),
    (filter, batchType),
    (embed, batchType),
    (embedBytes, batchType),
    (score, batchType),
    (transform, batchType),
    (dimension, FunctionType([], [.i32])),
    (configure, FunctionType([.i32, .i32], [.i32])),
    (fields, FunctionType([], [.i64])),
    (vector, FunctionType([], [.i64])),
    (query, batchType),
    (message, FunctionType([], [.i64])),
    (initialize, FunctionType([])),
  ]

  /// Checks limits, imports and exports; returns the kind and the optional exports that are there.
  static func check(
    _ binary: ModuleBinary, module: String, limits: WasmLimits
  ) throws(RoostError) -> (kind: WasmModuleKind, exports: Set<String>) {
    func refuse(_ message: String, remedy: String = "see spec/wasm-abi.md") -> RoostError {
      RoostError(.invalidArgument, "module '\(module)' \(message)", at: "module \(module)", remedy: remedy)
    }
    func limit(_ what: String, _ value: Int, _ limit: Int) throws(RoostError) {
      guard value <= limit else {
        throw RoostError(
          .limitExceeded, "module '\(module)' \(what) \(value), the limit is \(limit)", at: "module \(module)"
        )
      }
    }
    try limit("has a number of functions of", binary.functionCount, limits.functionsMax)
    try limit("has a function with a size in bytes of", binary.largestFunctionBytes, limits.functionBytesMax)
    try limit("has a code size in bytes of", binary.codeBytes, limits.codeBytesMax)
    try limit("starts with a memory in bytes of", binary.memoryBytes, limits.memoryBytesMax)

    for item in binary.imports {
      let name = "\(item.module).\(item.name)"
      guard let type = imports[name] else { throw refuse("imports '\(name)', which Roost does not offer") }
      guard item.function == type else {
        let found = item.function?.description ?? "something that is not a function"
        throw refuse("imports '\(name)' as \(found), it is \(type)")
      }
    }

    guard binary.memoryCount == 1, case .memory? = binary.exports[memory] else {
      throw refuse("must have exactly one memory and export it as 'memory'")
    }
    var present: Set<String> = []
    for (name, type) in types {
      switch binary.exports[name] {
      case nil: continue
      case .function(let found)?:
        guard found == type else { throw refuse("exports '\(name)' as \(found), it must be \(type)") }
        present.insert(name)
      default: throw refuse("exports '\(name)', but not as a function")
      }
    }
    for name in [abi, buffer] where !present.contains(name) { throw refuse("does not export '\(name)'") }
    let kinds: [(kind: WasmModuleKind, exports: [String])] = [
      (.filter, [filter]), (.embedder, [embed, embedBytes]), (.scorer, [score]), (.transform, [transform]),
    ]
    let found = kinds.compactMap { kind, exports in
      exports.first(where: present.contains).map { (kind: kind, export: $0) }
    }
    guard let only = found.first else {
      let names = kinds.flatMap(\.exports).map { "'\($0)'" }.joined(separator: ", ")
      throw refuse("exports none of \(names)")
    }
    guard found.count == 1 else {
      let names = found.map { "'\($0.export)'" }.joined(separator: " and ")
      throw refuse("exports \(names); a module has one kind")
    }
    if only.kind == .embedder, !present.contains(dimension) {
      throw refuse("exports '\(only.export)' but not 'roost_dimension'")
    }
    return (only.kind, present)
  }
}
