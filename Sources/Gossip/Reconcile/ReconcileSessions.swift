// All reconciliations of a node: the sessions that it began and those that others began with it. The face
// that the node's shell and the simulator see.

import Core

/// Which session an effect belongs to, and an answer goes to.
public struct ReconcileHandle: Hashable, Sendable {
  /// The host's number for the other node.
  public let peer: UInt64
  public let session: UInt32
  public let isInitiator: Bool
}

/// Tells messages apart, keeps time and bounds the number of sessions. Performs no I/O: it returns effects,
/// and the host brings their results.
public struct ReconcileSessions: Sendable {
  public typealias Effects = [(handle: ReconcileHandle, effect: ReconcileEffect)]

  private let settings: ReconcileSettings
  private var initiators: [ReconcileHandle: ReconcileInitiator] = [:]
  private var responders: [ReconcileHandle: ReconcileResponder] = [:]

  public init(settings: ReconcileSettings = ReconcileSettings()) { self.settings = settings }

  /// Sessions at work.
  public var activeCount: Int { initiators.values.count { !$0.isFinished } + responders.count }
  /// When `tick` has something to do next.
  public var wakeNanos: UInt64? {
    [initiators.values.map(\.wakeNanos).min(), responders.values.map(\.wakeNanos).min()].compactMap { $0 }
      .min()
  }

  /// Begins to reconcile a range of a shard with a peer.
  /// - Parameters:
  ///   - scope: names collection, shard and epoch; both sides must hold the same.
  ///   - session: a random number; its lower 28 bits count.
  ///   - view: of a snapshot that the host keeps until the session has finished.
  /// Throws `.overloaded` when too many sessions are at work.
  public mutating func begin(
    with peer: UInt64, scope: UInt64, range: KeyRange = .whole, view: ReconcileView, session: UInt32,
    nowNanos: UInt64
  ) throws(RoostError) -> (handle: ReconcileHandle, effects: Effects) {
    guard activeCount < settings.sessionsMax else {
      throw RoostError(.overloaded, "\(activeCount) reconciliations are under way", at: "reconciliation")
    }
    var number = session & ReconcileMessage.sessionMask
    while initiators[ReconcileHandle(peer: peer, session: number, isInitiator: true)] != nil {
      number = (number + 1) & ReconcileMessage.sessionMask
    }
    let handle = ReconcileHandle(peer: peer, session: number, isInitiator: true)
    var initiator = ReconcileInitiator(
      session: number, scope: scope, range: range, view: view, settings: settings, nowNanos: nowNanos)
    let effects = initiator.start()
    initiators[handle] = initiator
    return (handle, effects.map { (handle, $0) })
  }

  /// A message from a peer.
  /// - Parameter view: what this node has in a range of a shard; nil when it does not hold that shard in that
  ///   epoch. Asked only when a session begins.
  public mutating func receive(
    _ message: ReconcileMessage, from peer: UInt64, nowNanos: UInt64,
    view: (_ handle: ReconcileHandle, _ scope: UInt64, _ range: KeyRange) -> ReconcileView?
  ) -> Effects {
    switch message.body {
    case .open(let scope, let range, let items, let symbols):
      let handle = ReconcileHandle(peer: peer, session: message.session, isInitiator: false)
      if responders[handle] != nil {
        return toResponder(handle) { $0.receive(message.body, nowNanos: nowNanos) }
      }
      guard activeCount < settings.sessionsMax else { return [refusal(handle, .busy)] }
      guard let view = view(handle, scope, range) else { return [refusal(handle, .unknownScope)] }
      responders[handle] = ReconcileResponder(
        session: message.session, range: range, items: items, symbols: symbols, view: view,
        settings: settings, nowNanos: nowNanos)
      return toResponder(handle) { $0.start(nowNanos: nowNanos) }
    case .symbols, .acknowledge:
      let handle = ReconcileHandle(peer: peer, session: message.session, isInitiator: false)
      guard responders[handle] != nil else { return [refusal(handle, .unknownSession)] }
      return toResponder(handle) { $0.receive(message.body, nowNanos: nowNanos) }
    case .more, .same, .split, .differences:
      let handle = ReconcileHandle(peer: peer, session: message.session, isInitiator: true)
      guard initiators[handle] != nil else { return [refusal(handle, .unknownSession)] }
      return toInitiator(handle) { $0.receive(message.body, nowNanos: nowNanos) }
    case .refuse:
      // It does not say which side it is meant for; at most one of them knows the session.
      let own = ReconcileHandle(peer: peer, session: message.session, isInitiator: true)
      let other = ReconcileHandle(peer: peer, session: message.session, isInitiator: false)
      return toInitiator(own) { $0.receive(message.body, nowNanos: nowNanos) }
        + toResponder(other) { $0.receive(message.body, nowNanos: nowNanos) }
    }
  }

  public mutating func provide(symbols: [CodedSymbol], to handle: ReconcileHandle, nowNanos: UInt64)
    -> Effects
  {
    handle.isInitiator
      ? toInitiator(handle) { $0.provide(symbols: symbols, nowNanos: nowNanos) }
      : toResponder(handle) { $0.provide(symbols: symbols, nowNanos: nowNanos) }
  }

  public mutating func provide(versions: [Version?], to handle: ReconcileHandle, nowNanos: UInt64) -> Effects
  {
    toResponder(handle) { $0.provide(versions: versions, nowNanos: nowNanos) }
  }

  public mutating func pushed(number: Int, of handle: ReconcileHandle, nowNanos: UInt64) -> Effects {
    toResponder(handle) { $0.pushed(number: number, nowNanos: nowNanos) }
  }

  public mutating func resolved(part: Int, wanted: [UInt64], of handle: ReconcileHandle, nowNanos: UInt64)
    -> Effects
  {
    toInitiator(handle) { $0.resolved(part: part, wanted: wanted, nowNanos: nowNanos) }
  }

  public mutating func tick(nowNanos: UInt64) -> Effects {
    var effects: Effects = []
    // In a fixed order: dictionaries have another one in every process.
    for handle in initiators.keys.sorted(by: ReconcileSessions.isBefore) {
      if let initiator = initiators[handle], initiator.isFinished, nowNanos >= initiator.wakeNanos {
        initiators[handle] = nil
      } else {
        effects += toInitiator(handle) { $0.tick(nowNanos: nowNanos) }
      }
    }
    for handle in responders.keys.sorted(by: ReconcileSessions.isBefore) {
      effects += toResponder(handle) { $0.tick(nowNanos: nowNanos) }
    }
    return effects
  }

  private mutating func toInitiator(
    _ handle: ReconcileHandle, _ body: (inout ReconcileInitiator) -> [ReconcileEffect]
  ) -> Effects {
    guard initiators[handle] != nil else { return [] }
    return body(&initiators[handle]!).map { (handle, $0) }
  }

  private mutating func toResponder(
    _ handle: ReconcileHandle, _ body: (inout ReconcileResponder) -> [ReconcileEffect]
  ) -> Effects {
    guard responders[handle] != nil else { return [] }
    let effects = body(&responders[handle]!)
    if responders[handle]!.isFinished { responders[handle] = nil }
    return effects.map { (handle, $0) }
  }

  private func refusal(_ handle: ReconcileHandle, _ reason: ReconcileMessage.Refusal)
    -> (handle: ReconcileHandle, effect: ReconcileEffect)
  {
    (handle, .send(ReconcileMessage(session: handle.session, body: .refuse(reason))))
  }

  private static func isBefore(_ a: ReconcileHandle, _ b: ReconcileHandle) -> Bool {
    (a.peer, a.session) < (b.peer, b.session)
  }
}
