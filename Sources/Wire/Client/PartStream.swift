// The consumer's end of a reply in parts.

import Core
import Synchronization

/// One streamed reply and the duty to end it: dropping it tells the server to stop.
final class PartStream: Sendable {
  private let connection: ClientConnection
  private let id: UInt32
  private let queue: PartQueue
  private let hasEnded = Atomic<Bool>(false)

  init(connection: ClientConnection, id: UInt32, queue: PartQueue) {
    self.connection = connection
    self.id = id
    self.queue = queue
  }

  // A stream that has ended has no id in the connection's table any more; then this does nothing.
  deinit { connection.giveUp(id) }

  /// The next part; nil after the last one. Confined to one task. A given deadline is for this part.
  func next(deadlineNanos: UInt64? = nil) async throws(CallFailure) -> Response? {
    guard !hasEnded.load(ordering: .relaxed) else { return nil }
    if let deadlineNanos { connection.setDeadline(deadlineNanos, of: id) }
    defer { if deadlineNanos != nil { connection.setDeadline(.max, of: id) } }
    let part = try await withTaskCancellationHandler {
      await queue.next()
    } onCancel: {
      connection.giveUp(id)
    }.get()
    if part.isLast { hasEnded.store(true, ordering: .relaxed) } else { connection.consumed(part, of: id) }
    return part.response
  }
}
