// What members say of members: the piece of news that travels on the back of every packet.

import Core

/// One statement about one member.
public enum MemberUpdate: Hashable, Sendable {
  /// From the member itself, at first hand or passed on.
  case alive(MemberID, incarnation: UInt64, MemberInfo)
  case suspect(MemberID, incarnation: UInt64, by: MemberID)
  case dead(MemberID, incarnation: UInt64, by: MemberID)
  case left(MemberID, incarnation: UInt64)

  public var member: MemberID {
    switch self {
    case .alive(let id, _, _), .suspect(let id, _, _), .dead(let id, _, _), .left(let id, _): id
    }
  }

  public var incarnation: UInt64 {
    switch self {
    case .alive(_, let number, _), .suspect(_, let number, _), .dead(_, let number, _), .left(_, let number):
      number
    }
  }

  public var state: MemberState {
    switch self {
    case .alive: .alive
    case .suspect: .suspect
    case .dead: .dead
    case .left: .left
    }
  }

  // MARK: - Bytes (`spec/gossip.md`, section Membership)

  func encode(into writer: inout ByteWriter) {
    writer.u8(state.rawValue)
    writer.u64(member.value)
    writer.varint(incarnation)
    switch self {
    case .alive(_, _, let info): info.encode(into: &writer)
    case .suspect(_, _, let by), .dead(_, _, let by): writer.u64(by.value)
    case .left: break
    }
  }

  init(from reader: inout ByteReader) throws(RoostError) {
    let start = reader.offset
    let code = try reader.u8()
    guard let state = MemberState(rawValue: code) else {
      throw RoostError(.protocolViolation, "member state \(code)", at: "byte \(start)")
    }
    let id = MemberID(try reader.u64())
    let incarnation = try reader.varint()
    // Leaves room to contradict whatever is said.
    guard incarnation <= UInt64.max >> 1 else {
      throw RoostError(.protocolViolation, "incarnation \(incarnation)", at: "byte \(start)")
    }
    switch state {
    case .alive: self = .alive(id, incarnation: incarnation, try MemberInfo(from: &reader))
    case .suspect: self = .suspect(id, incarnation: incarnation, by: MemberID(try reader.u64()))
    case .dead: self = .dead(id, incarnation: incarnation, by: MemberID(try reader.u64()))
    case .left: self = .left(id, incarnation: incarnation)
    }
  }
}

extension SocketAddress {
  func encode(into writer: inout ByteWriter) {
    writer.string(host)
    writer.u16(port)
  }

  init(from reader: inout ByteReader) throws(RoostError) {
    let host = try reader.string("host", atMost: MemberInfo.hostBytesMax)
    self.init(host: host, port: try reader.u16())
  }
}

extension MemberInfo {
  func encode(into writer: inout ByteWriter) {
    writer.string(name)
    address.encode(into: &writer)
    writer.string(zone)
    writer.string(region)
    writer.u16(capacity)
    writer.u8(protocolMin)
    writer.u8(protocolMax)
  }

  init(from reader: inout ByteReader) throws(RoostError) {
    name = try reader.string("name", atMost: MemberInfo.nameBytesMax)
    address = try SocketAddress(from: &reader)
    zone = try reader.string("zone", atMost: MemberInfo.placeBytesMax)
    region = try reader.string("region", atMost: MemberInfo.placeBytesMax)
    capacity = try reader.u16()
    protocolMin = try reader.u8()
    protocolMax = try reader.u8()
    do throws(RoostError) { try validate() } catch {
      throw RoostError(.protocolViolation, error.message, at: "member")
    }
  }
}
