// What it costs two replicas to find and mend their differences: bytes and processor time of rateless
// reconciliation, beside a Merkle tree's bytes on the same sets.

import ArgumentParser
import Core
import Glibc
import Gossip

struct ReconcileCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "reconcile", abstract: "Bytes and time to reconcile two replicas, against a Merkle tree.",
    discussion: """
      One JSON line for each number of differences: `bytes` and `bytes_per_difference` of all messages of a \
      session, without the records themselves and without what the transport adds (`messages` tells how \
      many there are), `symbols_per_difference`, `cpu_ms` of both sides without the digests' maintenance, \
      `merkle_bytes` with 8-byte hashes, 16 children and leaves of about 16 records. A difference is a \
      digest that only one side has; a record updated on one side makes two, but counts as one difference \
      with `--updates`. Means over the runs.

      EXAMPLES
        tools/run bench reconcile
        tools/run bench reconcile --records 100000 --differences 0,1,100 --runs 50
      """)

  @Option(help: "Records that both sides have.") var records = 1_000_000
  @Option(help: "Numbers of differences, with commas.") var differences =
    "0,1,2,3,5,10,30,100,1000,10000,100000"
  @Option(help: "Runs for each, at most; fewer from 10,000 on.") var runs = 40
  @Option(help: "Seed of the sets.") var seed: UInt64 = 1
  @Flag(help: "All differences are updates.") var updates = false

  func run() throws {
    let counts = differences.split(separator: ",").compactMap { Int($0) }
    guard !counts.isEmpty, counts.allSatisfy({ $0 >= 0 && $0 <= 1_000_000 }), records > 0, runs > 0 else {
      throw ValidationError("counts must be numbers up to 1000000")
    }
    var random = SplitMix64(seed: seed)
    let base = ShardDigests(
      (0..<records).map { _ in RecordDigest(key: random.next(), version: random.next()) })
    for count in counts {
      let times = count >= 10_000 ? min(runs, 3) : runs
      var total = Exchange()
      var merkle = 0
      for _ in 0..<times {
        var pair = ReplicaPair(base: base)
        pair.diverge(by: count, updates: updates, random: &random)
        merkle += MerkleCost.bytes(pair.one.set, pair.other.set)
        total.add(try pair.reconcile(session: UInt32(truncatingIfNeeded: random.next())))
        guard pair.areEqual else { throw ValidationError("the replicas differ after reconciling") }
      }
      func mean(_ value: Double) -> Double { (value / Double(times) * 1_000).rounded() / 1_000 }
      let each = Double(max(count, 1))
      print(
        "{\"bench\":\"reconcile\",\"records\":\(records),\"differences\":\(count),\"updates\":\(updates),"
          + "\"bytes\":\(mean(Double(total.bytes))),"
          + "\"bytes_per_difference\":\(mean(Double(total.bytes) / each)),"
          + "\"worst_bytes\":\(total.worstBytes),\"messages\":\(mean(Double(total.messages))),"
          + "\"symbols_per_difference\":\(mean(Double(total.symbols) / each)),"
          + "\"cpu_ms\":\(mean(total.cpuMs)),\"merkle_bytes\":\(mean(Double(merkle))),"
          + "\"merkle_bytes_per_difference\":\(mean(Double(merkle) / each))}")
      fflush(nil)
    }
  }
}

/// What one reconciliation took.
struct Exchange {
  var bytes = 0
  var worstBytes = 0
  var messages = 0
  var symbols = 0
  var cpuMs = 0.0

  mutating func add(_ other: Exchange) {
    bytes += other.bytes
    worstBytes = max(worstBytes, other.bytes)
    messages += other.messages
    symbols += other.symbols
    cpuMs += other.cpuMs
  }
}
