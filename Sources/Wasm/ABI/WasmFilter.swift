// A filter module at work in one query: batches of payloads in, verdicts out.

import Core

final class WasmFilter: CandidateFilter {
  private let guest: CandidateGuest

  var preferredBatch: Int { 64 }
  var readsVector: Int? { guest.vector }

  init(code: ModuleCode, parameters: Payload, context: GuestContext) throws(RoostError) {
    guest = try CandidateGuest(code: code, parameters: parameters, context: context)
  }

  func evaluate(
    _ batch: CandidateBatch, verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    precondition(batch.count == verdicts.count)
    let items = CandidateGuest.Items(
      payloads: batch.payloads, vectors: batch.vectors,
      distances: UnsafeBufferPointer(start: nil, count: 0))
    try guest.forEachCall(items, target: []) { (instance, items, bytes, range) throws(RoostError) in
      try run(
        instance, items, payloadBytes: bytes, UnsafeMutableBufferPointer(rebasing: verdicts[range]))
    }
  }

  private func run(
    _ instance: WasmInstance, _ items: CandidateGuest.Items, payloadBytes: Int,
    _ verdicts: UnsafeMutableBufferPointer<Bool>
  ) throws(RoostError) {
    let count = verdicts.count
    let (input, address) = try guest.write(items, payloadBytes: payloadBytes, outputBytes: 1, to: instance)
    let output = try instance.runBatch(
      input: input, count: count, output: address, outputBytes: count,
      deadlineMs: guest.code.engine.limits.filterDeadlineMs)
    var seen: UInt8 = 0
    for index in 0..<count {
      seen |= output[index]
      verdicts[index] = output[index] == 1
    }
    if seen > 1, let bad = output.firstIndex(where: { $0 > 1 }) {
      throw guest.code.failure(
        "gave verdict \(output[bad]) for candidate \(bad) of \(count); it must be 0 or 1")
    }
  }
}
