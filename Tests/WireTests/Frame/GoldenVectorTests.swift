// The golden vectors of `spec/vectors`: frames that every implementation must write and read in just
// this way, and malformed ones that it must refuse. Written anew, after a change of the protocol, by
//   ROOST_WRITE_VECTORS=1 swift test --filter GoldenVectorTests

import Core
import Glibc
import Testing

@testable import Wire

private struct Golden {
  var name: String
  var about: String
  var bytes: [UInt8]
}

@Suite struct GoldenVectorTests {
  private static let folder: String = {
    var parts = #filePath.split(separator: "/", omittingEmptySubsequences: false)
    parts.removeLast(4)
    return parts.joined(separator: "/") + "/spec/vectors"
  }()

  private static let isWriting = getenv("ROOST_WRITE_VECTORS") != nil

  private static func valid() throws -> [Golden] {
    var all: [Golden] = []
    for (name, request) in GoldenSamples.requests {
      all.append(
        Golden(name: "request-\(name)", about: "request \(name)", bytes: try GoldenSamples.request(request)))
    }
    let traced = Request.delete(DeleteRequest(collection: "books", ids: [.number(1)]))
    all.append(
      Golden(
        name: "request-delete-with-trailer", about: "request delete with trace context and idempotency key",
        bytes: try GoldenSamples.request(traced, GoldenSamples.trailer)))
    let packed = Request.publishModule(
      PublishModuleRequest(name: "zeros", bytes: [UInt8](repeating: 0, count: 4_096)))
    all.append(
      Golden(
        name: "request-publish-module-compressed", about: "request publish-module of 4096 zero bytes, LZ4",
        bytes: try GoldenSamples.request(packed, compress: true)))
    for (name, response) in GoldenSamples.replies {
      all.append(
        Golden(name: "reply-\(name)", about: "reply \(name)", bytes: try GoldenSamples.reply(response)))
    }
    all.append(
      Golden(
        name: "reply-scan-part", about: "a part of a reply to scan, more follow",
        bytes: try GoldenSamples.reply(
          .scan(ScanPage(records: [], next: ScanCursor(id: .key("k")))), more: true)))
    all.append(
      Golden(
        name: "reply-error", about: "an error in reply to get",
        bytes: try GoldenSamples.error(
          RoostError(.overloaded, "too many searches", at: "node", remedy: "try again"), retryAfterMs: 50,
          id: 66)))
    all.append(
      Golden(
        name: "connection-error", about: "an error of the whole connection",
        bytes: try GoldenSamples.error(
          RoostError(.protocolViolation, "no frame", at: "frame header"), retryAfterMs: nil, id: 0)))
    all.append(
      Golden(
        name: "control-cancel", about: "cancel of request 66",
        bytes: GoldenSamples.control(.cancel, id: 66, stream: 0, [])))
    all.append(
      Golden(
        name: "control-credit", about: "credit of 65536 bytes for stream 66",
        bytes: GoldenSamples.control(.credit, id: 66, stream: 66, [0, 0, 1, 0])))
    all.append(
      Golden(
        name: "control-go-away", about: "the node is stopping",
        bytes: GoldenSamples.control(.goAway, flags: .reply, id: 0, stream: 0, [])))
    return all
  }

  /// What must be refused, with the kind of error; the level says which reader finds it.
  private static func malformed() throws -> [(golden: Golden, level: String, kind: RoostError.Kind)] {
    let get = try GoldenSamples.request(
      .get(GetRequest(collection: "c", ids: [.number(1)], includeVector: false)))
    func changed(_ bytes: [UInt8], resealed: Bool, _ change: (inout [UInt8]) -> Void) -> [UInt8] {
      var bytes = bytes
      change(&bytes)
      if resealed {
        withUnsafeBytes(of: crc32c(Array(bytes[32...]))) { bytes.replaceSubrange(24..<28, with: $0) }
        withUnsafeBytes(of: crc32c(Array(bytes[..<28]))) { bytes.replaceSubrange(28..<32, with: $0) }
      }
      return bytes
    }
    func body(_ build: (inout ByteWriter) -> Void) -> [UInt8] {
      var writer = ByteWriter()
      build(&writer)
      return writer.bytes
    }
    func field(_ tag: UInt64, _ bytes: [UInt8]) -> [UInt8] {
      body {
        $0.u32(0)
        $0.count(1)
        $0.varint(tag)
        $0.blob(bytes)
      }
    }
    typealias Entry = (String, String, String, RoostError.Kind, [UInt8])
    let entries: [Entry] = [
      (
        "magic", "another protocol", "frame", .protocolViolation,
        Array("GET / HTTP/1.1\r\nHost: a.example\r\n\r\n".utf8)
      ),
      (
        "header-checksum", "a header with one bit changed", "frame", .corrupted,
        changed(get, resealed: false) { $0[9] ^= 1 }
      ),
      (
        "body-checksum", "a body with one bit changed", "frame", .corrupted,
        changed(get, resealed: false) { $0[33] ^= 1 }
      ),
      (
        "version", "protocol version 2", "frame", .unsupportedVersion,
        changed(get, resealed: true) { $0[4] = 2 }
      ),
      (
        "flags", "a flag that does not exist", "frame", .protocolViolation,
        changed(get, resealed: true) { $0[6] = 16 }
      ),
      (
        "length", "a body of 4 GiB", "frame", .limitExceeded,
        changed(get, resealed: true) {
          $0.replaceSubrange(16..<20, with: [255, 255, 255, 255])
        }
      ),
      (
        "compressed-length", "a packed body that claims 4 GiB", "frame", .limitExceeded,
        GoldenSamples.raw(.ping, flags: .compressed, [255, 255, 255, 255, 0])
      ),
      (
        "compressed-ratio", "a packed body that claims more than LZ4 can hold", "frame", .protocolViolation,
        GoldenSamples.raw(.ping, flags: .compressed, [0, 0, 1, 0, 0])
      ),
      (
        "compressed-short", "a packed body without its length", "frame", .protocolViolation,
        GoldenSamples.raw(.ping, flags: .compressed, [1, 0])
      ),
      (
        "compressed-block", "a packed body that is no LZ4 block", "frame", .protocolViolation,
        GoldenSamples.raw(.ping, flags: .compressed, [16, 0, 0, 0, 0xff, 0xff, 0xff])
      ),
      ("empty-body", "a message without a body", "request", .protocolViolation, GoldenSamples.raw(.ping, [])),
      (
        "trailing-byte", "a byte after the end", "request", .protocolViolation,
        GoldenSamples.raw(.ping, [0, 0, 0, 0, 0, 0])
      ),
      (
        "critical-field", "a required field that nobody knows", "request", .unsupportedVersion,
        GoldenSamples.raw(.ping, field(9_001, []))
      ),
      (
        "field-length", "an idempotency key of 15 bytes", "request", .protocolViolation,
        GoldenSamples.raw(.ping, field(4, [UInt8](repeating: 1, count: 15)))
      ),
      (
        "count", "more ids than there are bytes", "request", .protocolViolation,
        GoldenSamples.raw(
          .delete,
          body {
            $0.u32(0)
            $0.string("c")
            $0.count(9_999)
          })
      ),
      (
        "count-limit", "more ids than allowed", "request", .limitExceeded,
        GoldenSamples.raw(
          .delete,
          body {
            $0.u32(0)
            $0.string("c")
            $0.count(10_001)
          })
      ),
      (
        "flag", "a flag that is 2", "request", .protocolViolation,
        GoldenSamples.raw(
          .count,
          body {
            $0.u32(0)
            $0.string("c")
            $0.u8(2)
          })
      ),
      (
        "utf8", "a name that is not UTF-8", "request", .protocolViolation,
        GoldenSamples.raw(
          .flush,
          body {
            $0.u32(0)
            $0.blob([0xc3, 0x28])
            $0.count(0)
          })
      ),
      (
        "varint", "a varint that is not minimal", "request", .protocolViolation,
        GoldenSamples.raw(.flush, [0, 0, 0, 0, 0x81, 0x00, 0x63, 0])
      ),
      (
        "vectors-bits", "a binary vector of 12 bits", "request", .protocolViolation,
        GoldenSamples.raw(
          .put,
          body {
            $0.u32(64)
            $0.string("c")
            $0.count(1)
            RecordID.number(1).encode(into: &$0)
            $0.count(1)
            $0.string("")
            $0.u8(VectorElement.binary.rawValue)
            $0.count(12)
            $0.count(0)
            $0.count(0)
            $0.pad(to: 64)
            $0.raw([1, 2])
          })
      ),
      (
        "vectors-order", "two vectors of one name", "request", .protocolViolation,
        GoldenSamples.raw(
          .put,
          body {
            $0.u32(64)
            $0.string("c")
            $0.count(1)
            RecordID.number(1).encode(into: &$0)
            $0.count(2)
            for _ in 0..<2 {
              $0.string("a")
              $0.u8(VectorElement.u8.rawValue)
              $0.count(1)
            }
            $0.count(0)
            $0.count(0)
            $0.pad(to: 64)
            $0.raw([1])
            $0.pad(to: 64)
            $0.raw([2])
          })
      ),
      (
        "vectors-unaligned", "vectors that begin at byte 5", "request", .protocolViolation,
        GoldenSamples.raw(.ping, [5, 0, 0, 0, 0])
      ),
      (
        "vectors-outside", "vectors that begin beyond the end", "request", .protocolViolation,
        GoldenSamples.raw(.ping, [64, 0, 0, 0, 0])
      ),
      (
        "vectors-unused", "vectors that nothing refers to", "request", .protocolViolation,
        GoldenSamples.raw(.ping, [64, 0, 0, 0] + [UInt8](repeating: 0, count: 64))
      ),
      (
        "vectors-padding", "padding that is not zero", "request", .protocolViolation,
        changed(
          try GoldenSamples.request(
            .put(
              PutRequest(collection: "c", records: [PutRecord(id: .number(1), vector: GoldenSamples.vector)]))
          ),
          resealed: true
        ) { $0[32 + 63] = 1 }
      ),
      (
        "reply-count", "more records than there are bytes", "reply", .protocolViolation,
        GoldenSamples.raw(
          .get, flags: .reply,
          body {
            $0.u32(0)
            $0.count(9_999)
          })
      ),
      (
        "reply-value", "a value of an unknown type", "reply", .protocolViolation,
        GoldenSamples.raw(
          .stats, flags: .reply,
          body {
            $0.u32(0)
            $0.count(1)
            $0.string("a")
            $0.u8(99)
            $0.count(0)
          })
      ),
      (
        "reply-order", "fields out of order", "reply", .protocolViolation,
        GoldenSamples.raw(
          .stats, flags: .reply,
          body {
            $0.u32(0)
            $0.count(2)
            for name in ["b", "a"] {
              $0.string(name)
              $0.u8(0)
            }
            $0.count(0)
          })
      ),
    ]
    return entries.map { (Golden(name: $0.0, about: $0.1, bytes: $0.4), $0.2, $0.3) }
  }

  // MARK: Files

  private func text(_ golden: Golden, _ more: [String] = []) -> String {
    var text = "# \(golden.about)\n"
    for line in more { text += "# \(line)\n" }
    for start in stride(from: 0, to: golden.bytes.count, by: 16) {
      text += golden.bytes[start..<min(start + 16, golden.bytes.count)].map(hex).joined(separator: " ") + "\n"
    }
    return text
  }

  private func hex(_ byte: UInt8) -> String { (byte < 16 ? "0" : "") + String(byte, radix: 16) }

  private func check(_ path: String, against expected: String) {
    let path = GoldenVectorTests.folder + "/" + path
    if GoldenVectorTests.isWriting {
      guard let file = fopen(path, "w") else {
        Issue.record("cannot write \(path)")
        return
      }
      fputs(expected, file)
      fclose(file)
    }
    guard let file = fopen(path, "r") else {
      Issue.record("\(path) is missing")
      return
    }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    #expect(String(decoding: bytes, as: UTF8.self) == expected, "\(path)")
  }

  @Test func framesAreWrittenAsTheFilesSay() throws {
    for golden in try GoldenVectorTests.valid() { check(golden.name + ".hex", against: text(golden)) }
  }

  @Test func malformedFilesAreUpToDate() throws {
    for (golden, level, kind) in try GoldenVectorTests.malformed() {
      check(
        "malformed/\(golden.name).hex",
        against: text(golden, ["level: \(level)", "error: \(kind) \(kind.rawValue)"]))
    }
  }

  /// Reads a frame as the given side of a connection would.
  private func read(_ bytes: [UInt8], level: String) throws(RoostError) {
    try bytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
      let raw = UnsafeRawBufferPointer(raw)
      let header = try FrameHeader(from: raw, bodyBytesMax: Limits.frameBodyBytesMax)
      let body = UnsafeRawBufferPointer(rebasing: raw[FrameHeader.byteCount...])
      try FrameBody.withChecked(header, body, bodyBytesMax: Limits.frameBodyBytesMax) {
        (body) throws(RoostError) in
        guard let opcode = Opcode(rawValue: header.opcode) else {
          throw RoostError(.protocolViolation, "opcode")
        }
        switch level {
        case "request": _ = try Request.decode(opcode, body)
        case "reply": _ = try Response.decode(opcode, body)
        default: break
        }
      }
    }
  }

  @Test func malformedFramesAreRefusedWithTheirKind() throws {
    for (golden, level, kind) in try GoldenVectorTests.malformed() {
      let error = #expect(throws: RoostError.self, "\(golden.name)") { try read(golden.bytes, level: level) }
      #expect(error?.kind == kind, "\(golden.name)")
    }
  }

  @Test func everyOpcodeHasAVector() {
    let requests = Set(GoldenSamples.requests.map(\.1.opcode))
    let expected = Set(Opcode.allCases).subtracting([.cancel, .credit, .goAway])
    #expect(requests == expected)
  }

  @Test func validFramesDecodeToTheirMessages() throws {
    for (name, request) in GoldenSamples.requests {
      let bytes = Array(try GoldenSamples.request(request)[FrameHeader.byteCount...])
      let decoded = try bytes.withUnsafeBytes { try Request.decode(request.opcode, $0) }
      #expect(decoded.0 == request, "\(name)")
    }
    for (name, response) in GoldenSamples.replies {
      let bytes = Array(try GoldenSamples.reply(response)[FrameHeader.byteCount...])
      #expect(try bytes.withUnsafeBytes { try Response.decode(response.opcode, $0) } == response, "\(name)")
    }
  }
}
