// The side that begins a reconciliation: it sends coded symbols for as long as it is asked, then does what
// the responder found.

import Core

/// One session at its initiator. All it knows of the other side comes in messages, and any of them may be
/// lost, repeated or late.
struct ReconcileInitiator: Sendable {
  let session: UInt32
  let scope: UInt64
  let range: KeyRange
  private let settings: ReconcileSettings
  private let itemCount: UInt64
  private var symbols: [CodedSymbol]
  /// What was asked for and waits for the host's symbols.
  private var owed: Range<Int>?
  private var nextPart = 0
  private var resolving: Int?
  private var isLastPart = false
  private var lastAcknowledgement: ReconcileMessage?
  private var retries = 0
  private(set) var isFinished = false
  /// Repeated differences are acknowledged until then, although the session is over.
  private(set) var wakeNanos: UInt64
  private var differences = 0
  private var isWhole = true

  init(
    session: UInt32, scope: UInt64, range: KeyRange, view: ReconcileView, settings: ReconcileSettings,
    nowNanos: UInt64
  ) {
    self.session = session
    self.scope = scope
    self.range = range
    self.settings = settings
    itemCount = view.itemCount
    symbols = view.symbols
    wakeNanos = nowNanos &+ settings.retryNanos
  }

  mutating func start() -> [ReconcileEffect] {
    symbols.isEmpty ? [.needSymbols(0..<settings.rangeSymbols)] : [open]
  }

  private var open: ReconcileEffect {
    send(.open(scope: scope, range: range, items: itemCount, symbols: [symbols[0]]))
  }

  mutating func provide(symbols more: [CodedSymbol], nowNanos: UInt64) -> [ReconcileEffect] {
    let isFirst = symbols.isEmpty
    symbols += more
    heard(nowNanos)
    if isFirst { return [open] }
    guard let owed, owed.upperBound <= symbols.count else { return [] }
    self.owed = nil
    return answer(owed)
  }

  mutating func receive(_ body: ReconcileMessage.Body, nowNanos: UInt64) -> [ReconcileEffect] {
    if isFinished {
      if case .differences(let part, _, _, _, _) = body, part == nextPart - 1, let lastAcknowledgement {
        return [.send(lastAcknowledgement)]
      }
      return []
    }
    switch body {
    case .more(let from, let count):
      guard nextPart == 0, resolving == nil, !symbols.isEmpty else { return [] }
      heard(nowNanos)
      guard from + count <= settings.symbolsMax else { return [] }
      if from + count <= symbols.count { return answer(from..<from + count) }
      guard owed == nil else { return [] }
      owed = from..<from + count
      // Doubling: every symbol costs a pass over the digests, and many cost hardly more than one.
      let end = min(settings.symbolsMax, max(from + count, 2 * symbols.count, settings.rangeSymbols))
      return [.needSymbols(symbols.count..<end)]
    case .same: return finish(.same, nowNanos)
    case .split(let bits):
      guard let parts = range.parts(bits) else { return finish(.refused(.tooDifferent), nowNanos) }
      return finish(.split(parts), nowNanos)
    case .refuse(let reason): return finish(.refused(reason), nowNanos)
    case .differences(let part, let isLast, let width, let wanted, let offers):
      heard(nowNanos)
      if part == nextPart - 1, let lastAcknowledgement { return [.send(lastAcknowledgement)] }
      guard part == nextPart, resolving == nil else { return [] }
      resolving = part
      isLastPart = isLast
      differences += wanted.count + offers.count
      return [.resolve(part: part, width: width, wanted: wanted, offers: offers)]
    case .open, .symbols, .acknowledge: return []
    }
  }

  mutating func resolved(part: Int, wanted: [UInt64], nowNanos: UInt64) -> [ReconcileEffect] {
    guard resolving == part else { return [] }
    resolving = nil
    nextPart += 1
    if !wanted.isEmpty { isWhole = false }
    heard(nowNanos)
    let message = ReconcileMessage(session: session, body: .acknowledge(part: part, wanted: wanted))
    lastAcknowledgement = message
    return [.send(message)]
      + (isLastPart ? finish(.repaired(differences: differences, isWhole: isWhole), nowNanos) : [])
  }

  /// Time has passed. Says the first word again while nothing is heard: a responder that knows the session
  /// then repeats its last word, and one that forgot it begins anew.
  mutating func tick(nowNanos: UInt64) -> [ReconcileEffect] {
    guard nowNanos >= wakeNanos, !isFinished else { return [] }
    wakeNanos = nowNanos &+ settings.retryNanos
    // The host is at work, and it answers for sure.
    guard resolving == nil, owed == nil, !symbols.isEmpty else { return [] }
    retries += 1
    guard retries <= settings.retriesMax else { return finish(.timedOut, nowNanos) }
    return nextPart == 0 ? [open] : lastAcknowledgement.map { [.send($0)] } ?? []
  }

  private mutating func heard(_ nowNanos: UInt64) {
    retries = 0
    wakeNanos = nowNanos &+ settings.retryNanos
  }

  private mutating func finish(_ outcome: ReconcileOutcome, _ nowNanos: UInt64) -> [ReconcileEffect] {
    isFinished = true
    symbols = []
    wakeNanos = nowNanos &+ settings.retryNanos &* UInt64(settings.retriesMax)
    return [.finished(outcome)]
  }

  /// Symbols in messages of the size that was set.
  private func answer(_ indices: Range<Int>) -> [ReconcileEffect] {
    let perMessage = max(1, settings.messageBytes / 20)
    return stride(from: indices.lowerBound, to: indices.upperBound, by: perMessage).map { start in
      var writer = ByteWriter(reserving: settings.messageBytes)
      let end = min(start + perMessage, indices.upperBound)
      SymbolCodec.write(symbols[start..<end], from: start, items: itemCount, into: &writer)
      return send(.symbols(from: start, encoded: writer.bytes))
    }
  }

  private func send(_ body: ReconcileMessage.Body) -> ReconcileEffect {
    .send(ReconcileMessage(session: session, body: body))
  }
}
