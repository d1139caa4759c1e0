// When a record was written, in the order that all nodes agree on: a hybrid logical clock
// (Kulkarni et al., "Logical Physical Clocks", OPODIS 2014) and the node that stamped it.

import Synchronization

/// A hybrid logical timestamp and its node; the higher one wins when two writes meet.
public struct Version: Hashable, Comparable, Sendable {
  /// Upper 48 bits: milliseconds since 1970; lower 16 bits: logical counter.
  public let time: UInt64
  public let node: UInt32

  public static let zero = Version(time: 0, node: 0)
  public static let byteCount = 12

  public init(time: UInt64, node: UInt32) {
    self.time = time
    self.node = node
  }

  public static func < (a: Version, b: Version) -> Bool {
    a.time != b.time ? a.time < b.time : a.node < b.node
  }

  public func encode(into writer: inout ByteWriter) {
    writer.u64(time)
    writer.u32(node)
  }

  public init(from reader: inout ByteReader) throws(RoostError) {
    time = try reader.u64()
    node = try reader.u32()
  }
}

/// Issues versions that never repeat and never go back, whatever the wall clock does.
public final class HybridClock: Sendable {
  private let clock: any Clock
  private let node: UInt32
  private let last: Mutex<UInt64>

  public init(clock: any Clock, node: UInt32, startingAfter version: Version = .zero) {
    self.clock = clock
    self.node = node
    last = Mutex(version.time)
  }

  public func next() -> Version {
    let wall = UInt64(max(0, clock.wallMicros() / 1000)) << 16
    return last.withLock { last in
      last = max(last + 1, wall)
      return Version(time: last, node: node)
    }
  }

  /// Moves the clock past a version that was seen, so that what comes next is later.
  public func observe(_ version: Version) {
    last.withLock { $0 = max($0, version.time) }
  }
}
