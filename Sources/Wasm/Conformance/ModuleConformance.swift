// The conformance suite: what every module of a kind must do, whatever language it is written in, and what its author
// says that this one does. Behind `roost module test`.

import Core

/// What a run of the suite has found.
public struct ConformanceReport: Sendable {
  public struct Check: Sendable, Equatable {
    public var name: String
    /// What was wrong; nil when nothing was.
    public var problem: String?
  }

  public var kind: WasmModuleKind?
  public var checks: [Check] = []

  public var problems: Int { checks.count { $0.problem != nil } }
  public var passed: Bool { problems == 0 }

  mutating func check(_ name: String, _ body: () throws(RoostError) -> Void) {
    do throws(RoostError) {
      try body()
      checks.append(Check(name: name, problem: nil))
    } catch {
      checks.append(Check(name: name, problem: error.message))
    }
  }
}

/// Runs the suite.
public struct ModuleConformance: Sendable {
  let engine: WasmEngine
  let cases: ModuleCases
  let seed: UInt64

  /// - Parameter seed: of the payloads and texts that the general checks make up.
  public init(cases: ModuleCases = ModuleCases(), seed: UInt64 = 1) throws(RoostError) {
    engine = try WasmEngine()
    self.cases = cases
    self.seed = seed
  }

  /// Checks a module in its binary form.
  public func run(_ bytes: [UInt8], name: String) -> ConformanceReport {
    var report = ConformanceReport()
    var compiled: WasmModule?
    report.check("compiles and has the exports of one kind") { () throws(RoostError) in
      compiled = try engine.compile(
        bytes, name: name, capabilities: cases.capabilities, state: cases.state)
    }
    guard let module = compiled else { return report }
    report.kind = module.kind
    let probe = ModuleProbe(module: module, cases: cases, seed: seed)
    probe.run(&report)
    for item in cases.cases {
      report.check(item.name) { () throws(RoostError) in try run(item, module) }
    }
    return report
  }

  func context(_ item: ModuleCases.Case) -> GuestContext {
    GuestContext(nowMicros: item.nowMicros, fields: cases.vector.map { [$0] } ?? [])
  }

  // MARK: The author's cases

  private func run(_ item: ModuleCases.Case, _ module: WasmModule) throws(RoostError) {
    guard let expected = item.error else { return try answer(item, module) }
    do throws(RoostError) { try answer(item, module) } catch {
      guard error.message.contains(expected) else {
        throw mismatch("it failed with '\(error.message)', expected was '\(expected)'")
      }
      return
    }
    throw mismatch("it did not fail; expected was '\(expected)'")
  }

  private func answer(_ item: ModuleCases.Case, _ module: WasmModule) throws(RoostError) {
    switch module.kind {
    case .filter: try filter(item, module)
    case .scorer: try score(item, module)
    case .transform: try transform(item, module)
    case .embedder: try embed(item, module)
    }
  }

  private func filter(_ item: ModuleCases.Case, _ module: WasmModule) throws(RoostError) {
    let filter = try module.makeFilter(parameters: item.parameters, context: context(item))
    let batch = try CandidateBytes(item.candidates, cases.vector)
    let verdicts = try batch.verdicts(of: filter)
    for (index, candidate) in item.candidates.enumerated() {
      if let expected = candidate.expected, expected != .verdict(verdicts[index]) {
        throw mismatch("candidate \(index) \(verdicts[index] ? "passed" : "did not pass")")
      }
    }
  }

  private func score(_ item: ModuleCases.Case, _ module: WasmModule) throws(RoostError) {
    let scorer = try module.makeScorer(parameters: item.parameters, context: context(item))
    let batch = try CandidateBytes(item.candidates, cases.vector)
    let scores = try batch.scores(of: scorer, near: item.query)
    for (index, candidate) in item.candidates.enumerated() {
      switch candidate.expected {
      case nil: break
      case .out?:
        guard scores[index] == -.infinity else {
          throw mismatch("candidate \(index) got \(scores[index]), it was to be left out")
        }
      case .score(let wanted)?:
        guard isNear(scores[index], wanted) else {
          throw mismatch("candidate \(index) got \(scores[index]), expected was \(wanted)")
        }
      case .verdict?: throw mismatch("a scorer's candidate expects a number or \"out\", not true or false")
      }
    }
    if let order = item.order {
      let found = scores.indices.filter { scores[$0] > -.infinity }
        .sorted { scores[$0] == scores[$1] ? $0 < $1 : scores[$0] > scores[$1] }
      guard found == order else { throw mismatch("the order is \(found), expected was \(order)") }
    }
  }

  private func transform(_ item: ModuleCases.Case, _ module: WasmModule) throws(RoostError) {
    let run = try module.makeTransform(parameters: item.parameters, nowMicros: item.nowMicros)
    if item.records.isEmpty { _ = try run.apply(to: [Payload()]) { _ in "record" } }
    for (index, record) in item.records.enumerated() {
      let result: Payload
      do throws(RoostError) {
        result = try run.apply(to: [record.payload]) { _ in "record \(index)" }[0]
      } catch {
        guard let refused = record.refused, error.kind == .invalidArgument else { throw error }
        guard error.message.contains(refused) else {
          throw mismatch("record \(index) was refused with '\(error.message)', expected was '\(refused)'")
        }
        continue
      }
      if let refused = record.refused {
        throw mismatch("record \(index) was taken, it was to be refused with '\(refused)'")
      }
      if let expected = record.expected, result != expected {
        throw mismatch("record \(index) became \(result.json.text), expected was \(expected.json.text)")
      }
    }
  }

  private func embed(_ item: ModuleCases.Case, _ module: WasmModule) throws(RoostError) {
    var vectors: [[Float]] = []
    for (index, input) in item.inputs.enumerated() {
      do throws(RoostError) {
        vectors += try module.embed([input.source], nowMicros: item.nowMicros, deadlineMs: 60_000)
      } catch {
        guard let refused = input.refused, error.message.contains(refused) else { throw error }
        vectors.append([])
        continue
      }
      if let refused = input.refused {
        throw mismatch("input \(index) was taken, it was to be refused with '\(refused)'")
      }
      guard let expected = input.expected else { continue }
      guard expected.count == vectors[index].count, zip(vectors[index], expected).allSatisfy(isNear) else {
        throw mismatch(
          "input \(index) became \(vectors[index].prefix(16)), expected was \(expected.prefix(16))")
      }
    }
    for triple in item.nearer {
      guard triple.allSatisfy({ vectors.indices.contains($0) && !vectors[$0].isEmpty }) else {
        throw mismatch("there are no such inputs as in \(triple)")
      }
      let (near, far) = (
        cosine(vectors[triple[0]], vectors[triple[1]]), cosine(vectors[triple[0]], vectors[triple[2]])
      )
      guard near > far else {
        throw mismatch(
          "input \(triple[0]) has the cosine \(near) with input \(triple[1]) and \(far) with input \(triple[2])"
        )
      }
    }
  }
}

func mismatch(_ text: String) -> RoostError { RoostError(.moduleFailed, text) }

private func isNear(_ a: Float, _ b: Float) -> Bool { abs(a - b) <= 1e-4 * max(1, abs(b)) }

func cosine(_ a: [Float], _ b: [Float]) -> Float {
  func dot(_ x: [Float], _ y: [Float]) -> Double {
    zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) }
  }
  let norms = (dot(a, a) * dot(b, b)).squareRoot()
  return norms > 0 ? Float(dot(a, b) / norms) : 0
}
