// A network that does to packets what networks do, by a seed.

import Core

/// Decides for each packet whether and when it arrives. Nodes are numbers.
package struct PacketNetwork {
  package struct Settings {
    /// Of a datagram, 0 to 1.
    package var loss = 0.0
    package var duplication = 0.0
    package var delayNanos: ClosedRange<UInt64> = 500_000...5_000_000
    /// Some datagrams take this much longer and are overtaken by others.
    package var strayShare = 0.01
    package var strayNanos: UInt64 = 400_000_000

    package init() {}
  }

  package var settings: Settings
  /// Pairs (from, to) between which nothing passes.
  private var blocked: Set<UInt64> = []
  private var random: SplitMix64

  package init(seed: UInt64, settings: Settings = Settings()) {
    random = SplitMix64(seed: seed)
    self.settings = settings
  }

  /// When copies of a datagram arrive; none if it is lost.
  package mutating func datagram(from: Int, to: Int) -> [UInt64] {
    guard !isBlocked(from, to), !happens(settings.loss) else { return [] }
    return happens(settings.duplication) ? [delay(), delay()] : [delay()]
  }

  /// When a message on a stream arrives; nil when no connection comes about. Loss costs it time.
  package mutating func stream(from: Int, to: Int) -> UInt64? {
    guard !isBlocked(from, to), !isBlocked(to, from) else { return nil }
    var nanos = 3 * delay()
    for _ in 0..<4 where happens(settings.loss) { nanos += 300_000_000 }
    return nanos
  }

  package mutating func block(from: Int, to: Int) { blocked.insert(key(from, to)) }
  package mutating func unblock(from: Int, to: Int) { blocked.remove(key(from, to)) }
  package mutating func heal() { blocked = [] }

  /// Cuts the nodes of one group from those of the other, both ways.
  package mutating func partition(_ one: [Int], from other: [Int]) {
    for a in one {
      for b in other {
        block(from: a, to: b)
        block(from: b, to: a)
      }
    }
  }

  package func isBlocked(_ from: Int, _ to: Int) -> Bool {
    !blocked.isEmpty && blocked.contains(key(from, to))
  }

  private func key(_ from: Int, _ to: Int) -> UInt64 { UInt64(from) << 32 | UInt64(to) }

  private mutating func happens(_ share: Double) -> Bool {
    share > 0 && Double(random.next() >> 11) / 0x1p53 < share
  }

  private mutating func delay() -> UInt64 {
    let width = settings.delayNanos.upperBound - settings.delayNanos.lowerBound
    let usual = settings.delayNanos.lowerBound + random.next() % (width + 1)
    return happens(settings.strayShare) ? usual + random.next() % settings.strayNanos : usual
  }
}
