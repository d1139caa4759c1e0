// How often and how fast: counters and latency histograms per kind of request.

import Core
import Synchronization
import Wire

/// A histogram of durations in buckets that grow by half a power of two: percentiles are exact to about 20%.
final class LatencyHistogram: Sendable {
  private let buckets: AtomicCounts
  private static let bucketCount = 80

  init() { buckets = AtomicCounts(count: LatencyHistogram.bucketCount) }

  func record(nanos: UInt64) { buckets.add(1, at: LatencyHistogram.bucket(nanos)) }

  static func bucket(_ nanos: UInt64) -> Int {
    guard nanos > 1 else { return 0 }
    let power = 63 - nanos.leadingZeroBitCount
    let half = Int(nanos >> UInt64(max(power - 1, 0))) & 1
    return min(power * 2 + half, bucketCount - 1)
  }

  /// The upper end of a bucket.
  static func nanos(_ bucket: Int) -> UInt64 {
    let power = UInt64(bucket / 2)
    return bucket % 2 == 0 ? (1 << power) + (1 << power) / 2 : 2 << power
  }

  var count: UInt64 { (0..<LatencyHistogram.bucketCount).reduce(0) { $0 + buckets.load($1) } }

  /// The duration below which `share` of all lie; 0 when there were none.
  func percentileNanos(_ share: Double) -> UInt64 {
    let total = count
    guard total > 0 else { return 0 }
    let wanted = UInt64(max(1, (Double(total) * share).rounded(.up)))
    var seen: UInt64 = 0
    for bucket in 0..<LatencyHistogram.bucketCount {
      seen += buckets.load(bucket)
      if seen >= wanted { return LatencyHistogram.nanos(bucket) }
    }
    return LatencyHistogram.nanos(LatencyHistogram.bucketCount - 1)
  }
}

/// A fixed number of counters.
///
/// Safety of `@unchecked Sendable`: the address is constant and every access is atomic.
final class AtomicCounts: @unchecked Sendable {
  private let words: UnsafeMutablePointer<Atomic<UInt64>>
  private let count: Int

  init(count: Int) {
    self.count = count
    words = .allocate(capacity: count)
    for index in 0..<count { (words + index).initialize(to: Atomic(0)) }
  }

  deinit {
    words.deinitialize(count: count)
    words.deallocate()
  }

  func add(_ amount: UInt64, at index: Int) {
    precondition(index >= 0 && index < count)
    words[index].add(amount, ordering: .relaxed)
  }

  func load(_ index: Int) -> UInt64 {
    precondition(index >= 0 && index < count)
    return words[index].load(ordering: .relaxed)
  }
}

/// The figures of a node since its start.
final class NodeMetrics: Sendable {
  let startedNanos: UInt64
  let embeddedTexts = Atomic<UInt64>(0)
  let overloaded = Atomic<UInt64>(0)
  private let latencies: [LatencyHistogram?]

  init(startedNanos: UInt64) {
    self.startedNanos = startedNanos
    var latencies = [LatencyHistogram?](repeating: nil, count: 256)
    for opcode in Opcode.allCases { latencies[Int(opcode.rawValue)] = LatencyHistogram() }
    self.latencies = latencies
  }

  func latency(_ opcode: Opcode) -> LatencyHistogram? { latencies[Int(opcode.rawValue)] }
}
