// The messages that the golden vectors of `spec/vectors` hold.

import Core

@testable import Wire

enum GoldenSamples {
  static let books = CollectionSchema(
    dimension: 3, element: .f32, metric: .cosine, degree: 32, buildEffort: 100, layout: .compact,
    recall: RecallTarget(share: 0.99),
    embedder: EmbedderReference(module: "ngrams", sourceField: "text"),
    indexing: .fields(["text", "c"]),
    transforms: [
      TransformReference(module: "language", parameters: Payload(["field": .string("text")])),
      TransformReference(module: "units"),
    ])
  static let films = CollectionSchema(
    fields: [
      VectorField(name: "title", dimension: 3, metric: .cosine),
      VectorField(name: "image", dimension: 16, element: .binary, degree: 64, buildEffort: 200),
    ], embedder: EmbedderReference(module: "ngrams", sourceField: "text", vectorField: "title"))
  static let vector = Vector([0.5, -1, 2] as [Float])
  static let bits = Vector(bits: (0..<16).map { $0 % 3 == 0 })
  static let payload = Payload([
    "a": .null, "b": .bool(true), "c": .int(-7), "d": .double(1.5), "e": .string("Zoë"),
    "f": .bytes([0, 255]),
    "g": .geo(latitude: 52.5, longitude: 13.4), "h": .datetime(1_700_000_000_000_000),
    "i": .array([.int(1), .string("x")]), "j": .map(["k": .bool(false)]),
  ])
  static let filter = Filter.and([
    .field("section", .equals(.string("utils"))), .field("n", .isIn([.int(1), .int(2)])),
    .not(
      .or([
        .field("x.y", .exists),
        .field("size", .range(FilterRange(lower: .inclusive(.int(10)), upper: .exclusive(.double(99.5))))),
      ])),
  ])
  /// Every kind of filter that `filter` has not.
  static let places = Filter.or([
    .field("place", .within(.circle(center: GeoPoint(latitude: 48.2, longitude: 16.5), radiusMeters: 5_000))),
    .field(
      "place",
      .within(
        .box(
          southWest: GeoPoint(latitude: -20, longitude: 170),
          northEast: GeoPoint(latitude: 10, longitude: -170))
      )),
    .field(
      "place",
      .within(
        .polygon([
          GeoPoint(latitude: 0, longitude: 0), GeoPoint(latitude: 0, longitude: 1),
          GeoPoint(latitude: 1, longitude: 0.5),
        ]))),
    .field("title", .text(TextMatch(.phrase, "Zoë's open sources"))), .field("note", .hasValue),
    .nested("reviews", .and([.field("stars", .equals(.int(5))), .field("by", .equals(.null))])),
    .hasID([.number(.max), .key("clé")]),
  ])
  static let version = Version(time: 0x0123_4567_89ab_cdef, node: 7)
  static let digest = String(repeating: "0123456789abcdef", count: 4)
  static let signature = ModuleSignature(key: Array(0..<32), signature: Array(64..<128))
  static let module = ModuleDescription(
    name: "ngrams", version: 2, kind: .embedder, byteCount: 7168, sha256: digest,
    exports: ["embed", "memory"],
    publishedMs: 1_700_000_000_000)
  static let modules = [
    ModuleStatus(name: "ngrams", versions: [module], current: 2, grants: ["log", "tensor"]),
    ModuleStatus(
      name: "cheap",
      versions: [
        ModuleDescription(
          name: "cheap", version: 3, kind: .filter, byteCount: 9, sha256: digest, modelSHA256: digest,
          exports: [], signer: "ed25519:00", publishedMs: 1, failure: "damaged")
      ], current: nil, previous: [1, 2], canary: ModuleCanary(version: 3, percent: 5), isPinned: true,
      quota: ModuleQuota(calls: 4, cpuPercent: 25), state: Payload(["rate": .double(0.5)]),
      metrics: Payload(["calls": .int(7)])),
  ]
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
      "put-sources",
      .put(
        PutRequest(
          collection: "books",
          records: [
            PutRecord(id: .number(1), vector: nil, source: .text("a photo")),
            PutRecord(id: .number(2), vector: nil, payload: payload, source: .bytes([0xff, 0xd8, 0])),
          ]))
    ),
    (
      "create-collection-binary",
      .createCollection(
        CreateCollectionRequest(
          collection: "prints", schema: CollectionSchema(dimension: 16, element: .binary)))
    ),
    (
      "create-collection-vectors",
      .createCollection(CreateCollectionRequest(collection: "films", schema: films))
    ),
    (
      "put-vectors",
      .put(
        PutRequest(
          collection: "films",
          records: [
            PutRecord(
              id: .number(1), vectors: ["title": vector, "image": bits],
              payload: Payload(["text": .string("both")])),
            PutRecord(id: .number(2), vectors: ["image": bits]),
            PutRecord(id: .number(3), vectors: ["": vector, "image": bits]),
          ]))
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
            PutRecord(id: .number(4), vector: bits),
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
            SearchQuery(target: .record(.number(3)), using: "image"),
            SearchQuery(target: .bytes([0xff, 0xd8, 0]), k: 3),
          ]))
    ),
    (
      "search-scored",
      .search(
        SearchRequest(
          collection: "books",
          queries: [
            SearchQuery(
              target: .vector(vector), k: 5, module: ModuleCall(module: "cheap"),
              score: ScoreCall(
                module: "popular", parameters: Payload(["field": .string("n")]), weight: 0.25, candidates: 40)
            ), SearchQuery(target: .record(.number(3)), score: ScoreCall(module: "fresh"), using: "image"),
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
          collection: "books", after: ScanCursor(id: .number(9)), limit: 1_000, filter: filter,
          includeVector: false))
    ),
    (
      "scan-ordered",
      .scan(
        ScanRequest(
          collection: "books", order: ScanOrder("year", descending: true),
          after: ScanCursor(id: .key("clé"), value: .int(1_999)), limit: 10, filter: nil, includeVector: true)
      )
    ),
    (
      "facet",
      .facet(
        FacetRequest(
          collection: "books",
          query: FacetQuery(
            [
              Facet("section", .values(top: 10)), Facet("size.kb", .numbers(interval: 0.5)),
              Facet("added", .datetimes(interval: 86_400)),
            ], filter: filter)))
    ),
    ("count", .count(CountRequest(collection: "books", filter: nil))),
    ("count-filtered", .count(CountRequest(collection: "books", filter: places))),
    ("publish-module", .publishModule(PublishModuleRequest(name: "ngrams", bytes: [0, 0x61, 0x73, 0x6d]))),
    (
      "publish-module-signed",
      .publishModule(
        PublishModuleRequest(
          name: "cheap", bytes: [0, 0x61, 0x73, 0x6d], signature: signature, placement: .canary(percent: 5)))
    ),
    ("inspect-module", .inspectModule(ModuleRequest(name: "ngrams"))),
    ("change-module-pin", .changeModule(ChangeModuleRequest(name: "ngrams", change: .pin(.number(2))))),
    (
      "change-module-canary",
      .changeModule(ChangeModuleRequest(name: "cheap", change: .canary(.digest("01234567"), percent: 5)))
    ),
    ("change-module-delete", .changeModule(ChangeModuleRequest(name: "cheap", change: .delete(nil)))),
    ("change-module-grant", .changeModule(ChangeModuleRequest(name: "cheap", change: .grant(["log"])))),
    (
      "change-module-state",
      .changeModule(
        ChangeModuleRequest(name: "cheap", change: .state(Payload(["rate": .double(0.5)]))))
    ),
    (
      "change-module-quota",
      .changeModule(
        ChangeModuleRequest(name: "cheap", change: .quota(ModuleQuota(calls: 4, cpuPercent: 25))))
    ),
    ("list-modules", .listModules),
    ("stats", .stats(StatsRequest(collection: "books"))),
    ("stats-node", .stats(StatsRequest(collection: nil))),
    ("flush", .flush(CollectionRequest(collection: "books"))),
    ("compact", .compact(CollectionRequest(collection: "books"))),
    ("verify", .verify(VerifyRequest(collection: "books", recallSamples: 200))),
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
      .listCollections([
        CollectionDescription(name: "books", schema: books, liveRecords: 3),
        CollectionDescription(name: "films", schema: films, liveRecords: 2),
      ])
    ),
    ("put", .put([version, .zero])),
    ("delete", .delete(2)),
    (
      "get",
      .get(
        GetResponse(records: [
          Record(id: .number(1), vector: vector, payload: payload, version: version), nil,
          Record(id: .key("a"), vectors: RecordVectors(), payload: Payload(), version: .zero),
          Record(
            id: .number(2), vectors: ["image": bits, "title": vector], payload: Payload(), version: version),
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
              SearchHit(id: .key("a"), distance: 1.5, score: -0.5, vector: vector),
            ], [],
          ], modules: [ModuleVersion(name: "cheap", version: 3, sha256: digest)],
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
          next: ScanCursor(id: .number(10), value: .string("z"))))
    ),
    (
      "facet",
      .facet(
        FacetOutcome(
          matched: 70_000,
          answers: [
            .values(
              distinct: 3,
              top: [
                ValueCount(value: .string("utils"), count: 40_000), ValueCount(value: .null, count: 9),
              ]),
            .bounds(
              count: 2, least: .int(-7), greatest: .double(1.25),
              histogram: [
                ValueCount(value: .double(-7), count: 1), ValueCount(value: .double(1), count: 1),
              ]), .bounds(count: 0, least: nil, greatest: nil, histogram: []),
          ]))
    ),
    ("count", .count(3)),
    ("publish-module", .publishModule(module)),
    ("list-modules", .listModules(modules)),
    ("inspect-module", .inspectModule(modules[0])),
    ("change-module", .changeModule(modules[1])),
    ("change-module-gone", .changeModule(nil)),
    ("stats", .stats(Payload(["records": .int(3)]))),
    (
      "verify",
      .verify(
        VerifyAnswer(
          filesChecked: 4, bytesChecked: 65_536,
          problems: [RoostError(.corrupted, "checksum", at: "segment-1 offset 4096", remedy: "restore")],
          recall: RecallAnswer(
            queries: 200, k: 10, effort: 64, recall: 0.75, low: 0.5, high: 0.875, advice: "more effort")))
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
