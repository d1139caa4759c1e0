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
            .field("section", .equals(.string("graphics"))),
            .field(
              "size", .range(FilterRange(lower: .inclusive(.int(100)), upper: .inclusive(.int(2000))))),
            .not(.field("name", .isIn([.string("a"), .string("b")]))),
          ]),
          .field("homepage", .exists),
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
        == "t >= 2026-01-02T02:04:05Z")
    for (text, canonical) in [
      ("t = 2026-01-31", "t = 2026-01-31T00:00:00Z"),
      (
        "t in 2026-01-31T12:00:00.5Z..2026-02-01T00:00:00+01:00",
        "t in 2026-01-31T12:00:00.5Z..2026-01-31T23:00:00Z"
      ),
      ("t in 2026-01-31..2026-02-01", "t in 2026-01-31T00:00:00Z..2026-02-01T00:00:00Z"),
      ("2026-01-31<t", "t > 2026-01-31T00:00:00Z"),
      ("t = datetime\"@-9223372036854775808\"", "t = datetime\"@-9223372036854775808\""),
      ("tags contains 'red'", "tags = \"red\""),
      ("tags contains all (1, 2)", "tags = 1 and tags = 2"),
      ("not tags contains all (1, 2)", "not (tags = 1 and tags = 2)"),
      ("tags not contains all (1)", "tags != 1"),
      ("tags contains any (1, 2)", "tags in (1, 2)"),
      ("name starts with 'lib'", "\"lib\" <= name < \"lic\""),
      ("title MATCHES 'a B'", "title matches \"a B\""),
      ("title not matches any 'a'", "title not matches any \"a\""),
      ("all matches prefix 'a b'", "all matches prefix \"a b\""),
      ("place within 5km of geo'48.2,16.5'", "place within 5000.0 m of geo\"48.2,16.5\""),
      ("place within 2.5 km of geo'48.2,16.5'", "place within 2500.0 m of geo\"48.2,16.5\""),
      ("place not within 20m of geo'1, 2'", "place not within 20.0 m of geo\"1.0,2.0\""),
      (
        "place within box(geo'1,170',geo'2,-170')",
        "place within box(geo\"1.0,170.0\", geo\"2.0,-170.0\")"
      ),
      (
        "place within polygon(geo'0,0', geo'0,1', geo'1,0')",
        "place within polygon(geo\"0.0,0.0\", geo\"0.0,1.0\", geo\"1.0,0.0\")"
      ),
      ("x is null", "x = null"), ("x is not null", "x != null"), ("x is missing", "not exists(x)"),
      ("x is not missing", "exists(x)"), ("x is empty", "x is empty"), ("x is not empty", "x is not empty"),
      ("a.b[c = 1 or d[e = 2] and f = 3]", "a.b[c = 1 or d[e = 2] and f = 3]"),
      ("has-id(1, 'b', 18446744073709551615)", "has-id(1, \"b\", 18446744073709551615)"),
      ("within within 1 m of geo'0,0'", "within within 1.0 m of geo\"0.0,0.0\""),
      ("is is null and contains contains 1", "is = null and contains = 1"),
    ] {
      #expect(try Filter(text: text).text == canonical)
      #expect(try Filter(text: canonical).text == canonical)
    }
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
    ("a = 1 && b = 2", 7, "expected 'and', 'or' or the end, found '&'"),
    ("a = 2026-13-01", 5, "expected a date and time, found '2026-13-01'"),
    ("a is nil", 6, "expected 'null', 'missing' or 'empty' after 'is', found 'nil'"),
    (
      "a not = 1", 7, "expected 'in', 'contains', 'starts with', 'matches' or 'within' after 'not', found '='"
    ),
    ("a matches b", 11, "expected \"text\" or one of 'all', 'any', 'phrase', 'prefix'"),
    ("a within 5 of geo'1,2'", 12, "expected 'm' or 'km' after the distance, found 'of'"),
    ("a within 5 km geo'1,2'", 15, "expected 'of' and a place"),
    ("a within 5 km of 3", 18, "expected a place such as geo"),
    ("a within -5 km of geo'1,2'", 10, "expected a distance from 0 on"),
    ("a within box(geo'1,2')", 13, "expected the south-west and the north-east corner"),
    ("a within nowhere", 10, "expected a distance such as '5 km', 'box' or 'polygon'"),
    ("a starts 'b'", 10, "expected 'with' after 'starts'"),
    ("a[b = 1", 8, "expected ']', found the end"),
    ("a[]", 3, "expected a field name, found ']'"),
    ("has-id(-1)", 8, "expected an id"),
    ("has-id('')", 8, "a key must not be empty"),
    ("a = 18446744073709551615", 5, "does not fit into 64 bits with a sign"),
    ("a contains all 3", 16, "expected '(' and values"),
    ("in = 2", 1, "expected a field name"),
    ("a = 99999999999999999999", 5, "does not fit"),
    ("a = 1e999", 5, "too large"),
    ("a = 12px", 7, "a number and a letter touch"),
    ("a = datetime\"tomorrow\"", 5, "not a date and time"),
    ("exists a", 8, "expected '('"),
    ("a = \"\\q\"", 6, "unknown escape"),
    ("1 = a", 3, "after a value"),
    ("a = - 1", 5, "expected a number after '-'"),
    ("`` = 1", 1, "a field name must have"),
  ]) func pointsAtTheError(_ text: String, _ position: Int, _ message: String) throws {
    let error = try #require(throws: RoostError.self) { _ = try Filter(text: text) }
    #expect(error.kind == .invalidArgument)
    #expect(try #require(Filter.position(of: error)) == (1, position), "\(error)")
    #expect(error.message.contains(message), "\(error)")
  }

  @Test func pointsAtTheLine() throws {
    let text = "a = 1\r\n  and größe = 2\n  and ö ! 3"
    let error = try #require(throws: RoostError.self) { _ = try Filter(text: text) }
    #expect(try #require(Filter.position(of: error)) == (3, 9), "\(error)")
    #expect(error.place == "filter line 3, character 9")
    #expect(error.remedy == "write 'not'")
  }

  @Test(arguments: [
    "a in 1..\"b\"", "a < true", "a > null", "a in geo\"1,2\"..geo\"3,4\"",
  ]) func refusesRangesWithoutOrder(_ text: String) throws {
    let error = try #require(throws: RoostError.self) { _ = try Filter(text: text) }
    #expect(error.place == "filter field 'a'")
  }

  @Test func refusesWhatValidationMustCatch() {
    func refuses(_ filter: Filter) -> Bool { (try? filter.validate()) == nil }
    #expect(refuses(.field("a", .equals(.array([])))))
    #expect(refuses(.field("a", .equals(.map([:])))))
    #expect(refuses(.field("a", .equals(.double(.nan)))))
    #expect(refuses(.field("a", .range(FilterRange()))))
    #expect(refuses(.field("a", .range(FilterRange(lower: .inclusive(.double(.nan)))))))
    #expect(refuses(.field("a", .isIn([Value](repeating: .null, count: Limits.filterValuesMax + 1)))))
    #expect(refuses(.hasID([.key("")])))
    #expect(refuses(.hasID([RecordID](repeating: .number(1), count: Limits.filterValuesMax + 1))))
    #expect(refuses(.field("a", .text(TextMatch(.all, " ,.!")))))
    #expect(
      refuses(.field("a", .text(TextMatch(.any, String(repeating: "a ", count: Limits.filterWordsMax + 1))))))
    #expect(
      refuses(
        .field("a", .text(TextMatch(.any, String(repeating: "a", count: Limits.filterWordsBytesMax + 1))))))
    for path in ["", "a..b", "a\\", "\\a", String(repeating: "a", count: Limits.fieldNameBytesMax + 1)] {
      #expect(throws: RoostError.self) { try FieldPath(path) }
    }
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
    for round in 0..<1_000 {
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
    for _ in 0..<700 {
      let damaged = generator.damage(Array(try generator.filter().text.utf8))
      let text = String(decoding: damaged, as: UTF8.self)
      if let filter = try? Filter(text: text) {
        #expect(try Filter(text: filter.text).text == filter.text, "seed \(seed): \(text)")
      }
    }
  }
}
