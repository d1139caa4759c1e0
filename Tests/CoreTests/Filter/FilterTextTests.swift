import Core
import Testing

@Suite struct FilterTextTests {
  @Test func readsWhatPeopleType() throws {
    let text =
      "section = \"graphics\" and size in 100..2000 and not name in (\"a\", 'b') or exists(homepage)"
    #expect(
      try Filter(text: text)
        == .or([
          .and([
            .equals(field: "section", .string("graphics")),
            .range(field: "size", FilterRange(lower: .inclusive(.int(100)), upper: .inclusive(.int(2000)))),
            .not(.isIn(field: "name", [.string("a"), .string("b")])),
          ]),
          .exists(field: "homepage"),
        ]))
    #expect(try Filter(text: "a==1 AND NOT(b!=2)").text == "a = 1 and not b != 2")
    #expect(try Filter(text: "5 > x").text == "x < 5")
    #expect(try Filter(text: "10 >= x > 2").text == "2 < x <= 10")
    #expect(try Filter(text: "1 <= x <= 3").text == "x in 1..3")
    #expect(try Filter(text: "installed-size>-1").text == "installed-size > -1")
    #expect(try Filter(text: "x=1e3").text == "x = 1000.0")
    #expect(try Filter(text: "x in -1.5..2").text == "x in -1.5..2")
    #expect(try Filter(text: "größe = '\\u{1F600}\\n'").text == "größe = \"😀\\n\"")
    #expect(try Filter(text: "(a = 1 or b = 2) and c = 3").text == "(a = 1 or b = 2) and c = 3")
    #expect(
      try Filter(text: "t >= datetime\"2026-01-02T03:04:05+01:00\"").text
        == "t >= datetime\"2026-01-02T02:04:05Z\"")
  }

  @Test(arguments: [
    ("", 1, "expected a field name, found the end"),
    ("section = graphics", 11, "expected a value, found 'graphics'"),
    ("größe = = 2", 9, "expected a value"),
    ("a = 1 b = 2", 7, "expected 'and', 'or' or the end, found 'b'"),
    ("a", 2, "expected an operator"),
    ("a in 1", 7, "expected '..'"),
    ("a in (1 2)", 9, "expected ',' or ')'"),
    ("a = \"x", 5, "no closing"),
    ("(a = 1", 7, "expected ')'"),
    ("a = 1 && b = 2", 7, "unexpected '&'"),
    ("in = 2", 1, "expected a field name"),
    ("a = 99999999999999999999", 5, "does not fit"),
    ("a = 1e999", 5, "too large"),
    ("a = 12px", 7, "a number and a letter touch"),
    ("a = datetime\"tomorrow\"", 5, "not a date and time"),
    ("exists a", 8, "expected '('"),
    ("a not = 1", 7, "expected 'in'"),
    ("a = \"\\q\"", 6, "unknown escape"),
    ("1 = a", 3, "after a value"),
    ("a = - 1", 5, "expected a number after '-'"),
    ("`` = 1", 1, "a field name must have"),
  ]) func pointsAtTheError(_ text: String, _ position: Int, _ message: String) throws {
    let error = try #require(throws: RoostError.self) { _ = try Filter(text: text) }
    #expect(error.kind == .invalidArgument)
    #expect(Filter.position(of: error) == position, "\(error)")
    #expect(error.message.contains(message), "\(error)")
  }

  @Test(arguments: [
    "a in 1..\"b\"", "a < true", "a > null", "a in geo\"1,2\"..geo\"3,4\"",
  ]) func refusesRangesWithoutOrder(_ text: String) throws {
    let error = try #require(throws: RoostError.self) { _ = try Filter(text: text) }
    #expect(error.place == "filter field 'a'")
  }

  @Test func refusesWhatValidationMustCatch() {
    func refuses(_ filter: Filter) -> Bool { (try? filter.validate()) == nil }
    #expect(refuses(.equals(field: "a", .array([]))))
    #expect(refuses(.equals(field: "a", .map([:]))))
    #expect(refuses(.equals(field: "a", .double(.nan))))
    #expect(refuses(.range(field: "a", FilterRange())))
    #expect(refuses(.range(field: "a", FilterRange(lower: .inclusive(.double(.nan))))))
    #expect(refuses(.exists(field: "")))
    #expect(refuses(.exists(field: "a..b")))
    #expect(refuses(.exists(field: "a\\")))
    #expect(refuses(.exists(field: String(repeating: "a", count: Limits.fieldNameBytesMax + 1))))
    #expect(refuses(.isIn(field: "a", [Value](repeating: .null, count: Limits.filterNodesMax))))
  }

  @Test func bounds() throws {
    let deep = String(repeating: "not ", count: Limits.filterDepthMax) + "a = 1"
    #expect(throws: Never.self) { try Filter(text: deep) }
    for text in [
      "not " + deep, String(repeating: "(", count: 100_000),
      String(repeating: "not ", count: 15_000) + "a = 1",
      String(repeating: " ", count: Limits.filterTextBytesMax + 1),
      (0...Limits.filterNodesMax).map { "a=\($0)" }.joined(separator: " or "),
    ] {
      let error = #expect(throws: RoostError.self) { try Filter(text: text) }
      #expect(error?.kind == .limitExceeded, "\(text.prefix(20))")
    }
  }

  @Test func textAndBytesReadBack() throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    var generator = FilterGenerator(seed: seed)
    for round in 0..<3_000 {
      let filter = try generator.filter()
      let again = try Filter(text: filter.text)
      try #require(again.text == filter.text, "seed \(seed) round \(round)")
      // Encoded bytes tell apart what `==` does not: -0.0 and 0.0, canonically equivalent strings.
      var (first, second) = (ByteWriter(), ByteWriter())
      filter.encode(into: &first)
      again.encode(into: &second)
      try #require(first.bytes == second.bytes, "seed \(seed) round \(round): \(filter.text)")
      let decoded = try first.bytes.withReader { (reader) throws(RoostError) in try Filter(from: &reader) }
      try #require(decoded == filter, "seed \(seed) round \(round)")
    }
  }

  @Test func everyPrefixAndMutationIsReadOrRefused() throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    var generator = FilterGenerator(seed: seed)
    for _ in 0..<2_000 {
      let damaged = generator.damage(Array(try generator.filter().text.utf8))
      let text = String(decoding: damaged, as: UTF8.self)
      if let filter = try? Filter(text: text) {
        #expect(try Filter(text: filter.text).text == filter.text, "seed \(seed): \(text)")
      }
    }
  }
}
