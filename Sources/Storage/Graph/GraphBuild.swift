// Work over many rows of a growing graph: bulk insert, entry choice, and the pass before sealing.

import Core
import Synchronization

extension GrowingGraph {
  private static let rowsPerRun = 8...512
  private static let entrySample = 256

  /// Inserts rows whose vectors are in the arena, on all workers, in an order that jumps about, so that
  /// rows stored in some order of their own do not grow the graph from one corner. Stops between runs when
  /// the task is cancelled, leaving the remaining rows out.
  /// - Parameter progress: gets the number of rows done so far, from any thread.
  func insertAll(
    rows: some RandomAccessCollection<Int> & Sendable, workers: any Workers,
    progress: @escaping @Sendable (Int) -> Void = { _ in }
  ) async {
    guard !rows.isEmpty else { return }
    precondition(rows.allSatisfy { $0 >= 0 && $0 < capacity })
    if entry == nil, let start = medoid(of: rows.lazy.map { UInt32($0) }, rows.count) {
      insert(row: start, scratch: GraphScratch())
    }
    let order = JumpingOrder(count: rows.count)
    let done = SharedCounter()
    await forEachRun(count: rows.count, workers: workers) { run, scratch in
      for position in run {
        let row = UInt32(rows[rows.index(rows.startIndex, offsetBy: order[position])])
        if !self.contains(row) { self.insert(row: row, scratch: scratch) }
      }
      progress(done.add(run.count) + run.count)
    }
  }

  /// Moves the entry to the most central row of a sample.
  func improveEntry() {
    setEntry(medoid(of: (0..<capacity).lazy.map { UInt32($0) }, capacity, mustBePresent: true))
  }

  /// Makes every list at most `degree` long and every row reachable from the entry. To be called when
  /// no more rows will come; searches may go on meanwhile.
  func finish(workers: any Workers) async {
    await forEachRun(count: capacity, workers: workers) { run, scratch in
      for position in run where self.lists.count(UInt32(position)) > self.degree {
        let row = UInt32(position)
        self.lists.withLock(row) { self.pruneList($0, of: row, adding: nil, scratch: scratch) }
      }
    }
    await workers.run {
      if self.count > 0 && self.entry == nil { self.improveEntry() }
      self.connect(scratch: GraphScratch())
    }
  }

  /// Runs `body` over `0..<count` in pieces, one scratch a worker. Each piece is a run of its own, so that
  /// other work gets its turn on the workers.
  func forEachRun(
    count: Int, workers: any Workers, _ body: @escaping @Sendable (Range<Int>, GraphScratch) -> Void
  ) async {
    let next = SharedCounter()
    let width = max(workers.width, 1)
    // Short enough that all workers have a part in a small batch.
    let runRows = min(max(count / (width * 4), Self.rowsPerRun.lowerBound), Self.rowsPerRun.upperBound)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<width {
        group.addTask {
          let scratch = self.scratches.borrow()
          while !Task.isCancelled {
            let start = next.add(runRows)
            guard start < count else { break }
            await workers.run { body(start..<min(start + runRows, count), scratch) }
          }
          self.scratches.giveBack(scratch)
        }
      }
    }
  }

  /// The row of a sample with the least sum of distances to the sample.
  private func medoid(
    of rows: some RandomAccessCollection<UInt32>, _ count: Int, mustBePresent: Bool = false
  ) -> UInt32? {
    let order = JumpingOrder(count: count)
    var sample: [UInt32] = []
    for position in 0..<count {
      let row = rows[rows.index(rows.startIndex, offsetBy: order[position])]
      if mustBePresent && !contains(row) { continue }
      sample.append(row)
      if sample.count == Self.entrySample { break }
    }
    let pointers = sample.map { vector($0) }
    var distances = [Float](repeating: 0, count: sample.count)
    var best: (sum: Double, row: UInt32)?
    for (index, row) in sample.enumerated() {
      distances.withUnsafeMutableBufferPointer { distances in
        pointers.withUnsafeBufferPointer { pointers in
          guard let rows = pointers.baseAddress, let target = distances.baseAddress else { return }
          distance.batch(pointers[index], rows, pointers.count, into: target)
        }
      }
      let sum = distances.reduce(0.0) { $0 + Double($1) }
      if best.map({ sum < $0.sum }) ?? true { best = (sum, row) }
    }
    return best?.row
  }
}

/// A fixed permutation of `0..<count` that visits far-apart positions one after the other.
struct JumpingOrder: Sendable {
  let count: Int
  private let step: Int

  init(count: Int) {
    self.count = count
    var step = max(1, Int(Double(count) * 0.618_033_988_75))
    while step > 1 && Self.greatestCommonDivisor(step, count) != 1 { step -= 1 }
    self.step = step
  }

  @inline(__always)
  subscript(position: Int) -> Int {
    Int((UInt64(position) &* UInt64(step)) % UInt64(count))
  }

  private static func greatestCommonDivisor(_ a: Int, _ b: Int) -> Int {
    var (a, b) = (a, b)
    while b != 0 { (a, b) = (b, a % b) }
    return a
  }
}

/// A counter that several tasks advance.
private final class SharedCounter: Sendable {
  private let value = Atomic<Int>(0)

  /// Adds `amount`; returns the value before.
  func add(_ amount: Int) -> Int { value.wrappingAdd(amount, ordering: .relaxed).oldValue }
}
