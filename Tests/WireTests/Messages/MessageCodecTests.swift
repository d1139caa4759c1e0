import Core
import Testing

@testable import Wire

@Suite struct MessageCodecTests {
  static let seeds: [UInt64] = Array(1...60)

  private func decodeRequest(_ opcode: Opcode, _ bytes: [UInt8]) throws(RoostError) -> (Request, Trailer) {
    try bytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
      try Request.decode(opcode, UnsafeRawBufferPointer(raw))
    }
  }

  private func decodeResponse(_ opcode: Opcode, _ bytes: [UInt8]) throws(RoostError) -> Response {
    try bytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
      try Response.decode(opcode, UnsafeRawBufferPointer(raw))
    }
  }

  @Test(arguments: seeds) func everyRequestSurvives(seed: UInt64) throws {
    var generator = MessageGenerator(seed: seed)
    for opcode in Opcode.allCases {
      guard let request = generator.request(opcode) else { continue }
      #expect(request.opcode == opcode)
      let trailer = generator.trailer()
      let bytes = WireFuzz.encode { body in
        body.trailer = trailer
        request.encode(into: &body)
      }
      let decoded = try decodeRequest(opcode, bytes)
      #expect(decoded.0 == request, "seed \(seed)")
      #expect(decoded.1 == trailer, "seed \(seed)")
    }
  }

  @Test(arguments: seeds) func everyResponseSurvives(seed: UInt64) throws {
    var generator = MessageGenerator(seed: seed)
    for opcode in Opcode.allCases {
      guard let response = generator.response(opcode) else { continue }
      #expect(response.opcode == opcode)
      #expect(
        try decodeResponse(opcode, WireFuzz.encode { response.encode(into: &$0) }) == response, "seed \(seed)"
      )
    }
  }

  /// No prefix of a message is a message, and cutting it never does worse than an error.
  @Test(arguments: Array(seeds.prefix(8))) func everyTruncationIsRefused(seed: UInt64) {
    var generator = MessageGenerator(seed: seed)
    for opcode in Opcode.allCases {
      if let request = generator.request(opcode) {
        let bytes = WireFuzz.encode { request.encode(into: &$0) }
        for count in 0..<bytes.count {
          #expect(throws: RoostError.self, "seed \(seed) \(opcode) cut to \(count)") {
            try decodeRequest(opcode, Array(bytes[..<count]))
          }
        }
      }
      if let response = generator.response(opcode) {
        let bytes = WireFuzz.encode { response.encode(into: &$0) }
        for count in 0..<bytes.count {
          #expect(throws: RoostError.self, "seed \(seed) \(opcode) cut to \(count)") {
            try decodeResponse(opcode, Array(bytes[..<count]))
          }
        }
      }
    }
  }

  /// A flipped bit gives another message or an error; whatever decodes also survives encoding.
  @Test(arguments: Array(seeds.prefix(3))) func flippedBitsNeverTrap(seed: UInt64) {
    var generator = MessageGenerator(seed: seed)
    for opcode in Opcode.allCases {
      var messages: [[UInt8]] = []
      if let request = generator.request(opcode) {
        messages.append(WireFuzz.encode { request.encode(into: &$0) })
      }
      if let response = generator.response(opcode) {
        messages.append(WireFuzz.encode { response.encode(into: &$0) })
      }
      for message in messages {
        var bytes = [opcode.rawValue] + message
        for bit in 8..<min(bytes.count, 400) * 8 {
          bytes[bit / 8] ^= 1 << (bit % 8)
          WireFuzz.decode(bytes)
          bytes[bit / 8] ^= 1 << (bit % 8)
        }
      }
    }
  }

  @Test func vectorsBeginOn64ByteBoundaries() {
    let vectors = [Vector([1, 2, 3] as [Float]), Vector([4] as [Float]), Vector([5, 6] as [Float])]
    let request = Request.put(
      PutRequest(
        collection: "c", records: vectors.enumerated().map { PutRecord(id: .number(UInt64($0)), vector: $1) })
    )
    let bytes = WireFuzz.encode { request.encode(into: &$0) }
    let rowsAt = bytes.withUnsafeBytes { Int($0.load(as: UInt32.self)) }
    #expect(rowsAt % 64 == 0)
    for (index, vector) in vectors.enumerated() {
      let start = rowsAt + index * 64
      #expect(Array(bytes[start..<start + vector.bytes.count]) == vector.bytes)
    }
    #expect(bytes.count == rowsAt + 2 * 64 + 8, "the last row is not padded")
  }

  // MARK: Growth of the protocol

  private func pingBody(fields: [(tag: UInt64, bytes: [UInt8])]) -> [UInt8] {
    var writer = ByteWriter()
    writer.u32(0)
    writer.count(fields.count)
    for field in fields {
      writer.varint(field.tag)
      writer.blob(field.bytes)
    }
    return writer.bytes
  }

  @Test func unknownOptionalFieldsAreSkipped() throws {
    let key = [UInt8](repeating: 7, count: 16)
    let decoded = try decodeRequest(.ping, pingBody(fields: [(4, key), (1000, [1, 2, 3])]))
    #expect(decoded.0 == .ping)
    #expect(decoded.1.idempotencyKey != nil)
  }

  @Test func unknownRequiredFieldsAreRefused() {
    let error = #expect(throws: RoostError.self) { try decodeRequest(.ping, pingBody(fields: [(1001, [])])) }
    #expect(error?.kind == .unsupportedVersion)
  }

  @Test func repeatedOrMisorderedFieldsAreRefused() {
    for tags: [UInt64] in [[1000, 1000], [1002, 1000]] {
      let error = #expect(throws: RoostError.self) {
        try decodeRequest(.ping, pingBody(fields: tags.map { ($0, []) }))
      }
      #expect(error?.kind == .protocolViolation)
    }
  }

  @Test func unknownErrorKindsKeepTheirWords() throws {
    var writer = ByteWriter()
    writer.u32(0)
    writer.u16(9999)
    for text in ["it broke", "here", "fix it"] { writer.string(text) }
    writer.count(0)
    let (error, _) = try writer.bytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
      try Response.decodeError(UnsafeRawBufferPointer(raw))
    }
    #expect(error.kind == .internalFailure)
    #expect(error.message.contains("9999") && error.message.contains("it broke"))
  }

  @Test func longErrorTextsAreClippedAtACharacter() throws {
    let error = RoostError(.io, String(repeating: "ä", count: 4_000))
    let bytes = WireFuzz.encode { error.encode(into: &$0) }
    let decoded = try bytes.withUnsafeBufferPointer { (raw) throws(RoostError) in
      try Response.decodeError(UnsafeRawBufferPointer(raw)).error
    }
    #expect(decoded.message == String(repeating: "ä", count: 2_048))
  }

  @Test func countsBeyondTheLimitsAreRefused() {
    let request = Request.get(
      GetRequest(
        collection: "c", ids: (0...Limits.batchRecordsMax).map { .number(UInt64($0)) }, includeVector: false))
    let error = #expect(throws: RoostError.self) {
      try decodeRequest(.get, WireFuzz.encode { request.encode(into: &$0) })
    }
    #expect(error?.kind == .limitExceeded)
  }

  @Test func oversizedPayloadsAreRefused() {
    var payload = Payload()
    payload["a"] = .string(String(repeating: "x", count: 40_000))
    payload["b"] = .string(String(repeating: "x", count: 40_000))
    let request = Request.put(
      PutRequest(collection: "c", records: [PutRecord(id: .number(1), vector: nil, payload: payload)]))
    let error = #expect(throws: RoostError.self) {
      try decodeRequest(.put, WireFuzz.encode { request.encode(into: &$0) })
    }
    #expect(error?.kind == .limitExceeded)
  }
}
