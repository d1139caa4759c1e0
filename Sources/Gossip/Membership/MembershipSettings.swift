// The numbers that membership runs by, what it asks of its host and what it tells.

import Core

public struct MembershipSettings: Sendable {
  /// One member is probed every so often, times the local health (1 to `healthMax` + 1).
  public var probeNanos: UInt64 = 1_000_000_000
  /// A direct answer has so long, times the local health; then others are asked to try.
  public var answerNanos: UInt64 = 500_000_000
  public var indirectProbes = 3
  /// A suspect has at least 4 · log₁₀(members) probe intervals, and six times as long while nobody confirms.
  public var suspicionFactor = 4.0
  public var suspicionSpread = 6.0
  public var confirmations = 2
  public var healthMax = 8
  /// News is also sent by itself, to so many members every so often, while there is any.
  public var newsNanos: UInt64 = 200_000_000
  public var newsFanOut = 3
  /// News is told 4 · log₁₀(members) times by each.
  public var newsFactor = 4
  /// The dead are told about their death for so long.
  public var newsToDeadNanos: UInt64 = 30_000_000_000
  /// Views are compared with one member this often; longer in clusters above 32.
  public var compareNanos: UInt64 = 30_000_000_000
  /// Seeds are asked again after this, twice as long each time up to `compareNanos`.
  public var joinNanos: UInt64 = 1_000_000_000
  /// Those who left or died are forgotten after this.
  public var forgetNanos: UInt64 = 24 * 3_600 * 1_000_000_000
  /// How long a node that leaves stays to tell everybody.
  public var leaveNanos: UInt64 = 3_000_000_000
  /// A mistake that tests switch on to see that they find it.
  package var bug: MembershipBug?

  public init() {}
}

/// Mistakes that the tests must find, switched on one at a time.
package enum MembershipBug: CaseIterable, Sendable {
  /// A node does not contradict what is said of it.
  case noRefutation
  /// News that is older than what is known is believed.
  case incarnationIgnored
  /// A suspect is never declared dead.
  case endlessSuspicion
  /// Views are never compared.
  case noComparison
  /// Who left is taken for dead when views are merged.
  case leftForgotten
  /// A packet takes all news, however much.
  case packetsUnbounded
  /// Members that are suspected are no longer probed, and their acks count for nothing.
  case indirectProbesSkipped
  /// Suspects are declared dead at once.
  case noSuspicion
}

public enum MembershipEvent: Hashable, Sendable {
  /// New, or back.
  case joined(Member)
  /// Name, address or another property changed.
  case changed(Member)
  case suspected(MemberID)
  case recovered(MemberID)
  case failed(MemberID)
  case left(MemberID)
  case forgotten(MemberID)
  /// A seed or member answered: this node is part of the cluster.
  case connected
  /// Everybody who could be told was told; the node may stop.
  case departed
  /// Somebody else uses this node's identity, from this address.
  case identityConflict(SocketAddress)
  /// A member speaks no version of the protocol that this node speaks.
  case incompatible(MemberID, MemberInfo)
}

public enum MembershipEffect: Hashable, Sendable {
  /// A datagram of at most `datagramBytesMax` once sealed; may be lost.
  case send([UInt8], to: SocketAddress)
  /// A message on a stream, which may be long; may fail.
  case stream([UInt8], to: SocketAddress)
  case tell(MembershipEvent)
}
