// What guest code may use. Each limit ends a call, a compilation or a query with a typed error; none of
// them can be raised by a guest. `spec/limits.md` carries the defaults.

import Core

/// Limits of one engine, and so of the process.
public struct WasmLimits: Sendable, Equatable {
  // Compilation
  public var moduleBytesMax = Limits.moduleBytesMax
  public var functionsMax = 20_000
  /// Cranelift's time grows faster than linearly with the size of one function.
  public var functionBytesMax = 256 * 1024
  public var codeBytesMax = 8 * 1024 * 1024

  // Instances
  /// Instances alive at one time; the next one is refused with `.overloaded`.
  public var instancesMax = 64
  public var idleInstancesPerModuleMax = 4
  public var memoryBytesMax = 128 * 1024 * 1024
  /// Native stack of a guest call; the calling thread must have this and 128 KiB more.
  public var stackBytesMax = 256 * 1024
  public var tableElementsMax = 10_000

  // Calls
  /// Start function, `_initialize`, `roost_abi`, `roost_dimension`, `roost_fields`, `roost_configure`.
  public var setupDeadlineMs = 100
  /// One `roost_filter` call, that is one batch of candidates.
  public var filterDeadlineMs = 100
  /// One `roost_score` call, that is one batch of candidates.
  public var scoreDeadlineMs = 100
  /// One `roost_transform` call, that is one batch of payloads.
  public var transformDeadlineMs = 100
  /// One `roost_embed` call, that is one batch of texts, or one of `roost_embed_bytes`.
  public var embedDeadlineMs = 1_000
  /// Candidates that the host hands over in one call of a filter or a scorer.
  public var filterBatchMax = 1_024
  /// Texts that the host hands over in one call.
  public var embedBatchMax = 64
  /// Payloads that the host hands over in one call of a transform.
  public var transformBatchMax = 256
  /// Input bytes of one call; a batch with more is split.
  public var callBytesMax = 4 * 1024 * 1024
  public var declaredFieldsMax = 32
  public var messageBytesMax = 1_024
  public var logLinesPerCallMax = 16

  public init() {}
}
