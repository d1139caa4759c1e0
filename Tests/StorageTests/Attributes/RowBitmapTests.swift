// Sets of rows against `Set`.

import Core
import Testing

@testable import Storage

@Suite struct RowBitmapTests {
  @Test func algebraIsThatOfSets() {
    for seed in 1...60 as ClosedRange<UInt64> {
      var random = SplitMix64(seed: seed)
      let rowCount = [0, 1, 63, 64, 65, 1000, 2048][random.below(7)]
      func draw() -> Set<UInt32> {
        guard rowCount > 0 else { return [] }
        let density = [1, 5, 50, 200, 1000][random.below(5)]
        return Set((0..<UInt32(rowCount)).filter { _ in random.below(1000) < density })
      }
      let (a, b) = (draw(), draw())
      let x = RowBitmap(rows: a.sorted(), rowCount: rowCount)
      let y = RowBitmap(rows: b.sorted(), rowCount: rowCount)
      #expect(x.rows == a.sorted(), "seed \(seed)")
      #expect(x.count == a.count, "seed \(seed)")
      #expect(RowBitmap(words: x.words, rowCount: rowCount) == x, "seed \(seed)")
      #expect(x.intersection(y).rows == a.intersection(b).sorted(), "seed \(seed)")
      #expect(x.union(y).rows == a.union(b).sorted(), "seed \(seed)")
      let all = Set(0..<UInt32(rowCount))
      #expect(x.complement().rows == all.subtracting(a).sorted(), "seed \(seed)")
      #expect(RowBitmap.all(rowCount).rows == all.sorted(), "seed \(seed)")
      for row in 0..<UInt32(min(rowCount, 200)) {
        #expect(x.contains(row) == a.contains(row), "seed \(seed)")
      }
    }
  }
}
