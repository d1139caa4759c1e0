// The one error type of Roost. Every failure that a user, a peer, a disk or a guest can cause ends
// here: a stable kind (the code on the wire), what happened, where, and what to do about it.

/// A typed error: `kind` for programs, the three texts for people.
public struct RoostError: Error, Sendable, Equatable, CustomStringConvertible {
  /// Stable codes; they are part of the wire protocol (`spec/wire.md`) and never change meaning.
  public enum Kind: UInt16, Sendable, CaseIterable {
    case invalidArgument = 1
    case notFound = 2
    case alreadyExists = 3
    case corrupted = 4
    case io = 5
    case noSpace = 6
    case limitExceeded = 7
    case overloaded = 8
    case deadlineExceeded = 9
    case cancelled = 10
    case unsupportedVersion = 11
    case protocolViolation = 12
    case readOnly = 13
    case locked = 14
    case moduleFailed = 15
    case unavailable = 16
    case permissionDenied = 17
    case connectionClosed = 18
    case internalFailure = 19
  }

  public var kind: Kind
  /// What happened, as one sentence without a full stop.
  public var message: String
  /// Where: a file and offset, a field, a collection. Empty when the message says it all.
  public var place: String
  /// What to do about it. Empty when nothing useful can be said.
  public var remedy: String

  public init(_ kind: Kind, _ message: String, at place: String = "", remedy: String = "") {
    self.kind = kind
    self.message = message
    self.place = place
    self.remedy = remedy
  }

  public var description: String {
    var text = "\(kind): \(message)"
    if !place.isEmpty { text += " (at \(place))" }
    if !remedy.isEmpty { text += "; \(remedy)" }
    return text
  }

  /// Corruption found in `file` at byte `offset`.
  public static func corrupted(_ message: String, file: String, offset: UInt64) -> RoostError {
    RoostError(
      .corrupted, message, at: "\(file) offset \(offset)",
      remedy: "run `roost verify`, then restore this collection from a backup")
  }
}
