import Core
import Testing

@testable import Wire

@Suite struct FrameTests {
  private func frame(compress: Bool = false) throws -> [UInt8] {
    var payload = Payload()
    payload["text"] = .string(String(repeating: "compressible ", count: 200))
    let request = Request.put(
      PutRequest(collection: "books", records: [PutRecord(id: .number(7), vector: nil, payload: payload)]))
    var writer = ByteWriter()
    try writer.frame(
      FrameHeader(opcode: Opcode.put.rawValue, requestID: 5, streamID: 6, deadlineMs: 7),
      bodyBytesMax: 1 << 20,
      compress: compress
    ) { request.encode(into: &$0) }
    return writer.bytes
  }

  /// Decodes one whole frame; nil when bytes are missing.
  private func decode(_ bytes: [UInt8], bodyBytesMax: Int = 1 << 20) throws(RoostError) -> Request? {
    try bytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
      guard raw.count >= FrameHeader.byteCount else { return nil }
      let raw = UnsafeRawBufferPointer(raw)
      let header = try FrameHeader(from: raw, bodyBytesMax: bodyBytesMax)
      guard raw.count == FrameHeader.byteCount + Int(header.bodyBytes) else { return nil }
      return try FrameBody.withChecked(
        header, UnsafeRawBufferPointer(rebasing: raw[FrameHeader.byteCount...]), bodyBytesMax: bodyBytesMax
      ) { (body) throws(RoostError) in
        guard case .request(_, let request, _) = try Incoming.decode(header, body) else { return nil }
        return request
      }
    }
  }

  @Test func layoutIsAsDocumented() throws {
    let bytes = try frame()
    #expect(String(decoding: bytes[0..<4], as: UTF8.self) == "Rost")
    #expect(bytes[4] == 1)
    #expect(bytes[5] == 0x20)
    #expect(Array(bytes[6..<8]) == [0, 0])
    #expect(Array(bytes[8..<12]) == [5, 0, 0, 0])
    #expect(Array(bytes[12..<16]) == [6, 0, 0, 0])
    bytes.withUnsafeBytes { raw in
      #expect(raw.load(fromByteOffset: 16, as: UInt32.self) == UInt32(bytes.count - 32))
      #expect(raw.load(fromByteOffset: 20, as: UInt32.self) == 7)
      #expect(raw.load(fromByteOffset: 24, as: UInt32.self) == crc32c(Array(bytes[32...])))
      #expect(raw.load(fromByteOffset: 28, as: UInt32.self) == crc32c(Array(bytes[..<28])))
    }
  }

  @Test(arguments: [false, true]) func everyFlippedBitIsFound(compressed: Bool) throws {
    var bytes = try frame(compress: compressed)
    #expect(try decode(bytes) != nil)
    for bit in 0..<bytes.count * 8 {
      bytes[bit / 8] ^= 1 << (bit % 8)
      // A flipped length may leave the frame incomplete, were it not for the header's own checksum.
      #expect(throws: RoostError.self, "bit \(bit)") { try decode(bytes) }
      bytes[bit / 8] ^= 1 << (bit % 8)
    }
  }

  @Test func compressionPaysAndIsUndone() throws {
    let plain = try frame()
    let packed = try frame(compress: true)
    #expect(packed.count < plain.count / 4)
    #expect(try decode(packed) == decode(plain))
  }

  @Test func incompressibleBodiesStayAsTheyAre() throws {
    var generator = MessageGenerator(seed: 3)
    let bytes = (0..<4096).map { _ in UInt8(generator.below(256)) }
    var writer = ByteWriter()
    try writer.frame(
      FrameHeader(opcode: Opcode.publishModule.rawValue, requestID: 1), bodyBytesMax: 1 << 20, compress: true
    ) { PublishModuleRequest(name: "m", bytes: bytes).encode(into: &$0) }
    let header = try writer.bytes.withUnsafeBytes { try FrameHeader(from: $0, bodyBytesMax: 1 << 20) }
    #expect(!header.flags.contains(.compressed))
  }

  /// Re-seals a header after a change, so that the change itself is what is refused.
  private func sealed(_ change: (inout [UInt8]) -> Void) throws -> [UInt8] {
    var bytes = try frame()
    change(&bytes)
    let body = crc32c(Array(bytes[32...]))
    withUnsafeBytes(of: body) { bytes.replaceSubrange(24..<28, with: $0) }
    let header = crc32c(Array(bytes[..<28]))
    withUnsafeBytes(of: header) { bytes.replaceSubrange(28..<32, with: $0) }
    return bytes
  }

  @Test func eachFaultHasItsKind() throws {
    func kind(_ bytes: [UInt8], bodyBytesMax: Int = 1 << 20) -> RoostError.Kind? {
      do throws(RoostError) {
        _ = try decode(bytes, bodyBytesMax: bodyBytesMax)
        return nil
      } catch {
        return error.kind
      }
    }
    #expect(kind(Array("GET / HTTP/1.1\r\nHost: example.org\r\n\r\n".utf8)) == .protocolViolation)
    #expect(kind(try sealed { $0[4] = 9 }) == .unsupportedVersion)
    #expect(kind(try sealed { $0[7] = 0x80 }) == .protocolViolation)
    #expect(kind(try frame(), bodyBytesMax: 100) == .limitExceeded)
    #expect(kind(try sealed { $0[6] = 8 }) == .protocolViolation, "a body that is not packed")
    var damaged = try frame()
    damaged[40] ^= 1
    #expect(kind(damaged) == .corrupted)
  }

  /// Replies gather in one buffer until they are sent; a frame must not copy those before it.
  @Test func framesAreAppendedInPlace() throws {
    var writer = ByteWriter(reserving: 1 << 16)
    writer.u8(0)
    let before = writer.bytes.withUnsafeBytes { $0.baseAddress }
    let record = Record(
      id: .number(7), vector: Vector([1, 2, 3] as [Float]), payload: Payload(), version: .zero)
    for id in 1...20 {
      try writer.frame(FrameHeader(opcode: Opcode.get.rawValue, requestID: UInt32(id)), bodyBytesMax: 1 << 20)
      {
        Response.get(GetResponse(records: [record])).encode(into: &$0)
      }
    }
    #expect(writer.bytes.withUnsafeBytes { $0.baseAddress } == before)
  }

  @Test func aMessageBeyondTheLimitLeavesTheWriterAsItWas() throws {
    var writer = ByteWriter()
    writer.u32(42)
    let request = PublishModuleRequest(name: "m", bytes: [UInt8](repeating: 0, count: 5_000))
    let error = #expect(throws: RoostError.self) {
      try writer.frame(FrameHeader(opcode: 0x30, requestID: 1), bodyBytesMax: 4_096) {
        request.encode(into: &$0)
      }
    }
    #expect(error?.kind == .limitExceeded)
    #expect(writer.count == 4)
  }

  @Test func framesSurviveAnySplittingOfTheStream() async throws {
    var stream: [UInt8] = []
    for _ in 0..<3 { stream += try frame() }
    for piece in [1, 7, 31, 33, 1000] {
      let (near, far) = PipeConnection.pair(capacity: piece)
      let sender = Task {
        try await far.send(IOBuffer(stream), range: 0..<stream.count)
        await far.close()
      }
      var receiver = FrameReceiver(near, bodyBytesMax: 1 << 20)
      var count = 0
      while try await receiver.fill() {
        while try receiver.next({ header, _ in header.requestID }) != nil { count += 1 }
      }
      try await sender.value
      #expect(count == 3, "pieces of \(piece)")
    }
  }

  @Test func framesLargerThanTheBufferArrive() async throws {
    let (near, far) = PipeConnection.pair(capacity: 100_000)
    let module = [UInt8](repeating: 9, count: 3_000_000)
    var writer = ByteWriter()
    for id: UInt32 in 1...3 {
      try writer.frame(FrameHeader(opcode: 0x30, requestID: id), bodyBytesMax: 1 << 23) {
        PublishModuleRequest(name: "m", bytes: module).encode(into: &$0)
      }
    }
    let bytes = writer.bytes
    let sender = Task {
      try await far.send(IOBuffer(bytes), range: 0..<bytes.count)
      await far.close()
    }
    var receiver = FrameReceiver(near, bodyBytesMax: 1 << 23)
    var ids: [UInt32] = []
    while try await receiver.fill() {
      while let id = try receiver.next({ header, body in body.count > 3_000_000 ? header.requestID : 0 }) {
        ids.append(id)
      }
    }
    try await sender.value
    #expect(ids == [1, 2, 3])
  }

  @Test func anEndInsideAFrameIsAnError() async throws {
    let (near, far) = PipeConnection.pair()
    let bytes = try frame()
    try await far.send(IOBuffer(bytes), range: 0..<bytes.count - 1)
    await far.close()
    var receiver = FrameReceiver(near, bodyBytesMax: 1 << 20)
    #expect(try await receiver.fill())
    #expect(try receiver.next { _, _ in 0 } == nil)
    await #expect(throws: RoostError.self) { _ = try await receiver.fill() }
  }
}
