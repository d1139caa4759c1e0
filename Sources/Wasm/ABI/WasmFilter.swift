// A filter module at work in one query: batches of payloads in, verdicts out.

import Core

/// The filter of one query. Every instance is new and dies with the query, so nothing that a guest
/// remembers leaks from one query into another; a trap ends this query alone.
final class WasmFilter: CandidateFilter {
  private let code: ModuleCode
  private let parameters: [UInt8]
  /// Configured instances: one, unless the query runs on several threads.
  private let pool: InstancePool
  private let projection: PayloadProjection?

  var preferredBatch: Int { 64 }

  init(code: ModuleCode, parameters: Payload) throws(RoostError) {
    self.code = code
    self.parameters = parameters.encoded
    pool = InstancePool(idlePerModuleMax: code.engine.limits.idleInstancesPerModuleMax)
    guard self.parameters.count <= Limits.payloadBytesMax else {
      throw RoostError(
        .limitExceeded,
        "parameters of \(self.parameters.count) bytes, the limit is \(Limits.payloadBytesMax)",
        at: "module \(code.name)")
    }
    let first = try WasmFilter.start(code, self.parameters)
    projection = try first.declaredFields().map { PayloadProjection(fields: $0) }
    pool.give(first)
  }

  private static func start(_ code: ModuleCode, _ parameters: [UInt8]) throws(RoostError) -> WasmInstance {
    let instance = try WasmInstance(code: code)
    try instance.configure(parameters)
    return instance
  }

  func evaluate(
    _ batch: CandidateBatch, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    let payloads = batch.payloads
    precondition(payloads.count == verdicts.count)
    let idle = pool.take(of: code)
    let instance = if let idle { idle } else { try WasmFilter.start(code, parameters) }
    defer { pool.give(instance) }

    let limits = code.engine.limits
    var start = 0
    while start < payloads.count {
      var end = start
      var bytes = 0
      while end < payloads.count, end - start < limits.filterBatchMax {
        let count = max(1, payloads[end].count)
        guard end == start || bytes + count <= limits.callBytesMax else { break }
        bytes += count
        end += 1
      }
      try run(
        instance, UnsafeBufferPointer(rebasing: payloads[start..<end]), itemBytes: bytes,
        UnsafeMutableBufferPointer(rebasing: verdicts[start..<end]))
      start = end
    }
  }

  private func run(
    _ instance: WasmInstance, _ payloads: UnsafeBufferPointer<UnsafeRawBufferPointer>, itemBytes: Int,
    _ verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    let count = payloads.count
    let layout = BatchLayout(count: count, itemBytes: itemBytes, outputBytes: count)
    let (address, bytes) = try instance.buffer(atLeast: layout.byteCount)
    var writer = BatchWriter(bytes, layout: layout)
    if let projection {
      for payload in payloads { writer.append(count: try projection.copy(payload, into: writer.room)) }
    } else {
      for payload in payloads { writer.append(payload) }
    }
    UnsafeMutableRawBufferPointer(rebasing: bytes[layout.outputOffset..<layout.byteCount])
      .initializeMemory(as: UInt8.self, repeating: GuestABI.unwritten)

    let output = try instance.runBatch(
      input: address, count: count, output: layout.outputAddress(address), outputBytes: count,
      deadlineMs: code.engine.limits.filterDeadlineMs)
    var seen: UInt8 = 0
    for index in 0..<count {
      seen |= output[index]
      verdicts[index] = output[index] == 1
    }
    if seen > 1, let bad = output.firstIndex(where: { $0 > 1 }) {
      throw code.failure("gave verdict \(output[bad]) for candidate \(bad) of \(count); it must be 0 or 1")
    }
  }
}
