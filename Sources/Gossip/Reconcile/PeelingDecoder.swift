// Finds the differences of two sets from the difference of their coded symbols, as the symbols come in.

import Core

/// Takes symbols of two sides by turns of any size and peels: a symbol that holds one digest gives it away,
/// and taking that digest out of all other symbols lets more of them hold just one.
public struct PeelingDecoder: Sendable {
  /// A digest that was found, and where in the sequence of its indices the symbols at hand end.
  private struct Found {
    var digest: RecordDigest
    var sign: Int32
    var mapping: SymbolMapping
  }

  /// Remote minus local, without what has been found.
  private var cells: [CodedSymbol] = []
  private var found: [Found] = []
  private var peels = 0
  public private(set) var estimate = DifferenceEstimate()

  public init() {}

  /// Symbols taken in so far.
  public var count: Int { cells.count }
  /// All differences are known: the first symbol, to which every digest goes, is empty.
  public var isComplete: Bool { cells.first?.isZero ?? false }
  /// Digests that only the remote side has.
  public var remoteOnly: [RecordDigest] { found.filter { $0.sign > 0 }.map(\.digest) }
  /// Digests that only the local side has.
  public var localOnly: [RecordDigest] { found.filter { $0.sign < 0 }.map(\.digest) }
  public var differenceCount: Int { found.count }

  /// Takes the symbols at the indices from `count` on. Throws `.corrupted` when they cannot be those of two
  /// sets: peeling then finds more than the symbols could hold.
  public mutating func add(remote: ArraySlice<CodedSymbol>, local: ArraySlice<CodedSymbol>) throws(RoostError)
  {
    precondition(remote.count == local.count)
    let start = cells.count
    for (theirs, ours) in zip(remote, local) {
      var cell = theirs
      cell.subtract(ours)
      estimate.add(count: cell.count)
      cells.append(cell)
    }
    for index in found.indices { take(index) }
    var pending = Array(start..<cells.count)
    while let index = pending.popLast() {
      guard let digest = cells[index].pureDigest, PeelingDecoder.goes(digest, to: index) else { continue }
      peels += 1
      guard peels <= cells.count else {
        throw RoostError(.corrupted, "coded symbols that are not those of a set", at: "reconciliation")
      }
      found.append(
        Found(digest: digest, sign: cells[index].count, mapping: SymbolMapping(seed: digest.seed)))
      take(found.count - 1, touched: &pending)
    }
  }

  private mutating func take(_ index: Int) {
    var ignored: [Int] = []
    take(index, touched: &ignored)
  }

  /// Takes a digest out of the symbols that it has not been taken out of yet.
  private mutating func take(_ index: Int, touched: inout [Int]) {
    let digest = found[index].digest
    let sign = found[index].sign
    var mapping = found[index].mapping
    let seed = digest.seed
    let end = UInt64(cells.count)
    while mapping.index < end {
      let place = Int(mapping.index)
      cells[place].add(digest, seed: seed, sign: 0 &- sign)
      if cells[place].count == 1 || cells[place].count == -1 { touched.append(place) }
      mapping.advance()
    }
    found[index].mapping = mapping
  }

  private static func goes(_ digest: RecordDigest, to index: Int) -> Bool {
    var mapping = SymbolMapping(seed: digest.seed)
    while mapping.index < UInt64(index) { mapping.advance() }
    return mapping.index == UInt64(index)
  }
}
