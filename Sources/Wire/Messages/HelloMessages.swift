// The first exchange on every connection: protocol version, features and the limits of both sides.

import Core

/// What both sides of a connection can agree to use.
package struct Features: OptionSet, Sendable {
  package let rawValue: UInt64
  package init(rawValue: UInt64) { self.rawValue = rawValue }

  /// Bodies may be LZ4 blocks.
  package static let compression = Features(rawValue: 1)
  /// Replies may come in parts, under flow control.
  package static let streams = Features(rawValue: 2)

  package static let supported: Features = [.compression, .streams]
}

package struct HelloRequest: Sendable, Equatable {
  package var versionMin: UInt8 = FrameHeader.version
  package var versionMax: UInt8 = FrameHeader.version
  package var offered: Features
  package var required: Features
  /// The longest body that the client takes.
  package var bodyBytesMax: UInt32
  /// The credit that every stream begins with.
  package var streamWindowBytes: UInt32
  package var clientName: String

  package init(
    offered: Features, required: Features = [], bodyBytesMax: UInt32, streamWindowBytes: UInt32,
    clientName: String
  ) {
    self.offered = offered
    self.required = required
    self.bodyBytesMax = bodyBytesMax
    self.streamWindowBytes = streamWindowBytes
    self.clientName = clientName
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.u8(versionMin)
    body.bytes.u8(versionMax)
    body.bytes.u64(offered.rawValue)
    body.bytes.u64(required.rawValue)
    body.bytes.u32(bodyBytesMax)
    body.bytes.u32(streamWindowBytes)
    body.bytes.string(clientName)
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    versionMin = try body.fixed.u8()
    versionMax = try body.fixed.u8()
    offered = Features(rawValue: try body.fixed.u64())
    required = Features(rawValue: try body.fixed.u64())
    bodyBytesMax = try body.fixed.u32()
    streamWindowBytes = try body.fixed.u32()
    clientName = try body.fixed.string("client name", atMost: Limits.nameBytesMax)
  }
}

/// What the server is and what the connection will use.
public struct ServerGreeting: Sendable, Equatable {
  public var protocolVersion: UInt8
  package var features: Features
  public var nodeID: UInt32
  public var serverVersion: String
  public var requestsInFlightMax: Int
  public var bodyBytesMax: Int

  package init(
    protocolVersion: UInt8 = FrameHeader.version, features: Features, nodeID: UInt32, serverVersion: String,
    requestsInFlightMax: Int, bodyBytesMax: Int
  ) {
    self.protocolVersion = protocolVersion
    self.features = features
    self.nodeID = nodeID
    self.serverVersion = serverVersion
    self.requestsInFlightMax = requestsInFlightMax
    self.bodyBytesMax = bodyBytesMax
  }

  package func encode(into body: inout BodyWriter) {
    body.bytes.u8(protocolVersion)
    body.bytes.u64(features.rawValue)
    body.bytes.u32(nodeID)
    body.bytes.string(serverVersion)
    body.bytes.u32(UInt32(requestsInFlightMax))
    body.bytes.u32(UInt32(bodyBytesMax))
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    protocolVersion = try body.fixed.u8()
    features = Features(rawValue: try body.fixed.u64())
    nodeID = try body.fixed.u32()
    serverVersion = try body.fixed.string("server version", atMost: Limits.nameBytesMax)
    requestsInFlightMax = Int(try body.fixed.u32())
    bodyBytesMax = Int(try body.fixed.u32())
  }
}
