// What a server may receive, decoded as far as the frame allows.

import Core

enum Incoming {
  case request(FrameHeader, Request, Trailer)
  /// The frame is sound and the message is not: that request fails and the connection goes on.
  case refused(FrameHeader, RoostError)
  case cancel(requestID: UInt32)
  case credit(streamID: UInt32, bytes: Int)

  /// Throws only what makes the rest of the connection meaningless.
  static func decode(_ header: FrameHeader, _ body: UnsafeRawBufferPointer) throws(RoostError) -> Incoming {
    guard !header.flags.contains(.reply) else {
      throw RoostError(.protocolViolation, "a client must not send replies", at: "frame header")
    }
    guard let opcode = Opcode(rawValue: header.opcode) else {
      return .refused(
        header,
        RoostError(
          .unsupportedVersion, "unknown opcode \(header.opcode)", at: "frame header",
          remedy: "upgrade the node"))
    }
    switch opcode {
    case .cancel: return .cancel(requestID: header.requestID)
    case .credit:
      guard body.count == 4 else {
        throw RoostError(.protocolViolation, "credit of \(body.count) bytes", at: "message credit")
      }
      let bytes = UInt32(littleEndian: body.loadUnaligned(as: UInt32.self))
      return .credit(streamID: header.streamID, bytes: Int(bytes))
    default:
      guard header.requestID != 0 else {
        throw RoostError(.protocolViolation, "request id 0 belongs to the connection", at: "frame header")
      }
      do throws(RoostError) {
        let (request, trailer) = try Request.decode(opcode, body)
        return .request(header, request, trailer)
      } catch {
        return .refused(header, error)
      }
    }
  }
}
