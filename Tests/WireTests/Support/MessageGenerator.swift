// Random messages of every kind, from a seed.

import Core
import Wire

struct MessageGenerator {
  var random: SplitMix64

  init(seed: UInt64) { random = SplitMix64(seed: seed) }

  mutating func below(_ limit: Int) -> Int { Int(random.next() % UInt64(limit)) }
  mutating func flip() -> Bool { random.next() & 1 == 0 }

  mutating func list<T>(upTo limit: Int, _ element: (inout MessageGenerator) -> T) -> [T] {
    let count = below(limit + 1)
    var list: [T] = []
    for _ in 0..<count { list.append(element(&self)) }
    return list
  }

  mutating func maybe<T>(_ value: (inout MessageGenerator) -> T) -> T? { flip() ? value(&self) : nil }

  mutating func text(upTo limit: Int = 20) -> String {
    let letters = Array("abcdefghij-_.ABC09äß雪😀")
    return String(list(upTo: limit) { letters[$0.below(letters.count)] })
  }

  mutating func name() -> String { "c" + list(upTo: 10) { ["a", "b", "-", "7"][$0.below(4)] }.joined() }

  mutating func id() -> RecordID { flip() ? .number(random.next()) : .key("k" + text(upTo: 8)) }

  mutating func vector() -> Vector {
    let dimension = below(70) + 1
    switch below(5) {
    case 0: return Vector((0..<dimension).map { _ in Float(below(1000)) / 7 - 50 })
    case 3:
      let element = flip() ? VectorElement.f16 : .bf16
      return Vector(element: element, bytes: (0..<2 * dimension).map { _ in UInt8(below(256)) })
    case 4: return Vector(element: .binary, bytes: (0..<dimension).map { _ in UInt8(below(256)) })
    case 1: return Vector((0..<dimension).map { _ in UInt8(below(256)) })
    default: return Vector((0..<dimension).map { _ in Int8(below(256) - 128) })
    }
  }

  mutating func value(depth: Int = 0) -> Value {
    switch below(depth < 3 ? 10 : 8) {
    case 0: return .null
    case 1: return .bool(flip())
    case 2: return .int(Int64(bitPattern: random.next()))
    case 3: return .double(Double(below(1_000_000)) / 64)
    case 4: return .string(text())
    case 5: return .bytes(list(upTo: 20) { UInt8($0.below(256)) })
    case 6: return .geo(latitude: Double(below(180) - 90), longitude: Double(below(360) - 180))
    case 7: return .datetime(Int64(below(1 << 50)))
    case 8: return .array(list(upTo: 4) { $0.value(depth: depth + 1) })
    default: return .map(payload(depth: depth + 1).fields)
    }
  }

  mutating func payload(depth: Int = 0) -> Payload {
    var payload = Payload()
    for _ in 0..<below(5) { payload["f" + text(upTo: 6)] = value(depth: depth) }
    return payload
  }

  mutating func filter(depth: Int = 0) -> Filter {
    switch below(depth < 3 ? 9 : 5) {
    case 0...3: return .field(path(), predicate())
    case 4: return .hasID(list(upTo: 4) { $0.id() })
    case 5: return .and(list(upTo: 3) { $0.filter(depth: depth + 1) })
    case 6: return .or(list(upTo: 3) { $0.filter(depth: depth + 1) })
    case 7: return .nested(path(), filter(depth: depth + 1))
    default: return .not(filter(depth: depth + 1))
    }
  }

  mutating func path() -> FieldPath { (try? FieldPath(names: ["f" + text(upTo: 6)])) ?? "f" }

  mutating func predicate() -> FieldPredicate {
    switch below(9) {
    case 0: .exists
    case 1: .hasValue
    case 2: .equals(value())
    case 3: .isIn(list(upTo: 4) { $0.value() })
    case 4: .range(FilterRange(lower: bound(), upper: bound()))
    case 5: .text(TextMatch(TextMatch.Mode.allCases[below(4)], text()))
    case 6: .within(.circle(center: place(), radiusMeters: Double(below(1 << 40))))
    case 7: .within(.box(southWest: place(), northEast: place()))
    default: .within(.polygon(list(upTo: 6) { $0.place() }))
    }
  }

  mutating func cursor() -> ScanCursor {
    ScanCursor(id: id(), value: maybe { $0.flip() ? .int(Int64($0.below(99))) : .string($0.text()) })
  }

  mutating func facet() -> Facet {
    switch below(3) {
    case 0: Facet(path(), .values(top: below(Limits.facetTopMax) + 1))
    case 1: Facet(path(), .numbers(interval: Double(below(99))))
    default: Facet(path(), .datetimes(interval: Double(below(99))))
    }
  }

  mutating func facetAnswer() -> FacetAnswer {
    func counts(_ generator: inout MessageGenerator) -> [ValueCount] {
      generator.list(upTo: 4) { ValueCount(value: $0.value(), count: $0.below(1 << 40)) }
    }
    return flip()
      ? .values(distinct: below(1 << 40), top: counts(&self))
      : .bounds(
        count: below(1 << 40), least: maybe { $0.value() }, greatest: maybe { $0.value() },
        histogram: counts(&self))
  }

  mutating func place() -> GeoPoint {
    GeoPoint(latitude: Double(below(180) - 90), longitude: Double(below(360) - 180))
  }

  mutating func bound() -> FilterRange.Bound {
    switch below(3) {
    case 0: .unbounded
    case 1: .inclusive(value())
    default: .exclusive(value())
    }
  }

  mutating func schema() -> CollectionSchema {
    let count = below(4) + 1
    let unnamed = flip()
    var fields: [VectorField] = []
    for index in 0..<count {
      let element = VectorElement.allCases[below(VectorElement.allCases.count)]
      let step = element.dimensionStep
      fields.append(
        VectorField(
          name: index == 0 && unnamed ? "" : "field\(index)",
          dimension: (below(Limits.dimensionMax / step) + 1) * step, element: element,
          metric: element.metrics[below(element.metrics.count)], degree: flip() ? 32 : 64,
          buildEffort: below(900) + 16))
    }
    return CollectionSchema(
      fields: fields, layout: flip() ? .fast : .compact,
      recall: RecallTarget(thousandths: 500 + below(500)),
      embedder: maybe {
        EmbedderReference(
          module: $0.name(), sourceField: "f" + $0.text(), vectorField: fields[$0.below(count)].name)
      }, indexing: flip() ? .all : flip() ? .none : .fields((0..<below(4)).map { "field\($0)" }),
      transforms: list(upTo: 3) { TransformReference(module: $0.name(), parameters: $0.payload()) })
  }

  mutating func vectors() -> RecordVectors {
    var vectors = RecordVectors()
    for name in ["", "a", "title"] where flip() { vectors[name] = vector() }
    return vectors
  }

  mutating func version() -> Version {
    Version(time: random.next(), node: UInt32(truncatingIfNeeded: random.next()))
  }

  mutating func record() -> Record {
    Record(
      id: id(), vectors: vectors(), payload: payload(), version: version())
  }

  mutating func point() -> SearchPoint {
    switch below(3) {
    case 0: .vector(vector())
    case 1: .record(id())
    default: .source(source())
    }
  }

  mutating func source() -> EmbedderInput {
    flip() ? .text(text(upTo: 60)) : .bytes((0..<below(60)).map { UInt8($0) })
  }

  mutating func form() -> SearchForm {
    switch below(4) {
    case 0: .nearest(k: below(Limits.kMax) + 1)
    case 1: .range(radius: Float(below(1000)) / 3 - 100, limit: below(Limits.kMax) + 1)
    case 2:
      .diverse(
        k: below(Limits.diverseCandidatesMax) + 1, lambda: Float(below(9)) / 8,
        candidates: maybe { $0.below(Limits.diverseCandidatesMax) + 1 })
    default: .grouped(field: text(), groups: below(Limits.kMax) + 1, groupSize: below(Limits.kMax) + 1)
    }
  }

  mutating func query() -> SearchQuery {
    let target: SearchTarget =
      flip()
      ? .point(point())
      : .recommend(
        Recommendation(
          positive: list(upTo: 3) { $0.point() }, negative: list(upTo: 3) { $0.point() },
          strategy: Recommendation.Strategy.allCases[below(2)]))
    return SearchQuery(
      target: target, form: form(), effort: maybe { $0.below(Limits.effortMax) + 1 }, exact: flip(),
      filter: maybe { $0.filter() },
      module: maybe { ModuleCall(module: $0.name(), parameters: $0.payload()) },
      score: maybe { generator in
        ScoreCall(
          module: generator.name(), parameters: generator.payload(), weight: Float(generator.below(9)) / 8,
          candidates: generator.maybe { $0.below(Limits.kMax) + 1 })
      },
      excluded: list(upTo: 3) { $0.id() }, includePayload: flip(), includeVector: flip(),
      explain: flip(), using: flip() ? name() : "")
  }

  mutating func hit() -> SearchHit {
    SearchHit(
      id: id(), distance: Float(below(100_000)) / 3, score: maybe { Float($0.below(99)) / 8 - 4 },
      group: maybe { $0.value() },
      payload: maybe { $0.payload() }, vector: maybe { $0.vector() })
  }

  mutating func module() -> ModuleDescription {
    ModuleDescription(
      name: name(), version: UInt32(below(100)), kind: ModuleKind.allCases[below(ModuleKind.allCases.count)],
      byteCount: random.next(), sha256: String(repeating: "a", count: 64), modelSHA256: maybe { $0.name() },
      exports: list(upTo: 4) { $0.text() }, signer: maybe { $0.name() }, publishedMs: random.next(),
      failure: maybe { $0.text() })
  }

  mutating func signature() -> ModuleSignature {
    ModuleSignature(
      key: (0..<32).map { _ in UInt8(below(256)) }, signature: (0..<64).map { _ in UInt8(below(256)) })
  }

  mutating func quota() -> ModuleQuota {
    ModuleQuota(calls: UInt16(below(1 << 16)), cpuPercent: UInt8(below(100) + 1))
  }

  mutating func moduleStatus() -> ModuleStatus {
    ModuleStatus(
      name: name(), versions: list(upTo: 3) { $0.module() }, current: maybe { UInt32($0.below(9) + 1) },
      previous: list(upTo: 3) { UInt32($0.below(9)) },
      canary: maybe { ModuleCanary(version: UInt32($0.below(9)), percent: UInt8($0.below(100) + 1)) },
      isPinned: flip(), grants: list(upTo: 3) { $0.name() }, quota: quota(), state: payload(),
      metrics: payload())
  }

  mutating func moduleVersion() -> ModuleSelector.Choice {
    switch below(4) {
    case 0: .current
    case 1: .canary
    case 2: .number(UInt32(below(9_999_999) + 1))
    default: .digest("0123abcd")
    }
  }

  mutating func moduleChange() -> ModuleChange {
    switch below(10) {
    case 0: .pin(maybe { $0.moduleVersion() })
    case 1: .unpin
    case 2: .rollBack
    case 3: .canary(moduleVersion(), percent: UInt8(below(100) + 1))
    case 4: .endCanary
    case 5: .promote
    case 6: .delete(maybe { $0.moduleVersion() })
    case 7: .grant(list(upTo: 3) { $0.name() })
    case 8: .quota(quota())
    default: .state(payload())
    }
  }

  mutating func placement() -> ModulePlacement {
    switch below(3) {
    case 0: .current
    case 1: .staged
    default: .canary(percent: UInt8(below(100) + 1))
    }
  }

  mutating func error() -> RoostError {
    RoostError(
      RoostError.Kind.allCases[below(RoostError.Kind.allCases.count)], text(), at: text(), remedy: text())
  }

  mutating func trailer() -> Trailer {
    Trailer(
      trace: maybe {
        TraceContext(
          traceHigh: $0.random.next(), traceLow: $0.random.next(), span: $0.random.next(),
          flags: UInt8($0.below(256)))
      }, idempotencyKey: maybe { IdempotencyKey(high: $0.random.next(), low: $0.random.next()) },
      retryAfterMs: maybe { UInt32($0.below(1 << 30)) })
  }

  mutating func request(_ opcode: Opcode) -> Request? {
    switch opcode {
    case .cancel, .credit, .goAway: nil
    case .ping: .ping
    case .listCollections: .listCollections
    case .listModules: .listModules
    case .hello:
      .hello(
        HelloRequest(
          offered: Features(rawValue: random.next()), required: Features(rawValue: random.next()),
          bodyBytesMax: UInt32(below(1 << 30)), streamWindowBytes: UInt32(below(1 << 30)), clientName: text())
      )
    case .createCollection: .createCollection(CreateCollectionRequest(collection: name(), schema: schema()))
    case .put:
      .put(
        PutRequest(
          collection: name(),
          records: list(upTo: 5) {
            PutRecord(
              id: $0.id(), vectors: $0.vectors(), payload: $0.payload(), source: $0.maybe { $0.source() })
          }))
    case .delete: .delete(DeleteRequest(collection: name(), ids: list(upTo: 5) { $0.id() }))
    case .get: .get(GetRequest(collection: name(), ids: list(upTo: 5) { $0.id() }, includeVector: flip()))
    case .search: .search(SearchRequest(collection: name(), queries: list(upTo: 4) { $0.query() }))
    case .scan:
      .scan(
        ScanRequest(
          collection: name(), order: maybe { ScanOrder($0.path(), descending: $0.flip()) },
          after: maybe { $0.cursor() }, limit: random.next(), filter: maybe { $0.filter() },
          includeVector: flip()))
    case .facet:
      .facet(
        FacetRequest(
          collection: name(),
          query: FacetQuery(list(upTo: 4) { $0.facet() }, filter: maybe { $0.filter() })))
    case .count: .count(CountRequest(collection: name(), filter: maybe { $0.filter() }))
    case .publishModule:
      .publishModule(
        PublishModuleRequest(
          name: name(), bytes: list(upTo: 300) { UInt8($0.below(256)) }, signature: maybe { $0.signature() },
          placement: placement()))
    case .inspectModule: .inspectModule(ModuleRequest(name: name()))
    case .changeModule: .changeModule(ChangeModuleRequest(name: name(), change: moduleChange()))
    case .stats: .stats(StatsRequest(collection: maybe { $0.name() }))
    case .backup: .backup(BackupRequest(collection: name(), directory: text(upTo: 50)))
    case .dropCollection: .dropCollection(CollectionRequest(collection: name()))
    case .flush: .flush(CollectionRequest(collection: name()))
    case .compact: .compact(CollectionRequest(collection: name()))
    case .verify: .verify(VerifyRequest(collection: name(), recallSamples: below(100_000)))
    }
  }

  mutating func response(_ opcode: Opcode) -> Response? {
    switch opcode {
    case .cancel, .credit, .goAway: nil
    case .ping: .ping
    case .createCollection: .createCollection
    case .dropCollection: .dropCollection
    case .flush: .flush
    case .compact: .compact
    case .backup: .backup
    case .hello:
      .hello(
        ServerGreeting(
          features: Features(rawValue: random.next()), nodeID: UInt32(below(1 << 30)), serverVersion: text(),
          requestsInFlightMax: below(10_000), bodyBytesMax: below(1 << 30)))
    case .listCollections:
      .listCollections(
        list(upTo: 4) {
          CollectionDescription(name: $0.name(), schema: $0.schema(), liveRecords: $0.random.next())
        })
    case .put: .put(list(upTo: 6) { $0.version() })
    case .delete: .delete(random.next())
    case .count: .count(random.next())
    case .get: .get(GetResponse(records: list(upTo: 5) { $0.maybe { $0.record() } }))
    case .search:
      .search(
        SearchResponse(
          firstQuery: UInt32(below(1000)), hits: list(upTo: 3) { $0.list(upTo: 4) { $0.hit() } },
          modules: list(upTo: 2) {
            ModuleVersion(name: $0.name(), version: UInt32($0.below(99)), sha256: $0.name())
          },
          coverage: Coverage(shardsAnswered: UInt32(below(9)), shardsTotal: UInt32(below(9))),
          explanations: []
        ).explained(by: &self))
    case .scan: .scan(ScanPage(records: list(upTo: 4) { $0.record() }, next: maybe { $0.cursor() }))
    case .facet: .facet(FacetOutcome(matched: below(1 << 40), answers: list(upTo: 4) { $0.facetAnswer() }))
    case .publishModule: .publishModule(module())
    case .listModules: .listModules(list(upTo: 4) { $0.moduleStatus() })
    case .inspectModule: .inspectModule(moduleStatus())
    case .changeModule: .changeModule(maybe { $0.moduleStatus() })
    case .stats: .stats(payload())
    case .verify:
      .verify(
        VerifyAnswer(
          filesChecked: random.next(), bytesChecked: random.next(), problems: list(upTo: 3) { $0.error() },
          recall: maybe {
            RecallAnswer(
              queries: UInt32($0.below(1000)), k: 10, effort: 64, recall: Double($0.below(100)) / 100,
              low: 0.5, high: 1, advice: $0.text())
          }))
    }
  }
}

extension SearchResponse {
  /// Half of the time with an explanation for some of the answers.
  fileprivate func explained(by generator: inout MessageGenerator) -> SearchResponse {
    guard generator.flip() else { return self }
    return SearchResponse(
      firstQuery: firstQuery, hits: hits, modules: modules, coverage: coverage,
      explanations: hits.map { _ in generator.maybe { $0.explanation() } })
  }
}

extension MessageGenerator {
  fileprivate mutating func explanation() -> SearchExplanation {
    SearchExplanation(
      sources: list(upTo: 3) { generator in
        SearchExplanation.Source(
          name: generator.name(), rows: generator.below(1 << 40),
          method: SearchExplanation.Method.allCases[generator.below(6)],
          evidence: SearchExplanation.Evidence.allCases[generator.below(4)], passing: generator.below(1000),
          effort: generator.below(1000), scanCost: Float(generator.below(100)), walkCost: -1,
          rowsCompared: generator.below(1 << 20), nodesExpanded: generator.below(1000),
          pagesRead: generator.below(9), micros: generator.below(1 << 30))
      }, micros: below(1 << 30))
  }
}
