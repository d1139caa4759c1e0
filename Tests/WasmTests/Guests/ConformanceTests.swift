// The conformance suite over every example and every template of the SDK, in Swift, C and Rust; and that it finds what
// is wrong with guests that are not as they should be.

import Core
import Foundation
import Testing
import Wasm

@Suite struct ConformanceTests {
  private static let guests = GuestModuleTests.guests

  private static func text(_ path: String) throws -> String {
    String(decoding: try Data(contentsOf: URL(fileURLWithPath: path)), as: UTF8.self)
  }

  private func report(_ source: String, cases: String) throws -> ConformanceReport {
    let bytes = try ModuleBuilder(sdkPath: Self.guests + "/sdk").build(source)
    let cases = try ModuleCases(parsing: try Self.text(cases), file: cases)
    #expect(!cases.cases.isEmpty)
    return try ModuleConformance(cases: cases).run(bytes, name: "guest")
  }

  @Test(arguments: [
    "access", "blend-popularity", "business-hours", "deduplicate", "geofence", "hashed-ngrams", "language",
    "name-contains", "price-rules", "redact", "size-below", "size-below-c", "time-decay", "units",
  ])
  func examplesPass(_ name: String) throws {
    let folder = Self.guests + "/" + name
    let report = try report(folder, cases: folder + "/test.json")
    for check in report.checks { #expect(check.problem == nil, "\(name): \(check.name)") }
    #expect(report.checks.count >= 3)
  }

  @Test(arguments: GuestLanguage.allCases, WasmModuleKind.allCases)
  func templatesPass(_ language: GuestLanguage, _ kind: WasmModuleKind) throws {
    let template = "\(Self.guests)/templates/\(kind.rawValue)"
    let report = try report(template + language.suffix, cases: template + ".json")
    #expect(report.kind == kind)
    for check in report.checks { #expect(check.problem == nil, "\(language) \(kind): \(check.name)") }
  }

  private func problems(_ fixture: GuestFixture, _ cases: String = "{}") throws -> [String: String] {
    let cases = try ModuleCases(parsing: cases, file: "test.json")
    var fixture = fixture
    // Room for a batch of the largest payloads.
    fixture.memory = #"(memory (export "memory") 200)"#
    let report = try ModuleConformance(cases: cases).run(WatText.assemble(fixture.text), name: "guest")
    var problems: [String: String] = [:]
    for check in report.checks { problems[check.name] = check.problem }
    return problems
  }

  @Test func badGuestsAreFound() throws {
    #expect(try problems(GuestFixture()) == [:])
    // Passes the first of a batch.
    let positional = GuestFixture.filter(
      """
      (memory.fill (local.get $out) (i32.const 0) (local.get $n))
      (i32.store8 (local.get $out) (i32.const 1)) (local.get $n)
      """)
    #expect(try problems(positional).keys.sorted() == ["gives the same verdicts in batches of any size"])
    // Cannot do with an empty payload, whose first byte is 0.
    let fragile = GuestFixture.filter(
      """
      (memory.fill (local.get $out) (i32.const 1) (local.get $n))
      (loop $next
        (local.set $at (i32.add (local.get $in)
          (i32.load (i32.add (local.get $in) (i32.shl (local.get $i) (i32.const 2))))))
        (if (i32.eqz (i32.load8_u (local.get $at))) (then unreachable))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
      (local.get $n)
      """)
    #expect(try problems(fragile).keys.sorted() == ["answers for any payload"])
    #expect(
      try problems(GuestFixture(kind: "")).keys.sorted() == ["compiles and has the exports of one kind"])
    // Remembers how often it was called.
    var forgetful = GuestFixture.embedder(
      """
      (global.set $calls (f32.add (global.get $calls) (f32.const 1)))
      (loop $next
        (f32.store (local.get $out) (global.get $calls))
        (local.set $out (i32.add (local.get $out) (i32.const 4)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
      (local.get $n)
      """, dimension: 1)
    forgetful.header = "(global $calls (mut f32) (f32.const 0))"
    #expect(try problems(forgetful).keys.sorted() == ["embeds a text alone as among others"])
  }

  @Test func failedCasesSayWhatWasExpected() throws {
    let filter = """
      {"cases": [
        {"name": "right", "candidates": [{"payload": {"a": 1}, "expect": true}]},
        {"name": "wrong", "candidates": [{"payload": {"a": 1}, "expect": true}, {"expect": false}]},
        {"name": "no error", "error": "ouch"}
      ]}
      """
    let found = try problems(GuestFixture(), filter)
    #expect(found["right"] == nil)
    #expect(found["wrong"] == "candidate 1 passed")
    #expect(found["no error"] == "it did not fail; expected was 'ouch'")
    let scorer = GuestFixture.scorer(
      """
      (loop $next
        (f32.store (local.get $out) (f32.const 1))
        (local.set $out (i32.add (local.get $out) (i32.const 4)))
        (local.set $i (i32.add (local.get $i) (i32.const 1)))
        (br_if $next (i32.lt_u (local.get $i) (local.get $n))))
      (local.get $n)
      """)
    let scores = """
      {"cases": [
        {"name": "score", "candidates": [{"expect": 2}]}, {"name": "out", "candidates": [{"expect": "out"}]},
        {"name": "order", "candidates": [{}, {}], "order": [1, 0]}
      ]}
      """
    #expect(
      try problems(scorer, scores) == [
        "score": "candidate 0 got 1.0, expected was 2.0",
        "out": "candidate 0 got 1.0, it was to be left out",
        "order": "the order is [0, 1], expected was [1, 0]",
      ])
  }

  @Test func caseFilesWithMistakesAreRefused() {
    for (text, place) in [
      ("[1]", "test.json"), ("{", "test.json"), (#"{"case": []}"#, "test.json.case"),
      (#"{"cases": [{"candidates": [{"payload": 1}]}]}"#, "test.json.cases[0].candidates[0].payload"),
      (#"{"cases": [{"now": "soon"}]}"#, "test.json.cases[0].now"),
      (#"{"cases": [{"inputs": [{}]}]}"#, "test.json.cases[0].inputs[0]"),
      (#"{"cases": [{"nearer": [[1, 2]]}]}"#, "test.json.cases[0].nearer"),
      (#"{"capabilities": ["files"]}"#, "capabilities"),
      (#"{"vector": {"dimension": 0}}"#, "test.json.vector"),
    ] {
      do throws(RoostError) {
        _ = try ModuleCases(parsing: text, file: "test.json")
        Issue.record("\(text) was taken")
      } catch {
        #expect(error.place.hasPrefix(place), "\(text): \(error)")
      }
    }
  }
}
