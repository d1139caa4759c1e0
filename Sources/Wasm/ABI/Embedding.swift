// An embedder module at work: batches of texts, or bytes one by one, in; vectors out.

import Core

extension WasmModule {
  /// Whether it embeds texts, and whether it embeds bytes.
  public var takesText: Bool { code.exports.contains(GuestABI.embed) }
  public var takesBytes: Bool { code.exports.contains(GuestABI.embedBytes) }

  /// One vector of `dimension` floats for each text, in order; see `embed(_:deadlineMs:)` for inputs.
  public func embed(_ texts: [String], deadlineMs: Int) throws(RoostError) -> [[Float]] {
    try embed(texts.map { .text($0) }, deadlineMs: deadlineMs)
  }

  /// One vector of `dimension` floats for each input, in order.
  ///
  /// `nowMicros` is what the guest's clock says. `deadlineMs` bounds the whole call; each batch is bounded by `WasmLimits.embedDeadlineMs` as well.
  /// Throws `.invalidArgument` when the module is no embedder, or none of such inputs, `.limitExceeded` for an
  /// input that is too long, `.deadlineExceeded` when `deadlineMs` has passed, `.moduleFailed` when the module
  /// fails, `.overloaded` when too many instances are alive.
  public func embed(
    _ inputs: [EmbedderInput], nowMicros: Int64 = 0, deadlineMs: Int
  ) throws(RoostError) -> [[Float]] {
    guard let dimension else {
      throw RoostError(
        .invalidArgument, "module '\(name)' is \(kind.withArticle), not an embedder", at: "module \(name)")
    }
    for (index, input) in inputs.enumerated() {
      try input.validate(at: "module \(name), input \(index)")
      try requireTaking(input)
    }
    let idle = code.engine.embedders.take(of: code)
    let instance = if let idle { idle } else { try WasmInstance(code: code, nowMicros: nowMicros) }
    instance.nowMicros = nowMicros
    defer { code.engine.embedders.give(instance) }

    let limits = code.engine.limits
    let started = code.engine.ticker.ticks
    var vectors: [[Float]] = []
    vectors.reserveCapacity(inputs.count)
    var start = 0
    while start < inputs.count {
      let end = batchEnd(inputs, from: start)
      let left = deadlineMs - Int(code.engine.ticker.ticks - started)
      func late() -> RoostError {
        RoostError(
          .deadlineExceeded,
          "embedding took longer than \(deadlineMs) ms, \(vectors.count) of \(inputs.count) inputs are done",
          at: "module \(name)")
      }
      guard left > 0 else { throw late() }
      do {
        try run(
          instance, inputs[start..<end], dimension: dimension,
          deadlineMs: min(left, limits.embedDeadlineMs), into: &vectors)
      } catch {
        // The caller's deadline, not the module's limit, was the shorter one.
        if instance.isBroken, left <= limits.embedDeadlineMs,
          code.engine.ticker.ticks - started >= UInt64(deadlineMs)
        {
          throw late()
        }
        throw error
      }
      start = end
    }
    return vectors
  }

  private func requireTaking(_ input: EmbedderInput) throws(RoostError) {
    let (taken, given, other) =
      switch input {
      case .text: (takesText, "texts", "bytes")
      case .bytes: (takesBytes, "bytes", "texts")
      }
    guard taken else {
      throw RoostError(
        .invalidArgument, "module '\(name)' embeds \(other), not \(given)", at: "module \(name)")
    }
  }

  /// Texts go in batches. Bytes go one by one: a photo may take as long as many texts, and the deadline is one
  /// call's.
  private func batchEnd(_ inputs: [EmbedderInput], from start: Int) -> Int {
    let limits = code.engine.limits
    var end = start
    var bytes = 0
    while end < inputs.count, end - start < limits.embedBatchMax, case .text(let text) = inputs[end] {
      guard end == start || bytes + text.utf8.count <= limits.callBytesMax else { break }
      bytes += text.utf8.count
      end += 1
    }
    return max(end, start + 1)
  }

  private func run(
    _ instance: WasmInstance, _ inputs: ArraySlice<EmbedderInput>, dimension: Int, deadlineMs: Int,
    into vectors: inout [[Float]]
  ) throws(RoostError) {
    let layout = BatchLayout(
      count: inputs.count, itemBytes: inputs.reduce(0) { $0 + $1.byteCount },
      outputBytes: inputs.count * dimension * MemoryLayout<Float>.size)
    let (address, bytes) = try instance.buffer(atLeast: layout.byteCount)
    var writer = BatchWriter(bytes, layout: layout)
    var asBytes = false
    for input in inputs {
      switch input {
      case .text(var text): text.withUTF8 { writer.append(UnsafeRawBufferPointer($0)) }
      case .bytes(let bytes):
        asBytes = true
        bytes.withUnsafeBytes { writer.append($0) }
      }
    }
    UnsafeMutableRawBufferPointer(rebasing: bytes[layout.outputOffset..<layout.byteCount])
      .initializeMemory(as: UInt8.self, repeating: GuestABI.unwritten)

    let output = try instance.runBatch(
      input: address, count: inputs.count, output: layout.outputAddress(address),
      outputBytes: layout.byteCount - layout.outputOffset, deadlineMs: deadlineMs, asBytes: asBytes)
    for index in 0..<inputs.count {
      let floats = UnsafeRawBufferPointer(
        rebasing: output[index * dimension * 4..<(index + 1) * dimension * 4]
      )
      .assumingMemoryBound(to: Float.self)
      if let bad = floats.firstIndex(where: { !$0.isFinite }) {
        let value = floats[bad].isNaN ? "NaN" : "infinity"
        throw code.failure("gave \(value) as element \(bad) of vector \(index) of \(inputs.count)")
      }
      vectors.append(Array(floats))
    }
  }
}
