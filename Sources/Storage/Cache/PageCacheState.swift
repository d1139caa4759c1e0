// The bookkeeping of a page cache: which frame holds what, and in which order frames leave. No bytes, no
// locks; deterministic.

import Core

/// S3-FIFO: new pages enter a small queue (a tenth of the frames), and only those that are asked for again
/// before they reach its end move to the main queue, where each use buys another round. A page that comes
/// back soon after it left goes to the main queue at once. Pages that are seen once, as scans do, never push
/// out those in the main queue.
struct PageCacheState {
  private enum Place: UInt8 { case free, reserved, small, main }

  private struct Frame {
    var pins: UInt32 = 0
    var uses: UInt8 = 0
    var place = Place.free
    /// Not to be found any more; free when the last pin goes.
    var isForgotten = false
  }

  /// A page that left: enough of its hash to know it again, and when it left.
  private struct Ghost {
    var mark: UInt32 = 0
    var time: UInt32 = 0
  }

  private static let usesMax: UInt8 = 3
  private static let smallShare = 10
  /// Pinned frames that are passed over in search of one to free.
  private static let pinnedMax = 256

  /// Frames that there can be.
  private let capacity: Int
  /// Frames that may be in use.
  private(set) var limit: Int
  /// Frames that are not free.
  private(set) var inUse = 0
  private(set) var stats = PageCacheStats()
  /// As many as were ever in use at once.
  private var frames: [Frame] = []
  private var free: [Int32] = []
  private var small = FrameQueue()
  private var main = FrameQueue()
  private var table = FrameTable()
  private var ghosts: [Ghost] = [Ghost()]
  private var clock: UInt32 = 0
  private var nextOwner: UInt32 = 0

  init(frames capacity: Int) {
    self.capacity = capacity
    limit = capacity
  }

  /// The key of a page: whose it is, and which.
  static func key(owner: UInt32, page: Int) -> UInt64 { UInt64(owner) << 40 | UInt64(page) }

  mutating func makeOwner() -> UInt32 {
    nextOwner = (nextOwner + 1) & 0xff_ffff
    return nextOwner
  }

  func contains(_ key: UInt64) -> Bool { table.find(key) != nil }

  mutating func lookup(_ key: UInt64, again: Bool = false) -> Int? {
    guard let frame = table.find(key) else {
      if !again { stats.misses += 1 }
      return nil
    }
    frames[frame].pins += 1
    if again { return frame }
    stats.hits += 1
    if frames[frame].uses < Self.usesMax { frames[frame].uses += 1 }
    return frame
  }

  mutating func reserve() -> Int? {
    while inUse >= limit {
      guard evict() else {
        stats.refusals += 1
        return nil
      }
    }
    guard let frame = takeFree() else { return nil }
    inUse += 1
    frames[frame] = Frame(pins: 1, place: .reserved)
    return frame
  }

  mutating func publish(_ frame: Int, as key: UInt64) {
    precondition(frames[frame].place == .reserved && frames[frame].pins == 1)
    // Another reader may have been faster; then this frame goes with its pin.
    guard table.find(key) == nil else { return }
    table.insert(key, frame)
    let ghost = ghosts[ghostIndex(key)]
    if ghost.mark == ghostMark(key), clock &- ghost.time <= UInt32(limit) {
      frames[frame].place = .main
      main.append(frame)
    } else {
      frames[frame].place = .small
      small.append(frame)
    }
  }

  /// - Returns: whether frames are free that the limit leaves no use for.
  mutating func release(_ frame: Int) -> Bool {
    precondition(frames[frame].pins > 0)
    frames[frame].pins -= 1
    guard frames[frame].pins == 0 else { return false }
    if frames[frame].place == .reserved { putBack(frame) }
    guard inUse > limit else { return false }
    return evict()
  }

  mutating func forget(owner: UInt32) {
    for frame in frames.indices
    where (frames[frame].place == .small || frames[frame].place == .main) && !frames[frame].isForgotten
      && table.keys[frame] >> 40 == UInt64(owner)
    {
      table.remove(table.keys[frame])
      frames[frame].isForgotten = true
      frames[frame].uses = 0
    }
  }

  /// Frames that went out of use and whose memory can be given back, before `returnFrames` puts them among
  /// the free ones.
  mutating func setLimit(_ count: Int) -> [Int] {
    limit = min(count, capacity)
    while inUse > limit, evict() {}
    defer { free.removeAll() }
    return free.map { Int($0) }
  }

  mutating func returnFrames(_ returned: [Int]) { free += returned.map { Int32($0) } }

  private mutating func takeFree() -> Int? {
    if let frame = free.popLast() { return Int(frame) }
    guard frames.count < capacity else { return nil }
    frames.append(Frame())
    table.makeRoom(forFrames: frames.count)
    if ghosts.count < frames.count { ghosts = Array(repeating: Ghost(), count: ghosts.count * 2) }
    return frames.count - 1
  }

  private mutating func putBack(_ frame: Int) {
    frames[frame] = Frame()
    inUse -= 1
    free.append(Int32(frame))
  }

  /// Frees one frame; false when all that were looked at are pinned.
  private mutating func evict() -> Bool {
    let isSmallDue = main.count == 0 || small.count * Self.smallShare >= limit
    return isSmallDue ? evictFromSmall() || evictFromMain() : evictFromMain() || evictFromSmall()
  }

  private mutating func evictFromSmall() -> Bool {
    for _ in 0..<small.count {
      let frame = small.removeFirst()
      if frames[frame].uses > 0 {
        frames[frame].uses = 0
        frames[frame].place = .main
        main.append(frame)
      } else if frames[frame].pins > 0 {
        small.append(frame)
      } else {
        leave(frame)
        return true
      }
    }
    return false
  }

  private mutating func evictFromMain() -> Bool {
    var pinned = 0
    let most = min(main.count * (Int(Self.usesMax) + 1), Self.pinnedMax)
    while main.count > 0, pinned < most {
      let frame = main.removeFirst()
      if frames[frame].pins > 0 {
        pinned += 1
      } else if frames[frame].uses == 0 {
        leave(frame)
        return true
      } else {
        frames[frame].uses -= 1
      }
      main.append(frame)
    }
    return false
  }

  private mutating func leave(_ frame: Int) {
    if !frames[frame].isForgotten {
      let key = table.keys[frame]
      table.remove(key)
      if frames[frame].place == .small { ghosts[ghostIndex(key)] = Ghost(mark: ghostMark(key), time: clock) }
      clock &+= 1
    }
    stats.evictions += 1
    putBack(frame)
  }

  private func ghostIndex(_ key: UInt64) -> Int {
    Int(truncatingIfNeeded: FrameTable.hash(key) >> 8) & (ghosts.count - 1)
  }
  /// Never 0, which is what an empty ghost has.
  private func ghostMark(_ key: UInt64) -> UInt32 {
    UInt32(truncatingIfNeeded: FrameTable.hash(key) >> 32) | 1
  }
}

/// A first-in-first-out queue of frames.
private struct FrameQueue {
  private var items: [Int32] = Array(repeating: 0, count: 16)
  private var head = 0
  private(set) var count = 0

  mutating func append(_ frame: Int) {
    if count == items.count { grow() }
    items[(head + count) & (items.count - 1)] = Int32(frame)
    count += 1
  }

  mutating func removeFirst() -> Int {
    precondition(count > 0)
    defer {
      head = (head + 1) & (items.count - 1)
      count -= 1
    }
    return Int(items[head])
  }

  private mutating func grow() {
    let ordered = (0..<count).map { items[(head + $0) & (items.count - 1)] }
    items = ordered + Array(repeating: 0, count: count)
    head = 0
  }
}

/// From key to frame: open addressing with linear probing; a slot holds the frame + 1.
struct FrameTable {
  /// The key of each frame; only those of frames in the table mean something.
  private(set) var keys: [UInt64] = []
  private var slots: [Int32] = Array(repeating: 0, count: 8)
  private var mask = 7

  mutating func makeRoom(forFrames count: Int) {
    while keys.count < count { keys.append(0) }
    guard count + count / 2 > slots.count else { return }
    let old = slots
    slots = Array(repeating: 0, count: old.count * 2)
    mask = slots.count - 1
    for entry in old where entry != 0 { insert(keys[Int(entry) - 1], Int(entry) - 1) }
  }

  @inline(__always)
  static func hash(_ key: UInt64) -> UInt64 {
    let product = key &* 0x9e37_79b9_7f4a_7c15
    return product ^ (product >> 29)
  }

  private func home(_ key: UInt64) -> Int { Int(truncatingIfNeeded: Self.hash(key) >> 16) & mask }

  @inline(__always)
  func find(_ key: UInt64) -> Int? {
    var slot = home(key)
    while slots[slot] != 0 {
      let frame = Int(slots[slot]) - 1
      if keys[frame] == key { return frame }
      slot = (slot + 1) & mask
    }
    return nil
  }

  mutating func insert(_ key: UInt64, _ frame: Int) {
    keys[frame] = key
    var slot = home(key)
    while slots[slot] != 0 { slot = (slot + 1) & mask }
    slots[slot] = Int32(frame) + 1
  }

  /// Removes a key and moves up those behind it that would not be found across the gap.
  mutating func remove(_ key: UInt64) {
    var slot = home(key)
    while slots[slot] != 0, keys[Int(slots[slot]) - 1] != key { slot = (slot + 1) & mask }
    guard slots[slot] != 0 else { return }
    var gap = slot
    while true {
      slot = (slot + 1) & mask
      guard slots[slot] != 0 else { break }
      let start = home(keys[Int(slots[slot]) - 1])
      // An entry whose home lies cyclically in (gap, slot] is found without passing the gap.
      let stays = gap <= slot ? (start > gap && start <= slot) : (start > gap || start <= slot)
      if !stays {
        slots[gap] = slots[slot]
        gap = slot
      }
    }
    slots[gap] = 0
  }
}
