// The entry for fuzzing: whatever bytes come, decoding ends in a value or a typed error.

import Core

package enum WireFuzz {
  /// Decodes `bytes` as a stream of frames and, past the first byte, as the body of every message.
  /// What decodes must encode to something that decodes to the same.
  package static func decode(_ bytes: [UInt8]) {
    decodeFrames(bytes)
    guard let first = bytes.first, let opcode = Opcode(rawValue: first) else { return }
    Array(bytes.dropFirst()).withUnsafeBytes { body in
      do throws(RoostError) {
        let (request, trailer) = try Request.decode(opcode, body)
        checkRoundTrip(request, trailer)
      } catch {
        // Refused, as most input should be.
      }
      do throws(RoostError) {
        checkRoundTrip(try Response.decode(opcode, body))
      } catch {
        // Refused.
      }
      do throws(RoostError) { _ = try Response.decodeError(body) } catch {
        // Refused.
      }
    }
  }

  private static func decodeFrames(_ bytes: [UInt8]) {
    bytes.withUnsafeBytes { raw in
      do throws(RoostError) {
        var offset = 0
        while raw.count - offset >= FrameHeader.byteCount {
          let header = try FrameHeader(
            from: UnsafeRawBufferPointer(rebasing: raw[offset..<offset + FrameHeader.byteCount]),
            bodyBytesMax: 1 << 20)
          offset += FrameHeader.byteCount
          guard Int(header.bodyBytes) <= raw.count - offset else { return }
          let body = UnsafeRawBufferPointer(rebasing: raw[offset..<offset + Int(header.bodyBytes)])
          offset += Int(header.bodyBytes)
          try FrameBody.withChecked(header, body, bodyBytesMax: 1 << 20) { (body) throws(RoostError) in
            _ = try Incoming.decode(header, body)
          }
        }
      } catch {
        // Refused.
      }
    }
  }

  private static func checkRoundTrip(_ request: Request, _ trailer: Trailer) {
    let body = encode { body in
      body.trailer = trailer
      request.encode(into: &body)
    }
    let again = body.withUnsafeBytes { raw -> [UInt8]? in
      do throws(RoostError) {
        let (request, trailer) = try Request.decode(request.opcode, raw)
        return encode { body in
          body.trailer = trailer
          request.encode(into: &body)
        }
      } catch {
        return nil
      }
    }
    // Bytes, not values: NaN is not equal to itself.
    precondition(again == body, "a request does not survive encoding: \(request)")
  }

  private static func checkRoundTrip(_ response: Response) {
    let body = encode { response.encode(into: &$0) }
    let again = body.withUnsafeBytes { raw -> [UInt8]? in
      do throws(RoostError) {
        let response = try Response.decode(response.opcode, raw)
        return encode { response.encode(into: &$0) }
      } catch {
        return nil
      }
    }
    precondition(again == body, "a reply does not survive encoding: \(response)")
  }

  /// The bytes of a body alone.
  package static func encode(_ body: (inout BodyWriter) -> Void) -> [UInt8] {
    var writer = ByteWriter()
    var message = BodyWriter(taking: &writer)
    body(&message)
    message.finish(into: &writer)
    return writer.bytes
  }
}
