// The author's test cases of a module, as they stand in a JSON file next to it (`spec/wasm-abi.md`, "Test cases").

import Core

/// What a module is expected to do.
public struct ModuleCases: Sendable {
  public var capabilities: WasmCapabilities = .usual
  public var state = Payload()
  /// The vector field that is searched.
  public var vector: VectorField?
  public var cases: [Case] = []

  public struct Case: Sendable {
    public var name: String
    public var parameters = Payload()
    public var nowMicros: Int64 = ModuleCases.defaultNow
    /// Part of the error that the case must end in.
    public var error: String?
    /// What is searched near.
    public var query: [Float] = []
    /// Of a filter or a scorer.
    public var candidates: [Candidate] = []
    /// Of a scorer: the candidates from the best to the worst, without those left out.
    public var order: [Int]?
    /// Of a transform.
    public var records: [Record] = []
    /// Of an embedder.
    public var inputs: [Input] = []
    /// Three inputs each: the first is nearer to the second than to the third, by cosine.
    public var nearer: [[Int]] = []
  }

  public struct Candidate: Sendable {
    public enum Expectation: Sendable, Equatable {
      case verdict(Bool)
      case score(Float)
      /// The scorer leaves it out.
      case out
    }

    public var payload = Payload()
    public var distance: Float = 0
    public var vector: [Float]?
    public var expected: Expectation?
  }

  public struct Record: Sendable {
    public var payload = Payload()
    /// The whole payload afterwards.
    public var expected: Payload?
    /// Part of the reason why it is refused.
    public var refused: String?
  }

  public struct Input: Sendable {
    public var source: EmbedderInput
    public var expected: [Float]?
    public var refused: String?
  }

  /// 2026-01-01T00:00:00Z, unless a case says otherwise.
  static let defaultNow: Int64 = 1_767_225_600_000_000

  public init() {}

  /// Throws `.invalidArgument` with the place of what is not understood; `file` is its name.
  public init(parsing text: String, file: String) throws(RoostError) {
    let json: JSON
    do throws(RoostError) { json = try JSON(parsing: text) } catch {
      throw RoostError(error.kind, error.message, at: "\(file), \(error.place)")
    }
    let root = try CaseReader(json, file)
    try root.members { (name, member) throws(RoostError) in
      switch name {
      case "capabilities": capabilities = try WasmCapabilities(names: try member.texts())
      case "state": state = try member.payload()
      case "vector": vector = try member.vectorField()
      case "cases": cases = try member.list { (item) throws(RoostError) in try item.moduleCase() }
      default: throw member.unknown
      }
    }
    for index in cases.indices where cases[index].name.isEmpty { cases[index].name = "case \(index + 1)" }
  }
}

/// A JSON value and where in the file it stands.
private struct CaseReader {
  let json: JSON
  let place: String

  init(_ json: JSON, _ place: String) throws(RoostError) {
    self.json = json
    self.place = place
  }

  func expected(_ what: String) -> RoostError {
    RoostError(.invalidArgument, "expected \(what), found \(json.kind)", at: place)
  }

  var unknown: RoostError {
    RoostError(
      .invalidArgument, "this is not understood", at: place, remedy: "see spec/wasm-abi.md, \"Test cases\"")
  }

  func members(_ body: (String, CaseReader) throws(RoostError) -> Void) throws(RoostError) {
    guard case .object(let members) = json else { throw expected("an object") }
    for member in members { try body(member.name, try CaseReader(member.value, "\(place).\(member.name)")) }
  }

  func list<T>(_ body: (CaseReader) throws(RoostError) -> T) throws(RoostError) -> [T] {
    guard case .array(let items) = json else { throw expected("an array") }
    var list: [T] = []
    for (index, item) in items.enumerated() {
      list.append(try body(try CaseReader(item, "\(place)[\(index)]")))
    }
    return list
  }

  func text() throws(RoostError) -> String {
    guard case .string(let text) = json else { throw expected("text") }
    return text
  }

  func float() throws(RoostError) -> Float {
    guard case .number(let digits) = json, let number = Float(digits) else { throw expected("a number") }
    return number
  }

  func texts() throws(RoostError) -> [String] { try list { (item) throws(RoostError) in try item.text() } }

  func int() throws(RoostError) -> Int {
    guard case .number(let digits) = json, let number = Int(digits) else { throw expected("a whole number") }
    return number
  }

  func floats() throws(RoostError) -> [Float] { try list { (item) throws(RoostError) in try item.float() } }
  func payload() throws(RoostError) -> Payload { try Payload(json: json, at: place) }

  func datetime() throws(RoostError) -> Int64 {
    guard let micros = DatetimeText.parse(try text()) else {
      throw RoostError(
        .invalidArgument, "this is no time", at: place, remedy: "write it like 2026-01-02T03:04:05Z")
    }
    return micros
  }

  func vectorField() throws(RoostError) -> VectorField {
    var (dimension, element) = (0, VectorElement.f32)
    try members { (name, member) throws(RoostError) in
      switch name {
      case "dimension": dimension = try member.int()
      case "element":
        let text = try member.text()
        guard let found = VectorElement.allCases.first(where: { $0.name == text }) else {
          throw member.unknown
        }
        element = found
      default: throw member.unknown
      }
    }
    let schema = CollectionSchema(dimension: dimension, element: element)
    do throws(RoostError) { try schema.validate() } catch {
      throw RoostError(error.kind, error.message, at: place)
    }
    return schema.fields[0]
  }

  func moduleCase() throws(RoostError) -> ModuleCases.Case {
    var found = ModuleCases.Case(name: "")
    try members { (name, member) throws(RoostError) in
      switch name {
      case "name": found.name = try member.text()
      case "parameters": found.parameters = try member.payload()
      case "now": found.nowMicros = try member.datetime()
      case "error": found.error = try member.text()
      case "query": found.query = try member.floats()
      case "candidates":
        found.candidates = try member.list { (item) throws(RoostError) in try item.candidate() }
      case "order": found.order = try member.list { (item) throws(RoostError) in try item.int() }
      case "records": found.records = try member.list { (item) throws(RoostError) in try item.record() }
      case "inputs": found.inputs = try member.list { (item) throws(RoostError) in try item.input() }
      case "nearer":
        found.nearer = try member.list { (item) throws(RoostError) in
          try item.list { (index) throws(RoostError) in try index.int() }
        }
        let count = found.nearer.filter { $0.count != 3 }.count
        if count > 0 {
          throw RoostError(.invalidArgument, "each must be three numbers of inputs", at: member.place)
        }
      default: throw member.unknown
      }
    }
    return found
  }

  func candidate() throws(RoostError) -> ModuleCases.Candidate {
    var found = ModuleCases.Candidate()
    try members { (name, member) throws(RoostError) in
      switch name {
      case "payload": found.payload = try member.payload()
      case "distance": found.distance = try member.float()
      case "vector": found.vector = try member.floats()
      case "expect":
        switch member.json {
        case .bool(let verdict): found.expected = .verdict(verdict)
        case .string("out"): found.expected = .out
        default: found.expected = .score(try member.float())
        }
      default: throw member.unknown
      }
    }
    return found
  }

  func record() throws(RoostError) -> ModuleCases.Record {
    var found = ModuleCases.Record()
    try members { (name, member) throws(RoostError) in
      switch name {
      case "payload": found.payload = try member.payload()
      case "expect": found.expected = try member.payload()
      case "refused": found.refused = try member.text()
      default: throw member.unknown
      }
    }
    return found
  }

  func input() throws(RoostError) -> ModuleCases.Input {
    var source: EmbedderInput?
    var (expected, refused): ([Float]?, String?) = (nil, nil)
    try members { (name, member) throws(RoostError) in
      switch name {
      case "text": source = .text(try member.text())
      case "bytes":
        let form = JSON.object([JSON.Member("$bytes", .string(try member.text()))])
        source = EmbedderInput(try Value(json: form, at: member.place))
      case "expect": expected = try member.floats()
      case "refused": refused = try member.text()
      default: throw member.unknown
      }
    }
    guard let source else {
      throw RoostError(.invalidArgument, "an input needs a text or bytes (base64)", at: place)
    }
    return ModuleCases.Input(source: source, expected: expected, refused: refused)
  }
}
