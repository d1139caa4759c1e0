// One direction of a simulated connection.

/// Bytes on their way from one host to another.
///
/// Safety of `@unchecked Sendable`: the constants aside, it is touched only under the lock of its network.
final class MemoryPipe: @unchecked Sendable {
  enum Received {
    case bytes(Int)
    case end
    case broken
    /// Nothing there yet.
    case nothing
  }

  private struct Piece {
    /// Empty for the end of the stream.
    var bytes: ArraySlice<UInt8>
    var dueNanos: UInt64
  }

  let id: UInt64
  let route: MemoryNetwork.Route
  private var pieces: [Piece] = []
  private var firstPiece = 0
  private var lastDueNanos: UInt64 = 0
  private(set) var byteCount = 0
  private(set) var isBroken = false
  /// The ends have gone: by closing, or because their host has.
  private(set) var isSenderGone = false
  private(set) var isReceiverGone = false
  private var receiver: UnsafeContinuation<Void, Never>?
  private var sender: UnsafeContinuation<Void, Never>?

  init(id: UInt64, route: MemoryNetwork.Route) {
    self.id = id
    self.route = route
  }

  func joins(_ one: String, _ other: String) -> Bool {
    route == MemoryNetwork.Route(from: one, to: other) || route == MemoryNetwork.Route(from: other, to: one)
  }

  // MARK: - Bytes

  /// Returns when the piece is due; pieces never overtake one another.
  func push(_ bytes: ArraySlice<UInt8>, dueNanos: UInt64) -> UInt64 {
    lastDueNanos = max(lastDueNanos, dueNanos)
    pieces.append(Piece(bytes: bytes, dueNanos: lastDueNanos))
    byteCount += bytes.count
    return lastDueNanos
  }

  /// Moves at most `target.count` bytes that have arrived.
  func take(_ target: UnsafeMutableRawBufferPointer, nowNanos: UInt64) -> Received {
    if isBroken { return .broken }
    guard firstPiece < pieces.count, pieces[firstPiece].dueNanos <= nowNanos else { return .nothing }
    if pieces[firstPiece].bytes.isEmpty { return .end }
    var done = 0
    while done < target.count, firstPiece < pieces.count, pieces[firstPiece].dueNanos <= nowNanos {
      let count = min(target.count - done, pieces[firstPiece].bytes.count)
      if count == 0 { break }
      pieces[firstPiece].bytes.withUnsafeBytes { source in
        UnsafeMutableRawBufferPointer(rebasing: target[done..<done + count])
          .copyMemory(from: UnsafeRawBufferPointer(rebasing: source[..<count]))
      }
      pieces[firstPiece].bytes.removeFirst(count)
      done += count
      if pieces[firstPiece].bytes.isEmpty { firstPiece += 1 }
    }
    if firstPiece == pieces.count {
      pieces.removeAll(keepingCapacity: true)
      firstPiece = 0
    }
    byteCount -= done
    return .bytes(done)
  }

  /// When the next piece is due; nil when there is none.
  var nextDueNanos: UInt64? { firstPiece < pieces.count ? pieces[firstPiece].dueNanos : nil }

  // MARK: - Ends

  func fail() {
    isBroken = true
    pieces.removeAll()
    firstPiece = 0
    byteCount = 0
    wakeReceiver()
    wakeSender()
  }

  func abandonSending() {
    isSenderGone = true
    wakeSender()
  }

  func abandonReceiving() {
    isReceiverGone = true
    wakeReceiver()
    wakeSender()
  }

  // MARK: - Waiting

  func waitAsReceiver(_ continuation: UnsafeContinuation<Void, Never>) {
    precondition(receiver == nil, "two tasks receive from one connection")
    receiver = continuation
  }

  func waitAsSender(_ continuation: UnsafeContinuation<Void, Never>) {
    precondition(sender == nil, "two tasks send on one connection")
    sender = continuation
  }

  /// The woken task looks for itself what has changed. Resuming only queues it, so the lock may be held.
  func wakeReceiver() {
    let waiter = receiver
    receiver = nil
    waiter?.resume()
  }

  func wakeSender() {
    let waiter = sender
    sender = nil
    waiter?.resume()
  }
}
