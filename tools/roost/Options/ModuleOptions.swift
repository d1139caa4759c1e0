// User code in a search: a filter and a scorer with their parameters, as options of `roost search`.

import ArgumentParser
import Core

struct ModuleOptions: ParsableArguments {
  @Option(help: "A published filter module that decides about candidates.") var module: String?
  @Option(help: ArgumentHelp("A parameter of the filter; JSON, or else text.", valueName: "name=value"))
  var param: [String] = []
  @Option(help: "A published scorer module that orders the hits.") var score: String?
  @Option(help: ArgumentHelp("A parameter of the scorer; JSON, or else text.", valueName: "name=value"))
  var scoreParam: [String] = []
  @Option(
    help: ArgumentHelp(
      "Order by weight × score − (1 − weight) × distance; 1 is the score alone. [default: 1]",
      valueName: "0...1"))
  var weight: Float?
  @Option(
    help: "Score so many of the nearest, k to \(Limits.kMax). [default: four for each hit, at least 100]")
  var scored: Int?

  func validate() throws {
    guard module != nil || param.isEmpty else { throw ValidationError("--param needs --module") }
    guard score != nil || (scoreParam.isEmpty && weight == nil && scored == nil) else {
      throw ValidationError("--score-param, --weight and --scored need --score")
    }
  }

  var filterCall: ModuleCall? {
    get throws(RoostError) {
      guard let module else { return nil }
      _ = try ModuleSelector(module)
      return ModuleCall(module: module, parameters: try Payload(arguments: param, of: "--param"))
    }
  }

  var scoreCall: ScoreCall? {
    get throws(RoostError) {
      guard let score else { return nil }
      _ = try ModuleSelector(score)
      return ScoreCall(
        module: score, parameters: try Payload(arguments: scoreParam, of: "--score-param"),
        weight: weight ?? 1, candidates: scored)
    }
  }
}

extension Payload {
  /// Reads `name=value` arguments; a value that is no JSON is text.
  init(arguments: [String], of option: String) throws(RoostError) {
    self.init()
    for text in arguments {
      guard let mark = text.firstIndex(of: "="), mark != text.startIndex else {
        throw RoostError(.invalidArgument, "'\(text)' is not name=value", at: option)
      }
      let name = String(text[..<mark])
      let value = String(text[text.index(after: mark)...])
      if let json = try? JSON(parsing: value) {
        self[name] = try Value(json: json, at: "\(option) \(name)")
      } else {
        self[name] = .string(value)
      }
    }
    try validate()
  }
}
