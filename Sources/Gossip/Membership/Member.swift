// A node of the cluster as others know it.

import Core

/// The permanent identity of a node: a random number made with its data folder. Name and address may change.
public struct MemberID: Hashable, Comparable, Sendable, CustomStringConvertible {
  public let value: UInt64

  public init(_ value: UInt64) { self.value = value }

  public static func < (a: MemberID, b: MemberID) -> Bool { a.value < b.value }
  public var description: String { String(value, radix: 16) }
}

/// What a node says of itself; a change comes with a higher incarnation.
public struct MemberInfo: Hashable, Sendable {
  public static let nameBytesMax = 64
  public static let placeBytesMax = 32
  public static let hostBytesMax = 255

  public var name: String
  /// Where its gossip is received, datagrams and streams alike.
  public var address: SocketAddress
  /// Failure domain: replicas of a shard go to different zones.
  public var zone: String
  /// Legal domain: what is sovereign never leaves it.
  public var region: String
  /// Share of the data relative to other nodes; 100 is usual, 0 takes none.
  public var capacity: UInt16
  /// Versions of the protocol between nodes that it speaks.
  public var protocolMin: UInt8
  public var protocolMax: UInt8

  public init(
    name: String, address: SocketAddress, zone: String = "", region: String = "", capacity: UInt16 = 100,
    protocolMin: UInt8 = 1, protocolMax: UInt8 = 1
  ) {
    self.name = name
    self.address = address
    self.zone = zone
    self.region = region
    self.capacity = capacity
    self.protocolMin = protocolMin
    self.protocolMax = protocolMax
  }

  /// Throws `.invalidArgument` for what would not fit into a message.
  public func validate() throws(RoostError) {
    func check(_ what: String, _ text: String, _ limit: Int, isOptional: Bool) throws(RoostError) {
      guard text.utf8.count <= limit, isOptional || !text.isEmpty else {
        throw RoostError(
          .invalidArgument, "a \(what) of \(text.utf8.count) bytes, 1 to \(limit) are allowed", at: what)
      }
    }
    try check("name", name, MemberInfo.nameBytesMax, isOptional: false)
    try check("host", address.host, MemberInfo.hostBytesMax, isOptional: false)
    try check("zone", zone, MemberInfo.placeBytesMax, isOptional: true)
    try check("region", region, MemberInfo.placeBytesMax, isOptional: true)
    guard protocolMin <= protocolMax else {
      throw RoostError(.invalidArgument, "protocol versions \(protocolMin) to \(protocolMax)", at: "member")
    }
  }
}

/// From the best to the worst; of two statements with equal incarnations the worse one holds.
public enum MemberState: UInt8, Comparable, Sendable, CaseIterable {
  case alive = 0
  case suspect = 1
  case dead = 2
  /// It said good-bye.
  case left = 3

  public static func < (a: MemberState, b: MemberState) -> Bool { a.rawValue < b.rawValue }

  /// Counts as part of the cluster.
  public var isPresent: Bool { self <= .suspect }
}

public struct Member: Hashable, Sendable {
  public let id: MemberID
  public internal(set) var info: MemberInfo
  /// Raised only by the member itself, to contradict what is said of it.
  public internal(set) var incarnation: UInt64
  public internal(set) var state: MemberState
}
