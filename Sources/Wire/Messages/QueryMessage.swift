// The bytes of one query and one hit (`spec/wire.md`, "query").

import Core

/// Bits of the first two bytes of a query.
private struct QueryFlags: OptionSet {
  let rawValue: UInt16
  static let exact = QueryFlags(rawValue: 1)
  static let payload = QueryFlags(rawValue: 2)
  static let vector = QueryFlags(rawValue: 4)
  static let effort = QueryFlags(rawValue: 8)
  static let filter = QueryFlags(rawValue: 16)
  static let module = QueryFlags(rawValue: 32)
  static let excluded = QueryFlags(rawValue: 64)
  static let explain = QueryFlags(rawValue: 128)
  static let using = QueryFlags(rawValue: 256)
  static let score = QueryFlags(rawValue: 512)
  static let known = QueryFlags(rawValue: 1023)
}

private enum TargetTag {
  static let vector: UInt8 = 0
  static let record: UInt8 = 1
  static let text: UInt8 = 2
  static let recommend: UInt8 = 3
  static let bytes: UInt8 = 4
}

private enum FormTag {
  static let nearest: UInt8 = 0
  static let range: UInt8 = 1
  static let diverse: UInt8 = 2
  static let grouped: UInt8 = 3
}

extension BodyWriter {
  /// What is out of range (a negative k) goes out as the largest number, which every receiver refuses.
  fileprivate mutating func clamped(_ count: Int) { bytes.varint(UInt64(exactly: count) ?? .max) }
}

extension SearchQuery {
  package func encode(into body: inout BodyWriter) {
    var flags: QueryFlags = []
    if exact { flags.insert(.exact) }
    if includePayload { flags.insert(.payload) }
    if includeVector { flags.insert(.vector) }
    if effort != nil { flags.insert(.effort) }
    if filter != nil { flags.insert(.filter) }
    if module != nil { flags.insert(.module) }
    if !excluded.isEmpty { flags.insert(.excluded) }
    if explain { flags.insert(.explain) }
    if !using.isEmpty { flags.insert(.using) }
    if score != nil { flags.insert(.score) }
    body.bytes.u16(flags.rawValue)
    form.encode(into: &body)
    target.encode(into: &body)
    if let effort { body.clamped(effort) }
    filter?.encode(into: &body.bytes)
    if let module {
      body.bytes.string(module.module)
      module.parameters.encode(into: &body.bytes)
    }
    if !excluded.isEmpty {
      body.bytes.count(excluded.count)
      for id in excluded { id.encode(into: &body.bytes) }
    }
    if !using.isEmpty { body.bytes.string(using) }
    if let score {
      body.bytes.string(score.module)
      score.parameters.encode(into: &body.bytes)
      body.bytes.f32(score.weight)
      body.clamped(score.candidates ?? 0)
    }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    let start = body.fixed.offset
    let flags = QueryFlags(rawValue: try body.fixed.u16())
    guard flags.isSubset(of: .known) else {
      throw RoostError(.corrupted, "unknown query flags \(flags.rawValue)", at: "byte \(start)")
    }
    let form = try SearchForm(from: &body)
    let target = try SearchTarget(from: &body)
    let effort = flags.contains(.effort) ? try body.fixed.count("effort", atMost: Limits.effortMax) : nil
    let filter = flags.contains(.filter) ? try Filter(from: &body.fixed) : nil
    var module: ModuleCall?
    if flags.contains(.module) {
      module = ModuleCall(
        module: try body.fixed.string("module name", atMost: ModuleSelector.bytesMax),
        parameters: try body.payload())
    }
    var excluded: [RecordID] = []
    if flags.contains(.excluded) {
      excluded = try body.list("excluded count", atMost: Limits.excludedMax) { (body) throws(RoostError) in
        try RecordID(from: &body.fixed)
      }
      guard !excluded.isEmpty else {
        throw RoostError(.corrupted, "an empty list of excluded ids", at: "byte \(body.fixed.offset)")
      }
    }
    var using = ""
    if flags.contains(.using) {
      using = try body.fixed.string("vector field", atMost: Limits.nameBytesMax)
      guard !using.isEmpty else {
        throw RoostError(.corrupted, "an empty name of a vector field", at: "byte \(body.fixed.offset)")
      }
    }
    var score: ScoreCall?
    if flags.contains(.score) {
      let module = try body.fixed.string("module name", atMost: ModuleSelector.bytesMax)
      let parameters = try body.payload()
      let weight = try body.fixed.f32()
      let candidates = try body.fixed.count("candidates", atMost: Limits.kMax)
      score = ScoreCall(
        module: module, parameters: parameters, weight: weight,
        candidates: candidates == 0 ? nil : candidates)
    }
    self.init(
      target: target, form: form, effort: effort, exact: flags.contains(.exact), filter: filter,
      module: module, score: score, excluded: excluded, includePayload: flags.contains(.payload),
      includeVector: flags.contains(.vector), explain: flags.contains(.explain), using: using)
  }
}

extension SearchForm {
  fileprivate func encode(into body: inout BodyWriter) {
    switch self {
    case .nearest(let k):
      body.bytes.u8(FormTag.nearest)
      body.clamped(k)
    case .range(let radius, let limit):
      body.bytes.u8(FormTag.range)
      body.bytes.f32(radius)
      body.clamped(limit)
    case .diverse(let k, let lambda, let candidates):
      body.bytes.u8(FormTag.diverse)
      body.clamped(k)
      body.bytes.f32(lambda)
      body.clamped(candidates ?? 0)
    case .grouped(let field, let groups, let groupSize):
      body.bytes.u8(FormTag.grouped)
      body.bytes.string(field)
      body.clamped(groups)
      body.clamped(groupSize)
    }
  }

  fileprivate init(from body: inout BodyReader) throws(RoostError) {
    let start = body.fixed.offset
    switch try body.fixed.u8() {
    case FormTag.nearest: self = .nearest(k: try body.fixed.count("k", atMost: Limits.kMax))
    case FormTag.range:
      self = .range(
        radius: try body.fixed.f32(), limit: try body.fixed.count("limit", atMost: Limits.kMax))
    case FormTag.diverse:
      let k = try body.fixed.count("k", atMost: Limits.diverseCandidatesMax)
      let lambda = try body.fixed.f32()
      let candidates = try body.fixed.count("candidates", atMost: Limits.diverseCandidatesMax)
      self = .diverse(k: k, lambda: lambda, candidates: candidates == 0 ? nil : candidates)
    case FormTag.grouped:
      self = .grouped(
        field: try body.fixed.string("field to group by", atMost: FieldPath.textBytesMax),
        groups: try body.fixed.count("groups", atMost: Limits.kMax),
        groupSize: try body.fixed.count("group size", atMost: Limits.kMax))
    case let tag: throw RoostError(.corrupted, "unknown search form \(tag)", at: "byte \(start)")
    }
  }
}

extension SearchTarget {
  fileprivate func encode(into body: inout BodyWriter) {
    switch self {
    case .point(let point): point.encode(into: &body)
    case .recommend(let examples):
      body.bytes.u8(TargetTag.recommend)
      body.bytes.u8(examples.strategy.rawValue)
      for points in [examples.positive, examples.negative] {
        body.bytes.count(points.count)
        for point in points { point.encode(into: &body) }
      }
    }
  }

  fileprivate init(from body: inout BodyReader) throws(RoostError) {
    let start = body.fixed.offset
    let tag = try body.fixed.u8()
    guard tag == TargetTag.recommend else {
      self = .point(try SearchPoint(tag: tag, at: start, from: &body))
      return
    }
    guard let strategy = Recommendation.Strategy(rawValue: try body.fixed.u8()) else {
      throw RoostError(.corrupted, "unknown strategy of a recommendation", at: "byte \(start + 1)")
    }
    func points() throws(RoostError) -> [SearchPoint] {
      try body.list("example count", atMost: Limits.examplesMax) { (body) throws(RoostError) in
        let start = body.fixed.offset
        return try SearchPoint(tag: try body.fixed.u8(), at: start, from: &body)
      }
    }
    let positive = try points()
    self = .recommend(Recommendation(positive: positive, negative: try points(), strategy: strategy))
  }
}

extension SearchPoint {
  fileprivate func encode(into body: inout BodyWriter) {
    switch self {
    case .vector(let vector):
      body.bytes.u8(TargetTag.vector)
      body.vector(vector)
    case .record(let id):
      body.bytes.u8(TargetTag.record)
      id.encode(into: &body.bytes)
    case .source(.text(let text)):
      body.bytes.u8(TargetTag.text)
      body.bytes.string(text)
    case .source(.bytes(let bytes)):
      body.bytes.u8(TargetTag.bytes)
      body.bytes.blob(bytes)
    }
  }

  fileprivate init(tag: UInt8, at start: Int, from body: inout BodyReader) throws(RoostError) {
    switch tag {
    case TargetTag.vector: self = .vector(try body.vector())
    case TargetTag.record: self = .record(try RecordID(from: &body.fixed))
    case TargetTag.text: self = .text(try body.fixed.string("query text", atMost: Limits.textBytesMax))
    case TargetTag.bytes:
      self = .source(.bytes(try body.fixed.blob("query bytes", atMost: Limits.embedderBytesMax)))
    default: throw RoostError(.corrupted, "unknown search target \(tag)", at: "byte \(start)")
    }
  }
}

extension SearchHit {
  package func encode(into body: inout BodyWriter) {
    id.encode(into: &body.bytes)
    body.bytes.f32(distance)
    body.bytes.u8(
      (payload == nil ? 0 : 1) | (vector == nil ? 0 : 2) | (group == nil ? 0 : 4) | (score == nil ? 0 : 8))
    payload?.encode(into: &body.bytes)
    if let vector { body.vector(vector) }
    group?.encode(into: &body.bytes)
    if let score { body.bytes.f32(score) }
  }

  package init(from body: inout BodyReader) throws(RoostError) {
    let id = try RecordID(from: &body.fixed)
    let distance = try body.fixed.f32()
    let flags = try body.fixed.u8()
    guard flags <= 15 else {
      throw RoostError(.corrupted, "unknown hit flags \(flags)", at: "byte \(body.fixed.offset - 1)")
    }
    let payload = flags & 1 != 0 ? try body.payload() : nil
    let vector = flags & 2 != 0 ? try body.vector() : nil
    let group = flags & 4 != 0 ? try Value(from: &body.fixed) : nil
    let score = flags & 8 != 0 ? try body.fixed.f32() : nil
    self.init(id: id, distance: distance, score: score, group: group, payload: payload, vector: vector)
  }
}
