// The bytes of one simulated file: what programs see (the page cache) and what the disk holds.

struct MemoryContents {
  private enum Change {
    case write(offset: Int, bytes: [UInt8])
    case truncate(size: Int)
  }

  /// What the disk writes as a whole or not at all.
  static let sectorBytes = 512

  /// What a reader sees.
  private(set) var current: [UInt8]
  private var durable: [UInt8]
  /// Changes since the last sync, oldest first.
  private var pending: [Change] = []

  /// Contents that are durable already.
  init(_ bytes: [UInt8] = []) {
    current = bytes
    durable = bytes
  }

  var count: Int { current.count }

  mutating func write(_ bytes: [UInt8], at offset: Int) {
    MemoryContents.apply(.write(offset: offset, bytes: bytes), to: &current)
    pending.append(.write(offset: offset, bytes: bytes))
  }

  /// Writes only the sectors (numbered by position in the file) that `keep` wants.
  mutating func write(_ bytes: [UInt8], at offset: Int, sectors keep: (Int) -> Bool) {
    MemoryContents.forEachSector(offset, bytes.count) { sector, range in
      if keep(sector) { write(Array(bytes[range]), at: offset + range.lowerBound) }
    }
  }

  /// Calls `body` with each sector that `count` bytes at `offset` touch and the range of the bytes in it.
  private static func forEachSector(_ offset: Int, _ count: Int, _ body: (Int, Range<Int>) -> Void) {
    var start = 0
    while start < count {
      let sector = (offset + start) / sectorBytes
      let end = min(count, (sector + 1) * sectorBytes - offset)
      body(sector, start..<end)
      start = end
    }
  }

  mutating func truncate(to size: Int) {
    MemoryContents.apply(.truncate(size: size), to: &current)
    pending.append(.truncate(size: size))
  }

  mutating func sync() {
    for change in pending { MemoryContents.apply(change, to: &durable) }
    pending.removeAll()
  }

  /// A failed fsync: the disk holds some of it, the rest is forgotten although the page cache shows it.
  mutating func failSync(_ random: inout SplitMix64) {
    durable = afterPowerLoss(.seed(random.next()))
    pending.removeAll()
  }

  mutating func flipBit(at offset: Int, bit: Int) {
    current[offset] ^= 1 << UInt8(bit)
    if offset < durable.count { durable[offset] ^= 1 << UInt8(bit) }
    for index in pending.indices {
      guard case .write(let start, var bytes) = pending[index], (start..<start + bytes.count).contains(offset)
      else { continue }
      bytes[offset - start] ^= 1 << UInt8(bit)
      pending[index] = .write(offset: start, bytes: bytes)
    }
  }

  private static func apply(_ change: Change, to bytes: inout [UInt8]) {
    switch change {
    case .write(let offset, let source):
      if source.isEmpty { return }
      if bytes.count < offset { bytes.append(contentsOf: [UInt8](repeating: 0, count: offset - bytes.count)) }
      let overlap = min(source.count, bytes.count - offset)
      bytes.replaceSubrange(offset..<offset + overlap, with: source[..<overlap])
      bytes.append(contentsOf: source[overlap...])
    case .truncate(let size):
      if size < bytes.count {
        bytes.removeLast(bytes.count - size)
      } else {
        bytes.append(contentsOf: [UInt8](repeating: 0, count: size - bytes.count))
      }
    }
  }

  // MARK: - Power loss

  /// What the disk holds after the power went.
  func afterPowerLoss(_ survival: Survival) -> [UInt8] {
    switch survival {
    case .nothing: return durable
    case .everything: return current
    case .seed(let seed):
      if pending.isEmpty { return durable }
      var random = SplitMix64(seed: seed)
      return random.next() & 1 == 0 ? inOrder(&random) : bySector(&random)
    }
  }

  /// Changes reach the disk in order, and the power goes in the middle of one.
  private func inOrder(_ random: inout SplitMix64) -> [UInt8] {
    let whole = Int.random(in: 0...pending.count, using: &random)
    var image = MemoryContents(durable)
    for change in pending[..<whole] { MemoryContents.apply(change, to: &image.current) }
    if whole < pending.count, case .write(let offset, let bytes) = pending[whole] {
      let isPrefix = random.next() & 1 == 0
      var isCut = false
      image.write(bytes, at: offset) { _ in
        let keep = random.next() & 3 != 0
        if !keep { isCut = true }
        return isPrefix ? !isCut : keep
      }
    }
    return image.current
  }

  /// The page cache writes back in any order: every sector holds some version between the durable one and
  /// the last. The length is journalled apart from the data and as old or new as it pleases; cutting is part
  /// of the length, so what was cut off does not come back when the file grows again.
  private func bySector(_ random: inout SplitMix64) -> [UInt8] {
    var image = durable
    var size = durable.count
    var sizeThen = size
    let sizeVersion = Int.random(in: 0...pending.count, using: &random)
    // A sector shows the writes whose index is below its version.
    var versions: [Int: Int] = [:]
    for (index, change) in pending.enumerated() {
      switch change {
      case .write(let offset, let bytes):
        if bytes.isEmpty { break }
        size = max(size, offset + bytes.count)
        if image.count < size { image.append(contentsOf: [UInt8](repeating: 0, count: size - image.count)) }
        MemoryContents.forEachSector(offset, bytes.count) { sector, range in
          let version = versions[sector] ?? Int.random(in: 0...pending.count, using: &random)
          versions[sector] = version
          guard index < version else { return }
          image.replaceSubrange(offset + range.lowerBound..<offset + range.upperBound, with: bytes[range])
        }
      case .truncate(let newSize):
        size = newSize
        if index < sizeVersion { MemoryContents.apply(.truncate(size: newSize), to: &image) }
      }
      if index < sizeVersion { sizeThen = size }
    }
    MemoryContents.apply(.truncate(size: sizeThen), to: &image)
    return image
  }
}
