// Lets any number of writes through, and now and then stops them for a moment: how a collection changes hands
// without losing or doubling a write.

import Synchronization

/// Writers share it; whoever has it exclusively waits for those inside and holds up those that come.
final class WriteGate: Sendable {
  private struct State {
    var writers = 0
    var isHeld = false
    /// Writers that wait for the holder.
    var waiting: [UnsafeContinuation<Void, Never>] = []
    /// Holders that wait for the writers or for another holder, the first in line first.
    var holders: [UnsafeContinuation<Void, Never>] = []
  }

  private let state = Mutex(State())

  func enter() async {
    await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
      let mayGo = state.withLock { state in
        guard !state.isHeld, state.holders.isEmpty else {
          state.waiting.append(continuation)
          return false
        }
        state.writers += 1
        return true
      }
      if mayGo { continuation.resume() }
    }
  }

  func leave() {
    let holder = state.withLock { state -> UnsafeContinuation<Void, Never>? in
      precondition(state.writers > 0)
      state.writers -= 1
      guard state.writers == 0, !state.isHeld, !state.holders.isEmpty else { return nil }
      state.isHeld = true
      return state.holders.removeFirst()
    }
    holder?.resume()
  }

  /// Waits until nobody is inside and keeps everybody out; `release` must follow.
  func hold() async {
    await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
      let mayGo = state.withLock { state in
        guard state.writers == 0, !state.isHeld else {
          state.holders.append(continuation)
          return false
        }
        state.isHeld = true
        return true
      }
      if mayGo { continuation.resume() }
    }
  }

  func release() {
    let next = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
      precondition(state.isHeld && state.writers == 0)
      // Writers first: a holder that waits comes after those that waited for the last one.
      guard state.waiting.isEmpty else {
        state.isHeld = false
        state.writers = state.waiting.count
        defer { state.waiting = [] }
        return state.waiting
      }
      guard state.holders.isEmpty else { return [state.holders.removeFirst()] }
      state.isHeld = false
      return []
    }
    for continuation in next { continuation.resume() }
  }
}
