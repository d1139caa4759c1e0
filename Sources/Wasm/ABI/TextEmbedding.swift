// An embedder module at work: batches of texts in, vectors out.

import Core

extension WasmModule {
  /// One vector of `dimension` floats for each text, in order.
  ///
  /// `deadlineMs` bounds the whole call; each batch is bounded by `WasmLimits.embedDeadlineMs` as well.
  /// Throws `.invalidArgument` when the module is not an embedder, `.limitExceeded` for a text that is too
  /// long, `.deadlineExceeded` when `deadlineMs` has passed, `.moduleFailed` when the module fails,
  /// `.overloaded` when too many instances are alive.
  public func embed(_ texts: [String], deadlineMs: Int) throws(RoostError) -> [[Float]] {
    guard let dimension else {
      throw RoostError(
        .invalidArgument, "module '\(name)' is a filter, not an embedder", at: "module \(name)")
    }
    for (index, text) in texts.enumerated() where text.utf8.count > Limits.textBytesMax {
      throw RoostError(
        .limitExceeded, "text \(index) has \(text.utf8.count) bytes, the limit is \(Limits.textBytesMax)",
        at: "module \(name)")
    }
    let idle = code.engine.embedders.take(of: code)
    let instance = if let idle { idle } else { try WasmInstance(code: code) }
    defer { code.engine.embedders.give(instance) }

    let limits = code.engine.limits
    let started = code.engine.ticker.ticks
    var vectors: [[Float]] = []
    vectors.reserveCapacity(texts.count)
    var start = 0
    while start < texts.count {
      var end = start
      var bytes = 0
      while end < texts.count, end - start < limits.embedBatchMax {
        let count = texts[end].utf8.count
        guard end == start || bytes + count <= limits.callBytesMax else { break }
        bytes += count
        end += 1
      }
      let left = deadlineMs - Int(code.engine.ticker.ticks - started)
      func late() -> RoostError {
        RoostError(
          .deadlineExceeded,
          "embedding took longer than \(deadlineMs) ms, \(vectors.count) of \(texts.count) texts are done",
          at: "module \(name)")
      }
      guard left > 0 else { throw late() }
      do {
        try run(
          instance, texts[start..<end], itemBytes: bytes, dimension: dimension,
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

  private func run(
    _ instance: WasmInstance, _ texts: ArraySlice<String>, itemBytes: Int, dimension: Int, deadlineMs: Int,
    into vectors: inout [[Float]]
  ) throws(RoostError) {
    let layout = BatchLayout(
      count: texts.count, itemBytes: itemBytes,
      outputBytes: texts.count * dimension * MemoryLayout<Float>.size)
    let (address, bytes) = try instance.buffer(atLeast: layout.byteCount)
    var writer = BatchWriter(bytes, layout: layout)
    for var text in texts { text.withUTF8 { writer.append(UnsafeRawBufferPointer($0)) } }
    UnsafeMutableRawBufferPointer(rebasing: bytes[layout.outputOffset..<layout.byteCount])
      .initializeMemory(as: UInt8.self, repeating: GuestABI.unwritten)

    let output = try instance.runBatch(
      input: address, count: texts.count, output: layout.outputAddress(address),
      outputBytes: layout.byteCount - layout.outputOffset, deadlineMs: deadlineMs)
    for index in 0..<texts.count {
      let floats = UnsafeRawBufferPointer(
        rebasing: output[index * dimension * 4..<(index + 1) * dimension * 4]
      )
      .assumingMemoryBound(to: Float.self)
      if let bad = floats.firstIndex(where: { !$0.isFinite }) {
        let value = floats[bad].isNaN ? "NaN" : "infinity"
        throw code.failure("gave \(value) as element \(bad) of vector \(index) of \(texts.count)")
      }
      vectors.append(Array(floats))
    }
  }
}
