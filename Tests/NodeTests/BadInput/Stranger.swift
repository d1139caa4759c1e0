// A client that knows only bytes: it says hello and then whatever a test wants.

import Core

@testable import Wire

struct Stranger {
  let connection: any Connection
  private var receiver: FrameReceiver

  init(_ node: TestNode) async throws {
    connection = try await node.runtime.transport.connect(to: node.node.address, timeoutMs: 1_000)
    receiver = FrameReceiver(connection, bodyBytesMax: Limits.frameBodyBytesMax)
  }

  func send(_ bytes: [UInt8]) async throws {
    try await connection.send(IOBuffer(bytes), range: 0..<bytes.count)
  }

  static func frame(_ request: Request, id: UInt32 = 7) throws -> [UInt8] {
    var writer = ByteWriter()
    let header = FrameHeader(opcode: request.opcode.rawValue, requestID: id)
    try writer.frame(header, bodyBytesMax: Limits.frameBodyBytesMax) { body in
      request.encode(into: &body)
    }
    return writer.bytes
  }

  /// Says hello and takes the answer.
  mutating func greet() async throws {
    let hello = HelloRequest(
      offered: .supported, bodyBytesMax: 1 << 20, streamWindowBytes: 1 << 20, clientName: "stranger")
    try await send(Stranger.frame(.hello(hello), id: 1))
    guard try await next() == nil else { throw RoostError(.protocolViolation, "the node refused hello") }
  }

  /// The error of the next frame, nil when it is none; throws `.connectionClosed` at the end.
  mutating func next() async throws(RoostError) -> RoostError? {
    while true {
      let error: RoostError?? = try receiver.next { (header, body) throws(RoostError) in
        header.flags.contains(.error) ? try Response.decodeError(body).error : nil
      }
      if let error { return error }
      guard try await receiver.fill() else { throw RoostError(.connectionClosed, "the node has closed") }
    }
  }

  /// Whether the node has ended the connection, having said nothing more.
  mutating func isClosed() async -> Bool {
    do throws(RoostError) {
      _ = try await next()
      return false
    } catch {
      return error.kind == .connectionClosed || error.kind == .io
    }
  }
}
