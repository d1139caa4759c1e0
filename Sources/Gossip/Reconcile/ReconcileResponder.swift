// The side that answers a reconciliation: it asks for symbols until it can decode the differences, then hands
// over part by part what it lacks and what it has.

import Core

/// One session at its responder.
struct ReconcileResponder: Sendable {
  private enum Phase {
    case decoding
    /// The host looks up the versions of conflicting records.
    case lookingUp
    case handing
    case finished
  }

  /// One part of what was found, dealt with before the next begins.
  private struct Part {
    var wanted: [UInt64] = []
    var offers: [VersionOffer] = []
    var pushed: [RecordDigest] = []
  }

  let session: UInt32
  let range: KeyRange
  private let settings: ReconcileSettings
  /// Digests that the initiator has in the range.
  private let items: UInt64
  private var decoder = PeelingDecoder()
  private var local: [CodedSymbol]
  private var isComputing = false
  /// Symbols that came from the initiator and were not decoded yet, by their first index.
  private var waiting: [Int: [CodedSymbol]] = [:]
  private var requestedEnd = 1
  private var phase = Phase.decoding
  private var remoteOnly: [RecordDigest] = []
  private var conflicts: [RecordDigest] = []
  private var parts: [Part] = []
  private var part = 0
  private var isSaid = false
  private var isAcknowledged = false
  private var pushesPending: Set<Int> = []
  private var pushNumber = 0
  private var lastWord: ReconcileMessage?
  private var retries = 0
  private(set) var wakeNanos: UInt64

  var isFinished: Bool { if case .finished = phase { true } else { false } }

  init(
    session: UInt32, range: KeyRange, items: UInt64, symbols: [CodedSymbol], view: ReconcileView,
    settings: ReconcileSettings, nowNanos: UInt64
  ) {
    self.session = session
    self.range = range
    self.settings = settings
    self.items = items
    local = view.symbols
    waiting[0] = Array(symbols.prefix(settings.symbolsMax))
    requestedEnd = min(symbols.count, settings.symbolsMax)
    wakeNanos = nowNanos &+ settings.retryNanos
  }

  mutating func start(nowNanos: UInt64) -> [ReconcileEffect] { decode(nowNanos) }

  mutating func provide(symbols more: [CodedSymbol], nowNanos: UInt64) -> [ReconcileEffect] {
    guard isComputing else { return [] }
    isComputing = false
    heard(nowNanos)
    local += more
    return decode(nowNanos)
  }

  mutating func receive(_ body: ReconcileMessage.Body, nowNanos: UInt64) -> [ReconcileEffect] {
    switch body {
    case .open:
      // At work since the first symbol: asks for one that it does not need, to be heard of.
      let word = ReconcileMessage(session: session, body: .more(from: max(1, decoder.count), count: 1))
      return [.send(lastWord ?? word)]
    case .symbols(let from, let encoded):
      guard case .decoding = phase, from >= decoder.count, from < requestedEnd, waiting[from] == nil else {
        return []
      }
      let cells: [CodedSymbol]
      do throws(RoostError) {
        cells = try encoded.withReader { (reader) throws(RoostError) in
          try SymbolCodec.read(from: from, items: items, &reader)
        }
      } catch {
        return finish(.refused(.nonsense), telling: .refuse(.nonsense))
      }
      guard !cells.isEmpty, from + cells.count <= requestedEnd else { return [] }
      heard(nowNanos)
      waiting[from] = cells
      return decode(nowNanos)
    case .acknowledge(let number, let wanted):
      guard case .handing = phase, number == part, isSaid, !isAcknowledged else { return [] }
      heard(nowNanos)
      isAcknowledged = true
      let keys = Set(wanted)
      let newer = conflicts.filter { keys.contains($0.key) }
      return push(newer) + advance()
    case .refuse(let reason): return finish(.refused(reason))
    case .more, .same, .split, .differences: return []
    }
  }

  mutating func tick(nowNanos: UInt64) -> [ReconcileEffect] {
    guard nowNanos >= wakeNanos, !isFinished else { return [] }
    wakeNanos = nowNanos &+ settings.retryNanos
    // The host is at work, and it answers for sure.
    if case .lookingUp = phase { return [] }
    guard !isComputing, pushesPending.isEmpty else { return [] }
    retries += 1
    guard retries <= settings.retriesMax else { return finish(.timedOut) }
    if case .decoding = phase { return [request(decoder.count..<max(requestedEnd, decoder.count + 1))] }
    return lastWord.map { [.send($0)] } ?? []
  }

  private mutating func heard(_ nowNanos: UInt64) {
    retries = 0
    wakeNanos = nowNanos &+ settings.retryNanos
  }

  // MARK: - Decoding

  private mutating func decode(_ nowNanos: UInt64) -> [ReconcileEffect] {
    while let cells = waiting[decoder.count] {
      let end = decoder.count + cells.count
      if end > local.count {
        guard !isComputing else { return [] }
        isComputing = true
        let wish = max(end, 2 * local.count, Int(1.6 * decoder.estimate.value), settings.rangeSymbols)
        return [.needSymbols(local.count..<max(end, min(settings.symbolsMax, wish)))]
      }
      waiting[decoder.count] = nil
      do throws(RoostError) {
        try decoder.add(remote: cells[...], local: local[decoder.count..<end])
      } catch {
        return finish(.refused(.nonsense), telling: .refuse(.nonsense))
      }
      if decoder.isComplete { return complete(nowNanos) }
    }
    guard decoder.count >= requestedEnd else { return [] }
    if let bits = splitBits { return finish(.split(range.parts(bits) ?? []), telling: .split(bits: bits)) }
    let end = min(settings.symbolsMax, nextEnd)
    guard end > decoder.count else {
      return finish(.refused(.tooDifferent), telling: .refuse(.tooDifferent))
    }
    return [request(decoder.count..<end)]
  }

  /// How far to ask next. About 1.35 symbols a difference will do when there are many; a little at a time
  /// costs round trips, too much at a time costs bytes.
  private var nextEnd: Int {
    let have = decoder.count
    // While the need is unknown: a round trip costs about as much as half a symbol.
    let step = max(1, Int((1.1 * Double(have)).squareRoot().rounded()))
    // Nearly surely needed: what the estimate says, less its error; a few symbols only say by how much the
    // sizes differ.
    let estimate = decoder.estimate
    let sure =
      have < 8
      ? 1.2 * estimate.least : 1.35 * estimate.value * max(0.3, 1 - 1.2 * estimate.relativeError)
    let jump = Int(min(sure, 4 * Double(max(have, 16))))
    return max(jump, have + (have < 64 ? step : max(2, have / 24)))
  }

  private var splitBits: Int? {
    let wish = decoder.count >= 64 ? decoder.estimate.value : 0
    guard wish > Double(settings.splitAbove) else { return nil }
    var bits = 1
    while wish / Double(1 << bits) > 0.6 * Double(settings.splitAbove) { bits += 1 }
    bits = min(bits, KeyRange.bitsMax - range.bits)
    return bits > 0 ? bits : nil
  }

  private mutating func request(_ indices: Range<Int>) -> ReconcileEffect {
    requestedEnd = max(requestedEnd, indices.upperBound)
    return say(.more(from: indices.lowerBound, count: indices.count))
  }

  // MARK: - Handing over

  private mutating func complete(_ nowNanos: UInt64) -> [ReconcileEffect] {
    local = []
    waiting = [:]
    guard decoder.differenceCount > 0 else { return finish(.same, telling: .same) }
    remoteOnly = decoder.remoteOnly
    let theirs = Set(remoteOnly.map(\.key))
    conflicts = decoder.localOnly.filter { theirs.contains($0.key) }
    phase = .lookingUp
    return conflicts.isEmpty ? provide(versions: [], nowNanos: nowNanos) : [.needVersions(conflicts)]
  }

  mutating func provide(versions: [Version?], nowNanos: UInt64) -> [ReconcileEffect] {
    guard case .lookingUp = phase, versions.count == conflicts.count else { return [] }
    phase = .handing
    heard(nowNanos)
    let offers = zip(conflicts, versions).compactMap { digest, version in
      version.map { VersionOffer(key: digest.key, version: $0) }
    }
    let conflicting = Set(conflicts.map(\.key))
    let shift = UInt64(8 * (7 - keyWidth))
    let wanted = Set(remoteOnly.lazy.map(\.key).filter { !conflicting.contains($0) }.map { $0 >> shift })
      .sorted()
    let own = decoder.localOnly.filter { !conflicting.contains($0.key) }.sorted()
    let perPart = max(1, settings.messageBytes / 20)
    let count = max(
      1, [wanted.count, offers.count, own.count].map { ($0 + perPart - 1) / perPart }.max() ?? 1)
    parts = (0..<count).map { index in
      func slice<T>(_ all: [T]) -> [T] { Array(all.dropFirst(index * perPart).prefix(perPart)) }
      return Part(wanted: slice(wanted), offers: slice(offers), pushed: slice(own))
    }
    return hand()
  }

  /// Bytes of a key that tell it from all others of the initiator but for one chance in two million.
  private var keyWidth: Int {
    let bits = 64 - items.leadingZeroBitCount + 21
    return min(7, (bits + 7) / 8)
  }

  /// First what the initiator lacks, then the word: when the initiator hears the last one, it has everything.
  private mutating func hand() -> [ReconcileEffect] {
    isAcknowledged = false
    isSaid = false
    let effects = push(parts[part].pushed)
    return effects.isEmpty ? sayPart() : effects
  }

  private mutating func sayPart() -> [ReconcileEffect] {
    isSaid = true
    return [
      say(
        .differences(
          part: part, isLast: part == parts.count - 1, width: keyWidth, wanted: parts[part].wanted,
          offers: parts[part].offers))
    ]
  }

  private mutating func push(_ digests: [RecordDigest]) -> [ReconcileEffect] {
    guard !digests.isEmpty else { return [] }
    pushNumber += 1
    pushesPending.insert(pushNumber)
    return [.push(number: pushNumber, digests)]
  }

  mutating func pushed(number: Int, nowNanos: UInt64) -> [ReconcileEffect] {
    guard pushesPending.remove(number) != nil else { return [] }
    heard(nowNanos)
    return advance()
  }

  private mutating func advance() -> [ReconcileEffect] {
    guard case .handing = phase, pushesPending.isEmpty else { return [] }
    guard isSaid else { return sayPart() }
    guard isAcknowledged else { return [] }
    part += 1
    return part < parts.count
      ? hand() : finish(.repaired(differences: decoder.differenceCount, isWhole: false))
  }

  private mutating func say(_ body: ReconcileMessage.Body) -> ReconcileEffect {
    let message = ReconcileMessage(session: session, body: body)
    lastWord = message
    return .send(message)
  }

  private mutating func finish(_ outcome: ReconcileOutcome, telling body: ReconcileMessage.Body? = nil)
    -> [ReconcileEffect]
  {
    phase = .finished
    let word = body.map { [ReconcileEffect.send(ReconcileMessage(session: session, body: $0))] } ?? []
    return word + [.finished(outcome)]
  }
}
