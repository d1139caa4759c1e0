// How long one distance takes, by type, metric, dimension and level, from cache and streaming from memory.

import ArgumentParser
import CKernels
import Core
import Glibc

struct KernelsCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "kernels", abstract: "Nanoseconds per distance at every dispatch level of this CPU.",
    discussion: """
      One JSON line per type, metric, dimension and level: `cached_ns` with all rows in the first cache \
      level, `streamed_ns` with rows in memory, `one_ns` by single calls on cached rows.
      """)

  @Option(help: "Dimensions to measure, separated by commas.")
  var dimensions = "96,128,384,768,1536"

  @Option(help: "Milliseconds for each measurement.")
  var milliseconds = 20

  func run() async throws {
    let sizes = dimensions.split(separator: ",").compactMap { Int($0) }
    guard !sizes.isEmpty, sizes.allSatisfy({ (1...Limits.dimensionMax).contains($0) }) else {
      throw ValidationError("dimensions must be numbers in 1...\(Limits.dimensionMax)")
    }
    let names: [Int32: String] = [
      0: "portable", 1: "neon", 2: "avx2", 3: "avx512", 4: "avx512bf16",
    ]
    for element in VectorElement.allCases {
      for metric in element.metrics {
        for dimension in sizes where dimension % element.dimensionStep == 0 {
          for level in Int32(0)...4 where roost_level_available(level) != 0 {
            let kernel = roost_distance_kernel_at(Int32(element.rawValue), Int32(metric.rawValue), level)
            let run = KernelRun(
              kernel: kernel, dimension: dimension, rowBytes: element.byteCount(dimension: dimension))
            let cached = run.batchNanos(footprint: 16 << 10, milliseconds: milliseconds)
            let streamed = run.batchNanos(footprint: 128 << 20, milliseconds: milliseconds)
            let one = run.singleNanos(footprint: 16 << 10, milliseconds: milliseconds)
            print(
              """
              {"bench":"kernels","element":"\(element.name)","metric":"\(metric.name)",\
              "dimension":\(dimension),"level":"\(names[level] ?? "?")","cached_ns":\(rounded(cached)),\
              "streamed_ns":\(rounded(streamed)),"one_ns":\(rounded(one))}
              """)
          }
        }
      }
    }
  }

  private func rounded(_ value: Double) -> Double { (value * 100).rounded() / 100 }
}

/// Rows of bytes and one kernel to run over them.
private struct KernelRun {
  private static let batch = 32

  let kernel: roost_distance_kernel
  let dimension: Int
  let rowBytes: Int

  private var stride: Int { (rowBytes + 63) & ~63 }

  /// Random bytes below 64 in every fourth byte's place make harmless floats and integers alike.
  private func rows(_ footprint: Int) -> IOBuffer {
    let count = max(Self.batch * 2, footprint / stride)
    let buffer = IOBuffer(count: count * stride)
    var random = SplitMix64(seed: 1)
    for index in Swift.stride(from: 0, to: buffer.count, by: 8) {
      (buffer.base + index).storeBytes(of: random.next() & 0x3f3f_3f3f_3f3f_3f3f, as: UInt64.self)
    }
    return buffer
  }

  func batchNanos(footprint: Int, milliseconds: Int) -> Double {
    let buffer = rows(footprint)
    let count = buffer.count / stride
    var order = (0..<count).map { UnsafeRawPointer(buffer.base + $0 * stride) }
    // Out of order, as a graph visits them: no help from the streams that the CPU detects.
    var random = SplitMix64(seed: 2)
    order.shuffle(using: &random)
    var distances = [Float](repeating: 0, count: Self.batch)
    return measure(milliseconds: milliseconds) {
      var done = 0
      order.withUnsafeBufferPointer { rows in
        guard let base = rows.baseAddress else { return }
        for start in Swift.stride(from: 0, to: count - Self.batch + 1, by: Self.batch) {
          kernel.batch(order[0], base + start, Self.batch, dimension, &distances)
          done += Self.batch
        }
      }
      return done
    }
  }

  func singleNanos(footprint: Int, milliseconds: Int) -> Double {
    let buffer = rows(footprint)
    let count = buffer.count / stride
    var sum: Float = 0
    let nanos = measure(milliseconds: milliseconds) {
      for row in 0..<count { sum += kernel.one(buffer.base, buffer.base + row * stride, dimension) }
      return count
    }
    // Keeps the sum alive.
    return sum.isNaN && nanos < 0 ? 0 : nanos
  }

  /// Runs `body`, which returns how many distances it computed, for a while; nanoseconds per distance.
  private func measure(milliseconds: Int, _ body: () -> Int) -> Double {
    _ = body()
    let start = monotonicNanos()
    var done = 0
    while monotonicNanos() - start < Double(milliseconds) * 1e6 { done += body() }
    return (monotonicNanos() - start) / Double(done)
  }

}
