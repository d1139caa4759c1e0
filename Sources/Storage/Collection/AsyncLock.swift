// Mutual exclusion across suspension points, and a signal that many tasks can wait for.

import Synchronization

/// A fair lock for async code: waiters get it in the order in which they came.
package final class AsyncLock: Sendable {
  private struct State {
    var isHeld = false
    var waiters: [UnsafeContinuation<Void, Never>] = []
  }
  private let state = Mutex(State())

  package init() {}

  package func acquire() async {
    await withUnsafeContinuation { continuation in
      let acquired = state.withLock { state in
        if state.isHeld {
          state.waiters.append(continuation)
          return false
        }
        state.isHeld = true
        return true
      }
      if acquired { continuation.resume() }
    }
  }

  package func release() {
    let next: UnsafeContinuation<Void, Never>? = state.withLock { state in
      precondition(state.isHeld)
      if state.waiters.isEmpty {
        state.isHeld = false
        return nil
      }
      return state.waiters.removeFirst()
    }
    next?.resume()
  }
}

/// Counts events; a task can wait until the count has passed what it saw.
final class AsyncSignal: Sendable {
  private struct State {
    var count = 0
    var waiters: [UnsafeContinuation<Void, Never>] = []
  }
  private let state = Mutex(State())

  var count: Int { state.withLock { $0.count } }

  func wait(past seen: Int) async {
    await withUnsafeContinuation { continuation in
      let passed = state.withLock { state in
        if state.count > seen { return true }
        state.waiters.append(continuation)
        return false
      }
      if passed { continuation.resume() }
    }
  }

  func fire() {
    let waiters = state.withLock { state in
      state.count += 1
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
