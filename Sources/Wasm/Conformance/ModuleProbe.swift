// The checks that every module of a kind must pass: it takes any payload or input without a trap, repeats its answers,
// and gives an item the same answer alone as among others.

import Core

struct ModuleProbe {
  let module: WasmModule
  let cases: ModuleCases
  let seed: UInt64

  /// Parameters under which the module is probed: those of the author's cases that do not fail, or none.
  private var settings: [ModuleCases.Case] {
    var found: [ModuleCases.Case] = []
    for item in cases.cases where item.error == nil {
      if !found.contains(where: { $0.parameters == item.parameters }) { found.append(item) }
    }
    return found.isEmpty ? [ModuleCases.Case(name: "")] : Array(found.prefix(4))
  }

  func run(_ report: inout ConformanceReport) {
    guard module.kind != .embedder else { return embedder(&report) }
    for (index, setting) in settings.enumerated() {
      let place = settings.count > 1 ? " (parameters of case \(index + 1))" : ""
      switch module.kind {
      case .filter: filter(setting, place, &report)
      case .scorer: scorer(setting, place, &report)
      case .transform: transform(setting, place, &report)
      case .embedder: break
      }
    }
  }

  private func context(_ setting: ModuleCases.Case) -> GuestContext {
    GuestContext(nowMicros: setting.nowMicros, fields: cases.vector.map { [$0] } ?? [])
  }

  // MARK: Kinds

  private func filter(_ setting: ModuleCases.Case, _ place: String, _ report: inout ConformanceReport) {
    var first: [Bool] = []
    let candidates = candidates(1_500)
    func answers(batch: Int) throws(RoostError) -> [Bool] {
      let filter = try module.makeFilter(parameters: setting.parameters, context: context(setting))
      return try CandidateBytes(candidates, cases.vector).verdicts(of: filter, batch: batch)
    }
    report.check("answers for any payload\(place)") { () throws(RoostError) in
      first = try answers(batch: 1_500)
    }
    if first.isEmpty { return }
    report.check("gives the same verdicts in batches of any size\(place)") { () throws(RoostError) in
      for batch in [1, 7, 64] {
        let again = try answers(batch: batch)
        guard again == first else {
          let bad = zip(again, first).enumerated().first { $0.element.0 != $0.element.1 }?.offset ?? 0
          throw mismatch(
            "payload \(candidates[bad].payload.json.text.prefix(200)) gets another verdict in batches of \(batch)"
          )
        }
      }
    }
  }

  private func scorer(_ setting: ModuleCases.Case, _ place: String, _ report: inout ConformanceReport) {
    var first: [Float] = []
    let candidates = candidates(1_500)
    let near = [Float](repeating: 0.5, count: cases.vector?.dimension ?? 0)
    func answers() throws(RoostError) -> [Float] {
      let scorer = try module.makeScorer(parameters: setting.parameters, context: context(setting))
      return try CandidateBytes(candidates, cases.vector).scores(of: scorer, near: near)
    }
    report.check("scores any payload\(place)") { () throws(RoostError) in first = try answers() }
    if first.isEmpty { return }
    report.check("repeats its scores\(place)") { () throws(RoostError) in
      guard try answers() == first else { throw mismatch("the same search gets other scores") }
    }
    report.check("does without what is searched near\(place)") { () throws(RoostError) in
      let scorer = try module.makeScorer(parameters: setting.parameters, context: context(setting))
      _ = try CandidateBytes(Array(candidates.prefix(3)), cases.vector).scores(of: scorer, near: [])
    }
  }

  private func transform(_ setting: ModuleCases.Case, _ place: String, _ report: inout ConformanceReport) {
    let payloads = candidates(600).map(\.payload)
    func answer(_ payload: Payload, _ run: TransformRun) throws(RoostError) -> Payload? {
      do throws(RoostError) { return try run.apply(to: [payload]) { _ in "record" }[0] } catch {
        // To refuse a record, or to make it too large, is an answer.
        guard error.kind == .invalidArgument || error.kind == .limitExceeded else { throw error }
        return nil
      }
    }
    var first: [Payload?] = []
    report.check("answers for any payload\(place)") { () throws(RoostError) in
      let run = try module.makeTransform(parameters: setting.parameters, nowMicros: setting.nowMicros)
      for payload in payloads { first.append(try answer(payload, run)) }
    }
    guard first.count == payloads.count else { return }
    report.check("gives the same changes in batches\(place)") { () throws(RoostError) in
      let taken = payloads.indices.filter { first[$0] != nil }
      let run = try module.makeTransform(parameters: setting.parameters, nowMicros: setting.nowMicros)
      let again = try run.apply(to: taken.map { payloads[$0] }) { _ in "record" }
      for (index, payload) in zip(taken, again) where first[index] != payload {
        throw mismatch("payload \(payloads[index].json.text.prefix(200)) becomes something else in a batch")
      }
    }
  }

  private func embedder(_ report: inout ConformanceReport) {
    if module.takesText {
      let texts = texts()
      var first: [[Float]] = []
      report.check("embeds any text") { () throws(RoostError) in
        first = try module.embed(texts, deadlineMs: 60_000)
      }
      if first.isEmpty { return }
      report.check("embeds a text alone as among others") { () throws(RoostError) in
        for (index, text) in texts.enumerated() {
          let alone = try module.embed([text], deadlineMs: 60_000)[0]
          let size = first[index].reduce(1e-6) { max($0, abs($1)) }
          guard zip(alone, first[index]).allSatisfy({ abs($0 - $1) <= 1e-3 * size }) else {
            throw mismatch("'\(text.prefix(60))' becomes another vector")
          }
        }
      }
    }
    guard module.takesBytes else { return }
    var random = SplitMix64(seed: seed)
    let noise = (0..<4_096).map { _ in UInt8(truncatingIfNeeded: random.next()) }
    report.check("takes or refuses any bytes") { () throws(RoostError) in
      let known = cases.cases.flatMap(\.inputs).compactMap { input -> [UInt8]? in
        if case .bytes(let bytes) = input.source { bytes } else { nil }
      }
      // What is almost right goes deeper than what is not.
      var inputs: [[UInt8]] = [[], [0], noise, [UInt8](repeating: 0, count: 1 << 20)] + known
      for bytes in known where !bytes.isEmpty {
        inputs.append(Array(bytes.prefix(bytes.count / 2)))
        for _ in 0..<8 {
          var changed = bytes
          for _ in 0..<4 {
            changed[Int(random.next() % UInt64(bytes.count))] = UInt8(truncatingIfNeeded: random.next())
          }
          inputs.append(changed)
        }
      }
      for bytes in inputs {
        do throws(RoostError) {
          let first = try module.embed([.bytes(bytes)], deadlineMs: 60_000)
          guard try module.embed([.bytes(bytes)], deadlineMs: 60_000) == first else {
            throw mismatch("the same bytes become another vector")
          }
        } catch {
          guard error.kind == .invalidArgument else { throw error }
        }
      }
    }
  }

  // MARK: Inputs

  private func texts() -> [String] {
    var random = SplitMix64(seed: seed)
    let words = ["search", "engine", "Ärger", "naïve", "数据库", "🙂", "x", "—", "\n", "\u{0}", "e\u{301}"]
    var texts = ["", " ", "a", "The quick brown fox jumps over the lazy dog."]
    for count in [3, 20, 100] {
      texts.append(
        (0..<count).map { _ in words[Int(random.next() % UInt64(words.count))] }.joined(separator: " "))
    }
    texts.append(String(repeating: "long text ", count: Limits.textBytesMax / 10))
    texts.append(String(repeating: "x", count: Limits.textBytesMax))
    return texts
      + cases.cases.flatMap(\.inputs).compactMap { input -> String? in
        if case .text(let text) = input.source { text } else { nil }
      }
  }

  /// The author's payloads, the extremes, and made-up ones in which fields have any type; nearest first.
  private func candidates(_ count: Int) -> [ModuleCases.Candidate] {
    var random = SplitMix64(seed: seed)
    var payloads = cases.cases.flatMap { $0.candidates.map(\.payload) + $0.records.map(\.payload) }
    var names = Set(module.declaredFields ?? []).union(payloads.flatMap(\.fields.keys))
    names.formUnion(["a", "größe"])
    let fields = names.filter { !$0.isEmpty }.sorted()
    payloads.append(Payload())
    payloads.append(Payload(["a": .string(String(repeating: "x", count: Limits.payloadBytesMax - 64))]))
    payloads.append(
      Payload(
        Dictionary(uniqueKeysWithValues: (0..<Limits.payloadFieldsMax).map { ("f\($0)", .int(Int64($0))) })))
    while payloads.count < count {
      var payload = Payload()
      for name in fields where random.next() % 3 > 0 { payload[name] = value(&random, depth: 0) }
      payloads.append(payload)
    }
    return payloads.enumerated().map { index, payload in
      ModuleCases.Candidate(
        payload: payload, distance: Float(index) / 64,
        vector: random.next() % 8 == 0 ? nil : vector(&random))
    }
  }

  private func vector(_ random: inout SplitMix64) -> [Float]? {
    cases.vector.map { field in
      (0..<field.dimension).map { _ in
        let bits = random.next() % 256
        return switch field.element {
        case .f32, .f16, .bf16: Float(bits) / 64 - 2
        case .u8: Float(bits)
        case .i8: Float(bits) - 128
        case .binary: Float(bits % 2)
        }
      }
    }
  }

  private func value(_ random: inout SplitMix64, depth: Int) -> Value {
    let number = Int64(truncatingIfNeeded: random.next())
    switch random.next() % (depth < 3 ? 13 : 11) {
    case 0: return .null
    case 1: return .bool(number % 2 == 0)
    case 2: return .int(number)
    case 3: return .int(number % 1_000)
    case 4: return .double(Double(number % 100_000) / 100)
    case 5: return .double(number % 2 == 0 ? .infinity : -Double(number))
    case 6: return .string(["", "red", "Grün", "a longer text with words", "12"][Int(random.next() % 5)])
    case 7: return .bytes([0, 255, 10])
    case 8: return .geo(latitude: Double(number % 90), longitude: Double(number % 180))
    case 9: return .datetime(number % 4_000_000_000_000_000)
    case 10: return .array([])
    case 11: return .array((0..<Int(random.next() % 4)).map { _ in value(&random, depth: depth + 1) })
    default:
      return .map(["key": value(&random, depth: depth + 1), "lang": value(&random, depth: depth + 1)])
    }
  }
}
