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

private enum Samples {
  static let books = CollectionSchema(
    dimension: 3, element: .f32, metric: .cosine, degree: 32, buildEffort: 100, layout: .compact,
    recall: RecallTarget(share: 0.99),
    embedder: EmbedderReference(module: "ngrams", sourceField: "text"),
    indexing: .fields(["text", "c"]))
  static let vector = Vector([0.5, -1, 2] as [Float])
  static let payload = Payload([
    "a": .null, "b": .bool(true), "c": .int(-7), "d": .double(1.5), "e": .string("Zoë"),
    "f": .bytes([0, 255]),
    "g": .geo(latitude: 52.5, longitude: 13.4), "h": .datetime(1_700_000_000_000_000),
    "i": .array([.int(1), .string("x")]), "j": .map(["k": .bool(false)]),
  ])
  static let filter = Filter.and([
    .equals(field: "section", .string("utils")), .isIn(field: "n", [.int(1), .int(2)]),
    .not(
      .or([
        .exists(field: "x.y"),
        .range(field: "size", FilterRange(lower: .inclusive(.int(10)), upper: .exclusive(.double(99.5)))),
      ])),
  ])
  static let version = Version(time: 0x0123_4567_89ab_cdef, node: 7)
  static let digest = String(repeating: "0123456789abcdef", count: 4)
  static let module = ModuleDescription(
    name: "ngrams", kind: .embedder, byteCount: 7168, sha256: digest, exports: ["embed", "memory"])
  static let trailer = Trailer(
    trace: TraceContext(traceHigh: 1, traceLow: 2, span: 3, flags: 1),
    idempotencyKey: IdempotencyKey(high: 4, low: 5))

  static let requests: [(String, Request)] = [
    (
      "hello",
      .hello(
        HelloRequest(
          offered: [.streams], bodyBytesMax: 67_108_864, streamWindowBytes: 4_194_304, clientName: "golden"))
    ),
    ("ping", .ping),
    ("create-collection", .createCollection(CreateCollectionRequest(collection: "books", schema: books))),
    ("drop-collection", .dropCollection(CollectionRequest(collection: "books"))),
    ("list-collections", .listCollections),
    (
      "put",
      .put(
        PutRequest(
          collection: "books",
          records: [
            PutRecord(id: .number(258), vector: vector, payload: payload),
            PutRecord(id: .key("clé"), vector: nil, payload: Payload(["text": .string("to be embedded")])),
            PutRecord(id: .number(.max), vector: Vector([1, 2, 3] as [UInt8])),
          ]))
    ),
    (
      "create-collection-binary",
      .createCollection(
        CreateCollectionRequest(
          collection: "prints", schema: CollectionSchema(dimension: 16, element: .binary)))
    ),
    (
      "put-elements",
      .put(
        PutRequest(
          collection: "books",
          records: [
            PutRecord(id: .number(1), vector: Vector([-128, 0, 127] as [Int8])),
            PutRecord(id: .number(2), vector: vector.rounded(to: .f16)),
            PutRecord(id: .number(3), vector: vector.rounded(to: .bf16)),
            PutRecord(id: .number(4), vector: Vector(bits: (0..<16).map { $0 % 3 == 0 })),
          ]))
    ),
    ("delete", .delete(DeleteRequest(collection: "books", ids: [.number(1), .key("a")]))),
    ("get", .get(GetRequest(collection: "books", ids: [.number(1), .key("a")], includeVector: true))),
    (
      "search",
      .search(
        SearchRequest(
          collection: "books",
          queries: [
            SearchQuery(
              target: .vector(vector), k: 5, effort: 64, filter: filter,
              module: ModuleCall(module: "cheap", parameters: Payload(["max": .int(9)]))),
            SearchQuery(target: .record(.number(3)), k: 200, exact: true, includePayload: false),
            SearchQuery(target: .text("small databases"), includeVector: true, explain: true),
          ]))
    ),
    (
      "search-forms",
      .search(
        SearchRequest(
          collection: "books",
          queries: [
            SearchQuery(
              target: .vector(vector), form: .range(radius: 0.75, limit: 1_000),
              excluded: [.number(3), .key("a")]),
            SearchQuery(
              target: .recommend(
                Recommendation(
                  positive: [.record(.number(1)), .vector(vector)], negative: [.text("dull")],
                  strategy: .bestScore)), form: .nearest(k: 7)),
            SearchQuery(
              target: .recommend(Recommendation(positive: [.record(.key("a"))])),
              form: .diverse(k: 5, lambda: 0.5, candidates: 50), filter: filter),
            SearchQuery(target: .record(.number(1)), form: .diverse(k: 5, lambda: 1, candidates: nil)),
            SearchQuery(target: .text("small"), form: .grouped(field: "x.y", groups: 4, groupSize: 2)),
          ]))
    ),
    (
      "scan",
      .scan(
        ScanRequest(
          collection: "books", after: .number(9), limit: 1_000, filter: filter, includeVector: false))
    ),
    ("count", .count(CountRequest(collection: "books", filter: nil))),
    ("publish-module", .publishModule(PublishModuleRequest(name: "ngrams", bytes: [0, 0x61, 0x73, 0x6d]))),
    ("list-modules", .listModules),
    ("stats", .stats(StatsRequest(collection: "books"))),
    ("stats-node", .stats(StatsRequest(collection: nil))),
    ("flush", .flush(CollectionRequest(collection: "books"))),
    ("compact", .compact(CollectionRequest(collection: "books"))),
    ("verify", .verify(CollectionRequest(collection: "books"))),
    ("backup", .backup(BackupRequest(collection: "books", directory: "/backup/books"))),
  ]

  static let replies: [(String, Response)] = [
    (
      "hello",
      .hello(
        ServerGreeting(
          features: [.streams], nodeID: 9, serverVersion: "1.0.0", requestsInFlightMax: 1_024,
          bodyBytesMax: 67_108_864))
    ),
    ("ping", .ping),
    ("create-collection", .createCollection),
    (
      "list-collections",
      .listCollections([CollectionDescription(name: "books", schema: books, liveRecords: 3)])
    ),
    ("put", .put([version, .zero])),
    ("delete", .delete(2)),
    (
      "get",
      .get(
        GetResponse(records: [
          Record(id: .number(1), vector: vector, payload: payload, version: version), nil,
          Record(id: .key("a"), vector: Vector(element: .f32, bytes: []), payload: Payload(), version: .zero),
        ]))
    ),
    (
      "search",
      .search(
        SearchResponse(
          firstQuery: 0,
          hits: [
            [
              SearchHit(id: .number(1), distance: 0.25, payload: payload),
              SearchHit(id: .key("a"), distance: 1.5, vector: vector),
            ], [],
          ], modules: [ModuleVersion(name: "cheap", sha256: digest)],
          coverage: Coverage(shardsAnswered: 1, shardsTotal: 1),
          explanations: [
            nil,
            SearchExplanation(
              sources: [
                .init(
                  name: "segment 7", rows: 200_000, method: .filteredGraph, evidence: .indexed,
                  passing: 20_000,
                  effort: 64, scanCost: 672.5, walkCost: 65.25, rowsCompared: 900, nodesExpanded: 80,
                  pagesRead: 0, micros: 71),
                .init(
                  name: "memtable 9", rows: 300, method: .scan, evidence: .sampled, passing: 3, effort: 64,
                  scanCost: 10, walkCost: 10_000, rowsCompared: 300, micros: 30),
              ], micros: 140),
          ]))
    ),
    (
      "search-groups",
      .search(
        SearchResponse(
          firstQuery: 4,
          hits: [
            [
              SearchHit(id: .number(1), distance: 0.25, group: .string("utils"), payload: payload),
              SearchHit(id: .key("a"), distance: 1.5, group: .int(-7), vector: vector),
            ]
          ], modules: [], coverage: Coverage(shardsAnswered: 1, shardsTotal: 1)))
    ),
    (
      "scan",
      .scan(
        ScanPage(
          records: [Record(id: .number(10), vector: vector, payload: payload, version: version)],
          next: .number(10)))
    ),
    ("count", .count(3)),
    ("publish-module", .publishModule(module)),
    ("list-modules", .listModules([module])),
    ("stats", .stats(Payload(["records": .int(3)]))),
    (
      "verify",
      .verify(
        VerifyAnswer(
          filesChecked: 4, bytesChecked: 65_536,
          problems: [RoostError(.corrupted, "checksum", at: "segment-1 offset 4096", remedy: "restore")]))
    ),
  ]

  static func request(_ request: Request, _ trailer: Trailer = Trailer(), compress: Bool = false) throws
    -> [UInt8]
  {
    var writer = ByteWriter()
    let streamID: UInt32 = if case .scan = request { 66 } else { 0 }
    try writer.frame(
      FrameHeader(opcode: request.opcode.rawValue, requestID: 66, streamID: streamID, deadlineMs: 1_500),
      bodyBytesMax: 1 << 26, compress: compress
    ) { body in
      body.trailer = trailer
      request.encode(into: &body)
    }
    return writer.bytes
  }

  static func reply(_ response: Response, more: Bool = false) throws -> [UInt8] {
    var writer = ByteWriter()
    try writer.frame(
      FrameHeader(
        opcode: response.opcode.rawValue, flags: more ? [.reply, .more] : .reply, requestID: 66,
        streamID: more ? 66 : 0), bodyBytesMax: 1 << 26
    ) { response.encode(into: &$0) }
    return writer.bytes
  }

  static func error(_ error: RoostError, retryAfterMs: UInt32?, id: UInt32) throws -> [UInt8] {
    var writer = ByteWriter()
    try writer.frame(
      FrameHeader(
        opcode: (id == 0 ? Opcode.goAway : .get).rawValue, flags: [.reply, .error], requestID: id),
      bodyBytesMax: 1 << 26
    ) { body in
      error.encode(into: &body)
      body.trailer.retryAfterMs = retryAfterMs
    }
    return writer.bytes
  }

  static func control(_ opcode: Opcode, flags: FrameFlags = [], id: UInt32, stream: UInt32, _ body: [UInt8])
    -> [UInt8]
  {
    var writer = ByteWriter()
    writer.controlFrame(
      FrameHeader(opcode: opcode.rawValue, flags: flags, requestID: id, streamID: stream), body: body)
    return writer.bytes
  }

  /// A frame with a correct header around any body.
  static func raw(_ opcode: Opcode, flags: FrameFlags = [], _ body: [UInt8]) -> [UInt8] {
    control(opcode, flags: flags, id: 66, stream: 0, body)
  }
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
    for (name, request) in Samples.requests {
      all.append(
        Golden(name: "request-\(name)", about: "request \(name)", bytes: try Samples.request(request)))
    }
    let traced = Request.delete(DeleteRequest(collection: "books", ids: [.number(1)]))
    all.append(
      Golden(
        name: "request-delete-with-trailer", about: "request delete with trace context and idempotency key",
        bytes: try Samples.request(traced, Samples.trailer)))
    let packed = Request.publishModule(
      PublishModuleRequest(name: "zeros", bytes: [UInt8](repeating: 0, count: 4_096)))
    all.append(
      Golden(
        name: "request-publish-module-compressed", about: "request publish-module of 4096 zero bytes, LZ4",
        bytes: try Samples.request(packed, compress: true)))
    for (name, response) in Samples.replies {
      all.append(Golden(name: "reply-\(name)", about: "reply \(name)", bytes: try Samples.reply(response)))
    }
    all.append(
      Golden(
        name: "reply-scan-part", about: "a part of a reply to scan, more follow",
        bytes: try Samples.reply(.scan(ScanPage(records: [], next: .key("k"))), more: true)))
    all.append(
      Golden(
        name: "reply-error", about: "an error in reply to get",
        bytes: try Samples.error(
          RoostError(.overloaded, "too many searches", at: "node", remedy: "try again"), retryAfterMs: 50,
          id: 66)))
    all.append(
      Golden(
        name: "connection-error", about: "an error of the whole connection",
        bytes: try Samples.error(
          RoostError(.protocolViolation, "no frame", at: "frame header"), retryAfterMs: nil, id: 0)))
    all.append(
      Golden(
        name: "control-cancel", about: "cancel of request 66",
        bytes: Samples.control(.cancel, id: 66, stream: 0, [])))
    all.append(
      Golden(
        name: "control-credit", about: "credit of 65536 bytes for stream 66",
        bytes: Samples.control(.credit, id: 66, stream: 66, [0, 0, 1, 0])))
    all.append(
      Golden(
        name: "control-go-away", about: "the node is stopping",
        bytes: Samples.control(.goAway, flags: .reply, id: 0, stream: 0, [])))
    return all
  }

  /// What must be refused, with the kind of error; the level says which reader finds it.
  private static func malformed() throws -> [(golden: Golden, level: String, kind: RoostError.Kind)] {
    let get = try Samples.request(.get(GetRequest(collection: "c", ids: [.number(1)], includeVector: false)))
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
        Samples.raw(.ping, flags: .compressed, [255, 255, 255, 255, 0])
      ),
      (
        "compressed-ratio", "a packed body that claims more than LZ4 can hold", "frame", .protocolViolation,
        Samples.raw(.ping, flags: .compressed, [0, 0, 1, 0, 0])
      ),
      (
        "compressed-short", "a packed body without its length", "frame", .protocolViolation,
        Samples.raw(.ping, flags: .compressed, [1, 0])
      ),
      (
        "compressed-block", "a packed body that is no LZ4 block", "frame", .protocolViolation,
        Samples.raw(.ping, flags: .compressed, [16, 0, 0, 0, 0xff, 0xff, 0xff])
      ),
      ("empty-body", "a message without a body", "request", .protocolViolation, Samples.raw(.ping, [])),
      (
        "trailing-byte", "a byte after the end", "request", .protocolViolation,
        Samples.raw(.ping, [0, 0, 0, 0, 0, 0])
      ),
      (
        "critical-field", "a required field that nobody knows", "request", .unsupportedVersion,
        Samples.raw(.ping, field(9_001, []))
      ),
      (
        "field-length", "an idempotency key of 15 bytes", "request", .protocolViolation,
        Samples.raw(.ping, field(4, [UInt8](repeating: 1, count: 15)))
      ),
      (
        "count", "more ids than there are bytes", "request", .protocolViolation,
        Samples.raw(
          .delete,
          body {
            $0.u32(0)
            $0.string("c")
            $0.count(9_999)
          })
      ),
      (
        "count-limit", "more ids than allowed", "request", .limitExceeded,
        Samples.raw(
          .delete,
          body {
            $0.u32(0)
            $0.string("c")
            $0.count(10_001)
          })
      ),
      (
        "flag", "a flag that is 2", "request", .protocolViolation,
        Samples.raw(
          .count,
          body {
            $0.u32(0)
            $0.string("c")
            $0.u8(2)
          })
      ),
      (
        "utf8", "a name that is not UTF-8", "request", .protocolViolation,
        Samples.raw(
          .flush,
          body {
            $0.u32(0)
            $0.blob([0xc3, 0x28])
            $0.count(0)
          })
      ),
      (
        "varint", "a varint that is not minimal", "request", .protocolViolation,
        Samples.raw(.flush, [0, 0, 0, 0, 0x81, 0x00, 0x63, 0])
      ),
      (
        "vectors-bits", "a binary vector of 12 bits", "request", .protocolViolation,
        Samples.raw(
          .put,
          body {
            $0.u32(64)
            $0.string("c")
            $0.count(1)
            RecordID.number(1).encode(into: &$0)
            $0.u8(1)
            $0.u8(VectorElement.binary.rawValue)
            $0.count(12)
            $0.count(0)
            $0.count(0)
            $0.pad(to: 64)
            $0.raw([1, 2])
          })
      ),
      (
        "vectors-unaligned", "vectors that begin at byte 5", "request", .protocolViolation,
        Samples.raw(.ping, [5, 0, 0, 0, 0])
      ),
      (
        "vectors-outside", "vectors that begin beyond the end", "request", .protocolViolation,
        Samples.raw(.ping, [64, 0, 0, 0, 0])
      ),
      (
        "vectors-unused", "vectors that nothing refers to", "request", .protocolViolation,
        Samples.raw(.ping, [64, 0, 0, 0] + [UInt8](repeating: 0, count: 64))
      ),
      (
        "vectors-padding", "padding that is not zero", "request", .protocolViolation,
        changed(
          try Samples.request(
            .put(PutRequest(collection: "c", records: [PutRecord(id: .number(1), vector: Samples.vector)]))),
          resealed: true
        ) { $0[32 + 63] = 1 }
      ),
      (
        "reply-count", "more records than there are bytes", "reply", .protocolViolation,
        Samples.raw(
          .get, flags: .reply,
          body {
            $0.u32(0)
            $0.count(9_999)
          })
      ),
      (
        "reply-value", "a value of an unknown type", "reply", .protocolViolation,
        Samples.raw(
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
        Samples.raw(
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
    let requests = Set(Samples.requests.map(\.1.opcode))
    let expected = Set(Opcode.allCases).subtracting([.cancel, .credit, .goAway])
    #expect(requests == expected)
  }

  @Test func validFramesDecodeToTheirMessages() throws {
    for (name, request) in Samples.requests {
      let bytes = Array(try Samples.request(request)[FrameHeader.byteCount...])
      let decoded = try bytes.withUnsafeBytes { try Request.decode(request.opcode, $0) }
      #expect(decoded.0 == request, "\(name)")
    }
    for (name, response) in Samples.replies {
      let bytes = Array(try Samples.reply(response)[FrameHeader.byteCount...])
      #expect(try bytes.withUnsafeBytes { try Response.decode(response.opcode, $0) } == response, "\(name)")
    }
  }
}
