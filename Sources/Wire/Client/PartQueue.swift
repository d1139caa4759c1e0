// The parts of a streamed reply between the connection's reader and the one task that consumes them.
// Its size is bounded by the credit that the client has given.

import Core
import Synchronization

final class PartQueue: Sendable {
  struct Part {
    var response: Response
    /// What the part used of the stream's credit; 0 for the last one.
    var creditBytes: Int
    var isLast: Bool
  }

  private struct State {
    var parts: [Part] = []
    var head = 0
    var failure: CallFailure?
    var waiter: UnsafeContinuation<Void, Never>?
  }

  private let state = Mutex(State())

  func add(_ part: Part) {
    let waiter = state.withLock { state in
      state.parts.append(part)
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }

  /// Parts that came before are still handed out.
  func fail(_ failure: CallFailure) {
    let waiter = state.withLock { state in
      state.failure = failure
      defer { state.waiter = nil }
      return state.waiter
    }
    waiter?.resume()
  }

  func next() async -> Result<Part, CallFailure> {
    while true {
      let result = state.withLock { state -> Result<Part, CallFailure>? in
        if state.head < state.parts.count {
          let part = state.parts[state.head]
          state.head += 1
          if state.head == state.parts.count {
            state.parts.removeAll(keepingCapacity: true)
            state.head = 0
          }
          return .success(part)
        }
        return state.failure.map { .failure($0) }
      }
      if let result { return result }
      await withUnsafeContinuation { (continuation: UnsafeContinuation<Void, Never>) in
        let mayGo = state.withLock { state in
          if !state.parts.isEmpty || state.failure != nil { return true }
          precondition(state.waiter == nil, "a streamed reply has one consumer")
          state.waiter = continuation
          return false
        }
        if mayGo { continuation.resume() }
      }
    }
  }
}
