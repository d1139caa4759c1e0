// Recognises a write that is sent again because its reply was lost: the second attempt gets the first
// one's answer instead of happening after writes that came in between.

import Core
import Synchronization
import Wire

/// The answers to recent writes by idempotency key, in bounded memory.
final class RecentWrites: Sendable {
  private enum Entry {
    case running([UnsafeContinuation<Void, Never>])
    case done(Response)
  }

  private struct State {
    var entries: [IdempotencyKey: Entry] = [:]
    /// Finished keys, oldest first, from `head`.
    var order: [(key: IdempotencyKey, cost: Int)] = []
    var head = 0
    var cost = 0
  }

  private let state = Mutex(State())
  private let entriesMax: Int
  private let costMax: Int

  /// - Parameter costMax: versions remembered in all answers together.
  init(entriesMax: Int = 16_384, costMax: Int = 1_000_000) {
    self.entriesMax = entriesMax
    self.costMax = costMax
  }

  /// Runs `body`, unless the write `key` has succeeded before or is running now. A write that failed may
  /// be tried again.
  func perform(
    _ key: IdempotencyKey?, _ body: () async throws(RoostError) -> Response
  ) async throws(RoostError) -> Response {
    guard let key else { return try await body() }
    while true {
      enum Claim { case mine, wait, done(Response) }
      let claim: Claim = state.withLock { state in
        switch state.entries[key] {
        case .done(let response): return .done(response)
        case .running: return .wait
        case nil:
          state.entries[key] = .running([])
          return .mine
        }
      }
      switch claim {
      case .done(let response): return response
      case .mine: return try await run(key, body)
      case .wait:
        await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
          let mayGo = state.withLock { state in
            guard case .running(let waiters) = state.entries[key] else { return true }
            state.entries[key] = .running(waiters + [continuation])
            return false
          }
          if mayGo { continuation.resume() }
        }
      }
    }
  }

  private func run(
    _ key: IdempotencyKey, _ body: () async throws(RoostError) -> Response
  ) async throws(RoostError) -> Response {
    do throws(RoostError) {
      let response = try await body()
      settle(key, response)
      return response
    } catch {
      settle(key, nil)
      throw error
    }
  }

  private func settle(_ key: IdempotencyKey, _ response: Response?) {
    let waiters = state.withLock { state -> [UnsafeContinuation<Void, Never>] in
      guard case .running(let waiters) = state.entries[key] else { return [] }
      guard let response else {
        state.entries[key] = nil
        return waiters
      }
      var cost = 1
      if case .put(let versions) = response { cost += versions.count }
      state.entries[key] = .done(response)
      state.order.append((key, cost))
      state.cost += cost
      while state.order.count - state.head > entriesMax || state.cost > costMax {
        let oldest = state.order[state.head]
        state.head += 1
        state.cost -= oldest.cost
        state.entries[oldest.key] = nil
      }
      if state.head > 4_096, state.head * 2 > state.order.count {
        state.order.removeFirst(state.head)
        state.head = 0
      }
      return waiters
    }
    for waiter in waiters { waiter.resume() }
  }
}
