// All digests of one replica of a shard with the sketch over them, changed together.

/// What a host keeps for each shard that it reconciles. A copy is a snapshot and costs little.
public struct ShardDigests: Sendable {
  public private(set) var set: DigestSet
  public private(set) var sketch: SymbolSketch

  public init(cellCount: Int = SymbolSketch.defaultCellCount) {
    set = DigestSet()
    sketch = SymbolSketch(cellCount: cellCount)
  }

  /// O(n log n); for a start without a sketch at hand.
  public init(_ digests: some Sequence<RecordDigest>, cellCount: Int = SymbolSketch.defaultCellCount) {
    set = DigestSet(digests)
    sketch = SymbolSketch(cellCount: cellCount)
    set.forEach(in: .whole) { sketch.insert($0) }
  }

  /// A record was written, replaced or dropped. Digests that are there already, or not, change nothing.
  public mutating func replace(_ old: RecordDigest?, with new: RecordDigest?) {
    if let old, set.remove(old) { sketch.remove(old) }
    if let new, set.insert(new) { sketch.insert(new) }
  }

  public func view(of range: KeyRange) -> ReconcileView {
    range.isWhole
      ? ReconcileView(itemCount: sketch.itemCount, symbols: sketch.cells)
      : ReconcileView(itemCount: UInt64(set.count(in: range)))
  }
}
