// Randomness from the kernel, fit for secrets.

import CURing
import Core
import Glibc
import Synchronization

/// `getrandom`, fetched 64 words at a time.
public final class SystemRandom: RandomSource {
  private struct State {
    var words = [UInt64](repeating: 0, count: 64)
    var used = 64
  }

  private let state = Mutex(State())

  public init() {}

  public func next() -> UInt64 {
    state.withLock { state in
      if state.used == state.words.count {
        state.words.withUnsafeMutableBytes { target in
          // Up to 256 bytes come whole and uninterrupted once the kernel's pool is ready (getrandom(2));
          // a larger request could be cut short.
          for start in stride(from: 0, to: target.count, by: 256) {
            while getrandom(target.baseAddress.map { $0 + start }, 256, 0) != 256 {}
          }
        }
        state.used = 0
      }
      defer {
        // What was handed out must not be readable from memory later.
        state.words[state.used] = 0
        state.used += 1
      }
      return state.words[state.used]
    }
  }
}
