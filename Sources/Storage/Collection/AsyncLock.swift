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

/// Counts those who use something, so that whoever ends it can wait for them.
final class UserCount: Sendable {
  private struct State {
    var count = 0
    var isEnding = false
    var waiters: [UnsafeContinuation<Void, Never>] = []
  }
  private let state = Mutex(State())

  /// False when the end has begun. Otherwise `leave` must follow.
  func enter() -> Bool {
    state.withLock { state in
      if !state.isEnding { state.count += 1 }
      return !state.isEnding
    }
  }

  func leave() {
    let waiters: [UnsafeContinuation<Void, Never>] = state.withLock { state in
      precondition(state.count > 0)
      state.count -= 1
      guard state.count == 0 else { return [] }
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.resume() }
  }

  /// Lets nobody in any more and returns once the last one has left.
  func drain() async {
    await withUnsafeContinuation { continuation in
      let isEmpty = state.withLock { state in
        state.isEnding = true
        if state.count > 0 { state.waiters.append(continuation) }
        return state.count == 0
      }
      if isEmpty { continuation.resume() }
    }
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
