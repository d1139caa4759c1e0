// What one writer knows: which of its records a node has acknowledged, and in which state. Every writer
// has records of its own, so that their order of writes is beyond doubt however many writers there are.

import Core
import Wire

/// The records of a test by index, and what they hold after their n-th write.
enum TestRecord {
  static let dimension = 16

  static func id(_ index: Int) -> RecordID {
    index % 3 == 0 ? .key("record-\(index)") : .number(UInt64(index))
  }

  static func make(_ index: Int, step: Int) -> PutRecord {
    var random = SplitMix64(seed: UInt64(step) << 20 | UInt64(index))
    let vector = Vector((0..<dimension).map { _ in Float.random(in: -1...1, using: &random) })
    // Some payloads span sectors and pages of the log, most do not.
    let length = Int.random(in: 0..<10, using: &random) == 0 ? 6_000 : Int.random(in: 0..<200, using: &random)
    let letters = (0..<length).map { _ in UInt8.random(in: 97...122, using: &random) }
    let payload = Payload([
      "index": .int(Int64(index)), "step": .int(Int64(step)),
      "text": .string(String(decoding: letters, as: UTF8.self)),
    ])
    return PutRecord(id: id(index), vector: vector, payload: payload)
  }

  /// The step that `record` comes from; nil when no write of this test has made it.
  static func step(of record: Record, index: Int) -> Int? {
    guard case .int(let step)? = record.payload["step"] else { return nil }
    let expected = make(index, step: Int(step))
    return expected.id == record.id && expected.vector == record.vector && expected.payload == record.payload
      ? Int(step) : nil
  }
}

/// A call whose reply has not come: all of it has happened, or none.
struct UnsettledBatch: Sendable {
  let indices: [Int]
  /// Nil for a delete.
  let step: Int?
}

struct WriterLedger: Sendable {
  let number: Int
  let indices: [Int]
  /// The acknowledged write of each record that exists.
  private(set) var steps: [Int: Int] = [:]
  private(set) var unsettled: UnsettledBatch?
  private(set) var acknowledgedCalls = 0
  private var nextStep = 1
  private var random: SplitMix64

  init(number: Int, indices: [Int], seed: UInt64) {
    self.number = number
    self.indices = indices
    random = SplitMix64(seed: seed &+ UInt64(number) &* 7_919)
  }

  /// Writes batch after batch until a call fails; returns why.
  mutating func write(_ client: Client, _ collection: String) async -> RoostError {
    while true {
      let batch = nextBatch()
      unsettled = batch
      do throws(RoostError) {
        if let step = batch.step {
          try await client.put(batch.indices.map { TestRecord.make($0, step: step) }, into: collection)
        } else {
          let existing = batch.indices.count { steps[$0] != nil }
          let deleted = try await client.delete(batch.indices.map(TestRecord.id), from: collection)
          guard deleted == existing else {
            return RoostError(
              .corrupted, "deleted \(deleted) records, there were \(existing)", at: "writer \(number)")
          }
        }
      } catch {
        return error
      }
      acknowledgedCalls += 1
      settle(batch)
    }
  }

  private mutating func nextBatch() -> UnsettledBatch {
    let count = Int.random(in: 0..<4, using: &random) == 0 ? 1 : Int.random(in: 2...24, using: &random)
    let chosen = Array(indices.shuffled(using: &random).prefix(count))
    if Int.random(in: 0..<4, using: &random) == 0 { return UnsettledBatch(indices: chosen, step: nil) }
    defer { nextStep += 1 }
    return UnsettledBatch(indices: chosen, step: nextStep)
  }

  private mutating func settle(_ batch: UnsettledBatch) {
    for index in batch.indices { steps[index] = batch.step }
    unsettled = nil
  }

  /// Compares with what a restarted node holds (the step of each record that exists) and takes over what
  /// became of the unsettled batch. Returns every contradiction.
  mutating func reconcile(_ found: [Int: Int]) -> [String] {
    func text(_ step: Int?) -> String { step.map { "step \($0)" } ?? "nothing" }
    var after = steps
    if let unsettled {
      for index in unsettled.indices { after[index] = unsettled.step }
    }
    let happened = unsettled?.indices.contains { found[$0] != steps[$0] } ?? false
    let expected = happened ? after : steps
    var problems: [String] = []
    for index in indices where found[index] != expected[index] {
      problems.append(
        "record \(index) of writer \(number) holds \(text(found[index])) instead of \(text(expected[index]))"
          + (happened ? ", while its last batch, unacknowledged, did happen" : ""))
    }
    if happened, let unsettled { settle(unsettled) }
    unsettled = nil
    return problems
  }
}
