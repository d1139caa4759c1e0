// A running copy of a module with its own memory: checked calls into the guest, and the buffer through
// which batches go in and results come out.

import CWasmtime
import Core

/// Owns a wasmtime store and counts it in the engine.
private final class GuestStore {
  let engine: WasmEngine
  let store: OpaquePointer
  let host: GuestHost
  let deadline = GuestDeadline()

  init(code: ModuleCode, nowMicros: Int64, seed: UInt64) throws(RoostError) {
    engine = code.engine
    try engine.admitInstance(of: code.name)
    host = GuestHost(
      log: GuestLog(module: code.name, sink: engine.log, lineBytesMax: engine.limits.messageBytesMax),
      capabilities: code.capabilities, state: code.state, nowMicros: nowMicros, seed: seed)
    guard let store = wasmtime_store_new(engine.engine, Unmanaged.passUnretained(host).toOpaque(), nil) else {
      engine.releaseInstance()
      throw code.failure("could not get a store")
    }
    self.store = store
    let limits = engine.limits
    deadline.watch(store)
    wasmtime_store_limiter(store, Int64(limits.memoryBytesMax), Int64(limits.tableElementsMax), 1, 1, 1)
  }

  deinit {
    wasmtime_store_delete(store)
    engine.releaseInstance()
  }
}

/// One instance. Not for use by two threads at a time.
///
/// Safety of `@unchecked Sendable`: an instance has one owner, who took it out of an `InstancePool` or made
/// it; handing it over goes through the pool's mutex. wasmtime stores may move between threads.
final class WasmInstance: @unchecked Sendable {
  let code: ModuleCode
  private let owner: GuestStore
  private let context: OpaquePointer
  private var instance = wasmtime_instance_t()
  private var memory = wasmtime_memory_t()
  private var bufferFunction = wasmtime_func_t()
  private var batchFunction = wasmtime_func_t()
  /// Of an embedder that takes bytes.
  private var bytesFunction = wasmtime_func_t()
  private let slots: UnsafeMutablePointer<wasmtime_val_raw_t>
  private var bufferAddress: UInt32 = 0
  private var bufferBytes = 0
  /// Set by a trap: the guest's state is undefined and the instance must not be used again.
  private(set) var isBroken = false
  /// Whether it has been told what is searched near, or does not care.
  private(set) var knowsQuery: Bool

  /// Instantiates, runs the guest's start-up code and checks its ABI version.
  /// - Parameter seed: of its random numbers.
  init(
    code: ModuleCode, nowMicros: Int64 = 0, seed: UInt64 = fnv1a([])
  ) throws(RoostError) {
    self.code = code
    knowsQuery = !code.exports.contains(GuestABI.query)
    owner = try GuestStore(code: code, nowMicros: nowMicros, seed: seed)
    context = wasmtime_store_context(owner.store)
    slots = .allocate(capacity: 4)
    slots.initialize(repeating: wasmtime_val_raw_t(), count: 4)
    let setupMs = code.engine.limits.setupDeadlineMs

    do {
      try guarded(deadlineMs: setupMs) { trap in
        wasmtime_instance_pre_instantiate(code.template, context, &instance, &trap)
      }
    } catch {
      throw code.failure(
        error.isDeadline ? "ran longer than \(setupMs) ms while it started" : "could not start: \(error.text)"
      )
    }
    memory = try export(GuestABI.memory, kind: UInt8(WASMTIME_EXTERN_MEMORY)).of.memory
    bufferFunction = try function(GuestABI.buffer)
    switch code.kind {
    case .filter: batchFunction = try function(GuestABI.filter)
    case .scorer: batchFunction = try function(GuestABI.score)
    case .transform: batchFunction = try function(GuestABI.transform)
    case .embedder:
      if code.exports.contains(GuestABI.embed) { batchFunction = try function(GuestABI.embed) }
      if code.exports.contains(GuestABI.embedBytes) { bytesFunction = try function(GuestABI.embedBytes) }
    }

    if code.exports.contains(GuestABI.initialize) {
      try call(GuestABI.initialize, deadlineMs: setupMs)
    }
    try call(GuestABI.abi, deadlineMs: setupMs)
    guard slots[0].i32 == GuestABI.version else {
      throw code.failure("has ABI version \(slots[0].i32), this node has \(GuestABI.version)")
    }
  }

  deinit { slots.deallocate() }

  private func export(_ name: String, kind: UInt8) throws(RoostError) -> wasmtime_extern_t {
    var item = wasmtime_extern_t()
    guard wasmtime_instance_export_get(context, &instance, name, name.utf8.count, &item) else {
      throw code.failure("does not export '\(name)'")
    }
    // Functions and memories own nothing, so there is nothing to delete.
    guard item.kind == kind else {
      wasmtime_extern_delete(&item)
      throw code.failure("exports '\(name)' as another kind of thing")
    }
    return item
  }

  private func function(_ name: String) throws(RoostError) -> wasmtime_func_t {
    try export(name, kind: UInt8(WASMTIME_EXTERN_FUNC)).of.func
  }

  /// What `roost.clock` says from now on; for instances that serve call after call.
  var nowMicros: Int64 {
    get { owner.host.nowMicros }
    set { owner.host.nowMicros = newValue }
  }

  // MARK: Calls

  @inline(__always)
  private func guarded(
    deadlineMs: Int, _ body: (inout OpaquePointer?) -> OpaquePointer?
  ) throws(WasmtimeFailure) {
    let ticker = code.engine.ticker
    ticker.begin()
    defer { ticker.end() }
    owner.host.log.linesLeft = code.engine.limits.logLinesPerCallMax
    wasmtime_context_set_epoch_deadline(context, owner.deadline.begin(milliseconds: deadlineMs))
    var trap: OpaquePointer?
    let meter = code.meter
    let start = WasmMeter.now()
    let error = body(&trap)
    let now = WasmMeter.now()
    meter.nanos.add(now - start, ordering: .relaxed)
    if meter.budget.isBounded { meter.budget.spend(now - start, now: now) }
    if let error {
      isBroken = true
      if owner.deadline.hasPassed { meter.deadlineMisses.add(1, ordering: .relaxed) }
      throw WasmtimeFailure(error: error, isDeadline: owner.deadline.hasPassed)
    }
    if let trap {
      isBroken = true
      throw WasmtimeFailure(trap: trap)
    }
  }

  /// Calls with the arguments in `slots`, where the result is afterwards.
  @inline(__always)
  private func call(_ function: inout wasmtime_func_t, _ name: String, deadlineMs: Int) throws(RoostError) {
    do {
      try guarded(deadlineMs: deadlineMs) { trap in
        wasmtime_func_call_unchecked(context, &function, slots, 4, &trap)
      }
    } catch {
      throw code.failure(
        error.isDeadline
          ? "ran longer than \(deadlineMs) ms in \(name)" : "failed in \(name): it \(error.text)")
    }
  }

  private func call(_ name: String, deadlineMs: Int) throws(RoostError) {
    var function = try function(name)
    try call(&function, name, deadlineMs: deadlineMs)
  }

  // MARK: The buffer

  /// The guest's buffer, at least `count` bytes, 16-aligned; its address and a view that is valid until
  /// the guest runs again.
  func buffer(atLeast count: Int) throws(RoostError) -> (
    address: UInt32, bytes: UnsafeMutableRawBufferPointer
  ) {
    if count > bufferBytes {
      let wanted = count.roundedUpForBuffer
      bufferBytes = 0
      slots[0].i32 = Int32(wanted)
      try call(&bufferFunction, GuestABI.buffer, deadlineMs: code.engine.limits.setupDeadlineMs)
      bufferAddress = UInt32(bitPattern: slots[0].i32)
      guard bufferAddress != 0 else { throw code.failure("has no memory for a buffer of \(wanted) bytes") }
      guard Int(bufferAddress) % GuestABI.alignment == 0 else {
        throw code.failure("returned the misaligned buffer address \(bufferAddress)")
      }
      bufferBytes = wanted
    }
    let view = GuestMemory(context, &memory)
    guard let bytes = view.bytes(at: bufferAddress, count: bufferBytes) else {
      let count = bufferBytes
      bufferBytes = 0
      throw code.failure(
        "returned a buffer of \(count) bytes at \(bufferAddress), outside its memory of \(view.byteCount) bytes"
      )
    }
    return (bufferAddress, bytes)
  }

  /// Runs the batch function over what was written into the buffer, and returns the output area.
  /// - Parameter asBytes: for an embedder: the items are bytes rather than texts.
  func runBatch(
    input: UInt32, count: Int, output: UInt32, outputBytes: Int, deadlineMs: Int, asBytes: Bool = false
  ) throws(RoostError) -> UnsafeMutableRawBufferPointer {
    let name =
      switch code.kind {
      case .filter: GuestABI.filter
      case .scorer: GuestABI.score
      case .transform: GuestABI.transform
      case .embedder: asBytes ? GuestABI.embedBytes : GuestABI.embed
      }
    let meter = code.meter
    if meter.budget.isBounded, !meter.budget.admits(now: WasmMeter.now()) {
      throw RoostError(
        .overloaded, "module '\(code.name)' has used up its share of the processors",
        at: "module \(code.name)",
        remedy: "try again shortly, or raise its share with `roost module quota`")
    }
    meter.calls.add(1, ordering: .relaxed)
    meter.items.add(UInt64(count), ordering: .relaxed)
    slots[0].i32 = Int32(bitPattern: input)
    slots[1].i32 = Int32(count)
    slots[2].i32 = Int32(bitPattern: output)
    if asBytes {
      try call(&bytesFunction, name, deadlineMs: deadlineMs)
    } else {
      try call(&batchFunction, name, deadlineMs: deadlineMs)
    }
    let status = slots[0].i32
    guard status >= 0 else {
      // Not every file is an image: the input may be to blame.
      if asBytes {
        throw try refusal(of: "the input", status)
      }
      throw code.failure("failed in \(name): \(try message(status: status))")
    }
    guard Int(status) == count else {
      throw code.failure("answered for \(status) of \(count) items in \(name)")
    }
    guard let bytes = GuestMemory(context, &memory).bytes(at: output, count: outputBytes) else {
      throw code.failure("shrank its memory")
    }
    return bytes
  }

  private func refusal(of what: String, _ status: Int32) throws(RoostError) -> RoostError {
    RoostError(
      .invalidArgument, "module '\(code.name)' refused \(what): \(try message(status: status))",
      at: "module \(code.name)")
  }

  // MARK: Questions

  /// Hands the query's parameters to the guest. Throws `.invalidArgument` when it refuses them.
  func configure(_ parameters: [UInt8]) throws(RoostError) {
    guard code.exports.contains(GuestABI.configure) else {
      guard parameters == [0] else {
        throw RoostError(
          .invalidArgument, "module '\(code.name)' takes no parameters", at: "module \(code.name)")
      }
      return
    }
    let (address, bytes) = try buffer(atLeast: parameters.count)
    bytes.copyBytes(from: parameters)
    slots[0].i32 = Int32(bitPattern: address)
    slots[1].i32 = Int32(parameters.count)
    try call(GuestABI.configure, deadlineMs: code.engine.limits.setupDeadlineMs)
    let status = slots[0].i32
    guard status >= 0 else {
      throw try refusal(of: "its parameters", status)
    }
  }

  /// Tells the guest what is searched near (empty: no single vector) and the dimension of the candidates' vectors
  /// (0: they come without).
  func introduce(target: [Float], dimension: Int) throws(RoostError) {
    let (address, bytes) = try buffer(atLeast: target.count * MemoryLayout<Float>.size)
    target.withUnsafeBytes { bytes.copyMemory(from: $0) }
    slots[0].i32 = Int32(bitPattern: address)
    slots[1].i32 = Int32(target.count)
    slots[2].i32 = Int32(dimension)
    try call(GuestABI.query, deadlineMs: code.engine.limits.setupDeadlineMs)
    let status = slots[0].i32
    guard status >= 0 else {
      throw try refusal(of: "the query", status)
    }
    knowsQuery = true
  }

  func dimension() throws(RoostError) -> Int {
    try call(GuestABI.dimension, deadlineMs: code.engine.limits.setupDeadlineMs)
    let dimension = Int(slots[0].i32)
    guard dimension >= 0 else {
      throw code.failure("failed in \(GuestABI.dimension): \(try message(status: slots[0].i32))")
    }
    guard (1...Limits.dimensionMax).contains(dimension) else {
      throw code.failure("has dimension \(dimension), outside 1...\(Limits.dimensionMax)")
    }
    return dimension
  }

  /// The fields that the guest wants to see, as configured; nil for all of them.
  func declaredFields() throws(RoostError) -> [String]? {
    guard code.exports.contains(GuestABI.fields) else { return nil }
    try call(GuestABI.fields, deadlineMs: code.engine.limits.setupDeadlineMs)
    let text = try span(slots[0].i64, atMost: GuestABI.fieldsBytesMax, of: GuestABI.fields)
    guard text.count > 0 else { return nil }
    guard let names = String(validating: text, as: UTF8.self) else {
      throw code.failure("returned field names that are not valid UTF-8")
    }
    let fields = names.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
    let limit = code.engine.limits.declaredFieldsMax
    guard fields.count <= limit else {
      throw code.failure("declares \(fields.count) fields, the limit is \(limit)")
    }
    for field in fields where !(1...Limits.fieldNameBytesMax).contains(field.utf8.count) {
      throw code.failure(
        "declares a field name of \(field.utf8.count) bytes, it must have 1 to \(Limits.fieldNameBytesMax)")
    }
    return fields
  }

  /// The vector field whose vectors the guest wants to see, as configured; nil for none.
  func declaredVector() throws(RoostError) -> String? {
    guard code.exports.contains(GuestABI.vector) else { return nil }
    try call(GuestABI.vector, deadlineMs: code.engine.limits.setupDeadlineMs)
    let text = try span(slots[0].i64, atMost: Limits.nameBytesMax, of: GuestABI.vector)
    guard text.count > 0 else { return nil }
    guard let name = String(validating: text, as: UTF8.self) else {
      throw code.failure("returned a vector's name that is not valid UTF-8")
    }
    return name
  }

  /// The guest's own words about a negative status.
  private func message(status: Int32) throws(RoostError) -> String {
    guard code.exports.contains(GuestABI.message) else { return "status \(status)" }
    try call(GuestABI.message, deadlineMs: code.engine.limits.setupDeadlineMs)
    let limit = code.engine.limits.messageBytesMax
    let text = printable(try span(slots[0].i64, atMost: Int.max, of: GuestABI.message), atMost: limit)
    return text.isEmpty ? "status \(status)" : text
  }

  /// Bytes that a guest names by address (upper half) and length (lower half).
  private func span(_ packed: Int64, atMost limit: Int, of name: String) throws(RoostError)
    -> UnsafeRawBufferPointer
  {
    let address = UInt32(truncatingIfNeeded: packed >> 32)
    let count = Int(UInt32(truncatingIfNeeded: packed))
    guard count <= limit else {
      throw code.failure("returned \(count) bytes from \(name), the limit is \(limit)")
    }
    return try self.bytes(at: address, count: UInt32(count), from: name)
  }

  /// Bytes of the guest's memory, valid until it runs again.
  func bytes(at address: UInt32, count: UInt32, from name: String) throws(RoostError)
    -> UnsafeRawBufferPointer
  {
    guard count > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
    let view = GuestMemory(context, &memory)
    guard let bytes = view.bytes(at: address, count: Int(count)) else {
      throw code.failure(
        "returned \(count) bytes at \(address) from \(name), outside its memory of \(view.byteCount) bytes"
      )
    }
    return UnsafeRawBufferPointer(bytes)
  }
}

extension Int {
  /// A power of two, so that a growing batch does not ask each time; beyond a megabyte whole ones, since guests
  /// have little memory.
  fileprivate var roundedUpForBuffer: Int {
    if self <= 16 << 10 { return 16 << 10 }
    return self > 1 << 20
      ? (self + 0xf_ffff) & ~0xf_ffff : 1 << (Int.bitWidth - (self - 1).leadingZeroBitCount)
  }
}
