// Randomness that can be repeated.

import Synchronization

/// SplitMix64 behind a lock. Equal seeds and equal calls give equal numbers.
public final class SeededRandom: RandomSource {
  private let generator: Mutex<SplitMix64>

  public init(seed: UInt64) { generator = Mutex(SplitMix64(seed: seed)) }

  public func next() -> UInt64 { generator.withLock { $0.next() } }
}
