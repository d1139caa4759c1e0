// Work over many rows of a growing graph: bulk insert, entry choice, and the pass before sealing.

import Core
import Synchronization

extension GrowingGraph {
  private static let rowsPerRun = 8...512
  private static let entrySample = 256
  private static let rowsPerSkeletonRow = 16

  /// Inserts rows whose vectors are in the arena, on all workers. Stops between runs when the task is cancelled
  /// or the work stopped, leaving the remaining rows out.
  /// - Parameter roundsVectors: looks for neighbours by rounded vectors where that pays, which takes
  ///   `CoarseVectors.bytesMax` at most until the call returns.
  func insertAll(
    rows: some RandomAccessCollection<Int> & Sendable, order: InsertionOrder = .spread, workers: any Workers,
    control: WorkControl? = nil, roundsVectors: Bool = false
  ) async {
    guard !rows.isEmpty else { return }
    precondition(rows.allSatisfy { $0 >= 0 && $0 < capacity })
    if entry == nil, let start = medoid(of: rows.lazy.map { UInt32($0) }, rows.count) {
      insert(row: start, scratch: GraphScratch())
    }
    let coarse = roundsVectors ? await CoarseVectors.make(self, rows: rows, workers: workers) : nil
    let skeleton = order == .spread ? rows.count : rows.count / Self.rowsPerSkeletonRow
    if skeleton > 0 {
      let step = rows.count / skeleton
      let jumps = JumpingOrder(count: skeleton)
      await forEachRun(count: skeleton, workers: workers, control: control) { run, scratch in
        for position in run {
          let row = UInt32(rows[rows.index(rows.startIndex, offsetBy: jumps[position] * step)])
          if !self.contains(row) { self.insert(row: row, scratch: scratch, coarse: coarse) }
        }
        control?.advance(run.count * WorkControl.linkingUnits)
      }
    }
    if order == .spread { return }
    await forEachRun(count: rows.count, workers: workers, control: control) { run, scratch in
      var inserted = 0
      for position in run {
        let row = UInt32(rows[rows.index(rows.startIndex, offsetBy: position)])
        if self.contains(row) { continue }
        self.insert(row: row, scratch: scratch, coarse: coarse)
        inserted += 1
      }
      control?.advance(inserted * WorkControl.linkingUnits)
    }
  }

  /// Moves the entry to the most central row of a sample.
  func improveEntry() {
    setEntry(medoid(of: (0..<capacity).lazy.map { UInt32($0) }, capacity, mustBePresent: true))
  }

  /// Makes every list at most `degree` long, nearest first, and every row reachable from the entry. To be
  /// called when no more rows will come and nobody searches.
  func finish(workers: any Workers, control: WorkControl? = nil) async {
    await forEachRun(count: capacity, workers: workers, control: control) { run, scratch in
      for position in run where self.contains(UInt32(position)) {
        self.finishList(of: UInt32(position), scratch: scratch)
      }
    }
    await workers.run {
      if self.count > 0 && self.entry == nil { self.improveEntry() }
      self.connect(scratch: GraphScratch())
    }
  }

  private func finishList(of row: UInt32, scratch: GraphScratch) {
    scratch.rows.reserve(lists.slots)
    scratch.backChosen.reserve(lists.slots)
    let count = lists.read(row, into: scratch.rows.base)
    let keys = scoreForPruning(row, scratch.rows.base, count, scratch: scratch)
    let chosen = scratch.backChosen.base
    var picked = count
    if count > degree {
      picked = prune.choose(for: row, from: keys, count, limit: degree, into: chosen, scratch: scratch)
    } else {
      for index in 0..<count { chosen[index] = keys[index].row }
    }
    lists.withLock(row) { $0.assign(chosen, picked) }
  }

  /// Runs `body` over `0..<count` in pieces, one scratch a worker. Each piece is a run of its own, so that
  /// other work gets its turn on the workers.
  func forEachRun(
    count: Int, workers: any Workers, control: WorkControl? = nil,
    _ body: @escaping @Sendable (Range<Int>, GraphScratch) -> Void
  ) async {
    let next = SharedCounter()
    let width = max(workers.width, 1)
    // Short enough that all workers have a part in a small batch.
    let runRows = min(max(count / (width * 4), Self.rowsPerRun.lowerBound), Self.rowsPerRun.upperBound)
    await withTaskGroup(of: Void.self) { group in
      for _ in 0..<width {
        group.addTask {
          let scratch = self.scratches.borrow()
          while !Task.isCancelled && control?.isStopped != true {
            let start = next.add(runRows)
            guard start < count else { break }
            let begun = control?.nowNanos ?? 0
            await workers.run { body(start..<min(start + runRows, count), scratch) }
            await control?.makeWay(since: begun)
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

/// In which order rows are linked in.
enum InsertionOrder: Sendable {
  /// Jumping about, so that rows stored in some order of their own do not grow the graph from one corner.
  case spread
  /// A few rows jumping about, then the others one after the other.
  case asStored
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
