// A scorer module at work in one query: payloads and distances in, scores out. One instance sees all candidates,
// nearest first.

import Core

final class WasmScorer: CandidateScorer {
  private let guest: CandidateGuest

  var readsVector: Int? { guest.vector }

  init(code: ModuleCode, parameters: Payload, context: GuestContext) throws(RoostError) {
    guest = try CandidateGuest(code: code, parameters: parameters, context: context)
  }

  func score(
    _ batch: ScoreBatch, scores: UnsafeMutableBufferPointer<Float>
  ) throws(RoostError) {
    precondition(batch.count == scores.count)
    let items = CandidateGuest.Items(
      payloads: batch.payloads, vectors: batch.vectors, distances: batch.distances)
    try guest.forEachCall(items, target: batch.target) { (instance, items, bytes, range) throws(RoostError) in
      try run(
        instance, items, payloadBytes: bytes, UnsafeMutableBufferPointer(rebasing: scores[range]))
    }
  }

  private func run(
    _ instance: WasmInstance, _ items: CandidateGuest.Items, payloadBytes: Int,
    _ scores: UnsafeMutableBufferPointer<Float>
  ) throws(RoostError) {
    let count = scores.count
    let size = MemoryLayout<Float>.size
    let (input, address) = try guest.write(
      items, payloadBytes: payloadBytes, outputBytes: size, to: instance)
    let output = try instance.runBatch(
      input: input, count: count, output: address, outputBytes: count * size,
      deadlineMs: guest.code.engine.limits.scoreDeadlineMs)
    // −∞ is an answer; NaN and +∞ are none.
    var isGood = true
    for index in 0..<count {
      let score = output.loadUnaligned(fromByteOffset: index * size, as: Float.self)
      isGood = isGood && score < .infinity
      scores[index] = score
    }
    if !isGood, let bad = scores.firstIndex(where: { !($0 < .infinity) }) {
      let value = scores[bad].isNaN ? "NaN" : "infinity"
      throw guest.code.failure("gave \(value) as the score of candidate \(bad) of \(count)")
    }
  }
}
