// The numbers that a reconciliation runs by, what it asks of its host and how it can end.

import Core

public struct ReconcileSettings: Sendable {
  /// Bytes of a message, about; 1,200 where messages go in datagrams.
  public var messageBytes = 32 * 1024
  /// A side that waited so long says its last word again.
  public var retryNanos: UInt64 = 500_000_000
  /// After so many repeats without an answer the session has failed.
  public var retriesMax = 8
  /// More differences than this are found range by range.
  public var splitAbove = 12_000
  /// A session takes this many symbols at most.
  public var symbolsMax = 32 * 1024
  /// Symbols that a session over a part of the keys computes at first.
  public var rangeSymbols = 4_096
  /// Sessions that one node takes part in at a time.
  public var sessionsMax = 64

  public init() {}
}

/// What one replica has in a range of a shard, as of the moment when a session begins. `symbols` are the
/// first ones, such as those of the sketch; they may be none.
public struct ReconcileView: Sendable {
  public var itemCount: UInt64
  public var symbols: [CodedSymbol]

  public init(itemCount: UInt64, symbols: [CodedSymbol] = []) {
    self.itemCount = itemCount
    self.symbols = symbols
  }
}

public enum ReconcileOutcome: Hashable, Sendable {
  /// Both sides hold equal sets.
  case same
  /// The responder holds what either side held when the session began. So does the initiator if `isWhole`;
  /// else the responder still sends what it was asked for last. Only the initiator learns whether.
  case repaired(differences: Int, isWhole: Bool)
  /// Only for the initiator to act upon: go on with these ranges.
  case split([KeyRange])
  case refused(ReconcileMessage.Refusal)
  /// The other side no longer answers.
  case timedOut
}

/// What a session asks of its host. Answers go back by the method named.
public enum ReconcileEffect: Hashable, Sendable {
  case send(ReconcileMessage)
  /// Compute these symbols over the snapshot that the session began with: `provide(symbols:)`.
  case needSymbols(Range<Int>)
  /// Look up the versions of own records, as they are now, by the keys of their digests; nil for one that
  /// is gone: `provide(versions:)`.
  case needVersions([RecordDigest])
  /// Send the own records with the keys of these digests, as they are now, to the other side; when it has
  /// stored them: `pushed(number:)`.
  case push(number: Int, [RecordDigest])
  /// Send own records whose keys begin with the wanted ones (`width` bytes), and those that are newer than
  /// what the other side offers; when it has stored them: `resolved(part:wanted:)` with the keys of offers
  /// that are newer here.
  case resolve(part: Int, width: Int, wanted: [UInt64], offers: [VersionOffer])
  case finished(ReconcileOutcome)
}
