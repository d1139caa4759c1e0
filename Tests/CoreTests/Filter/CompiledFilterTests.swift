import Core
import Testing

@Suite struct CompiledFilterTests {
  private func matches(
    _ text: String, _ fields: [String: Value], id: RecordID = .number(1)
  ) throws -> Bool {
    let filter = try Filter(text: text)
    let payload = Payload(fields)
    let compiled = try CompiledFilter(filter)
    let verdict = try run(compiled, payload, id: id)
    #expect(verdict == ReferenceFilter.matches(filter, payload, id: id), "\(text)")
    return verdict
  }

  private func run(_ filter: CompiledFilter, _ payload: Payload, id: RecordID = .number(1)) throws -> Bool {
    var writer = ByteWriter()
    id.encode(into: &writer)
    return try writer.bytes.withUnsafeBytes { id in
      try payload.encoded.withUnsafeBytes { try filter.matches($0, id: id) }
    }
  }

  @Test func agreesWithTheReference() throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    var generator = FilterGenerator(seed: seed)
    var passed = 0
    for round in 0..<2_500 {
      let filter = try generator.filter()
      let payload = generator.payload()
      let id = generator.id()
      let verdict = try run(CompiledFilter(filter), payload, id: id)
      let expected = ReferenceFilter.matches(filter, payload, id: id)
      try #require(verdict == expected, "seed \(seed) round \(round): \(filter.text) over \(payload)")
      passed += verdict ? 1 : 0
    }
    #expect((250...2250).contains(passed), "seed \(seed): the inputs do not meet")
  }

  /// Every edge value against every other, by each comparison.
  @Test func everyPairAgreesWithTheReference() throws {
    for bound in FilterGenerator.scalars {
      var filters: [Filter] = [.field("x", .equals(bound))]
      if FilterGenerator.ordered.contains(bound) {
        for range in [
          FilterRange(lower: .inclusive(bound)), FilterRange(lower: .exclusive(bound)),
          FilterRange(upper: .inclusive(bound)), FilterRange(upper: .exclusive(bound)),
        ] { filters.append(.field("x", .range(range))) }
      }
      for filter in filters {
        let compiled = try CompiledFilter(filter)
        for value in FilterGenerator.scalars {
          let payload = Payload(["x": value])
          let verdict = try run(compiled, payload)
          #expect(
            verdict == ReferenceFilter.matches(filter, payload, id: .number(1)), "\(filter.text) of \(value)")
        }
      }
    }
  }

  @Test func neverCrashesOnDamagedBytes() throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    var generator = FilterGenerator(seed: seed)
    for round in 0..<1_500 {
      let compiled = try CompiledFilter(try generator.filter())
      let bytes = generator.damage(generator.payload().encoded)
      do {
        try bytes.withUnsafeBytes {
          if !$0.isEmpty { _ = try compiled.matches($0, id: UnsafeRawBufferPointer(rebasing: $0.prefix(9))) }
        }
      } catch let error as RoostError {
        #expect([.corrupted, .limitExceeded].contains(error.kind), "seed \(seed) round \(round)")
      }
    }
  }

  @Test func numbersCompareExactlyAcrossTypes() throws {
    let big = Int64(1) << 53
    #expect(try !matches("x = 9007199254740992.0", ["x": .int(big + 1)]))
    #expect(try matches("x = 9007199254740992.0", ["x": .int(big)]))
    #expect(try matches("x < 9007199254740993", ["x": .double(0x1p53)]))
    #expect(try matches("x > 9007199254740993", ["x": .double(0x1p53 + 2)]))
    #expect(try !matches("x >= 9223372036854775807", ["x": .double(0x1p63.nextDown)]))
    #expect(try matches("x > 9223372036854775807", ["x": .double(0x1p63)]))
    #expect(try matches("x = -9223372036854775808", ["x": .double(-0x1p63)]))
    #expect(try matches("x = 0", ["x": .double(-0.0)]))
    #expect(try matches("x in 1.5..2.5", ["x": .int(2)]))
    #expect(try !matches("1.5 < x < 2", ["x": .int(2)]))
    #expect(try !matches("x > 9223372036854775807", ["x": .int(.max)]))
    #expect(try !matches("x > infinity", ["x": .double(.infinity)]))
    #expect(try matches("x >= infinity", ["x": .double(.infinity)]))
    #expect(try !matches("x < -infinity", ["x": .double(-.infinity)]))
    #expect(try matches("x < infinity", ["x": .int(.max)]))
    #expect(try !matches("x in 5..1", ["x": .int(3)]))
  }

  @Test func typesAreApart() throws {
    #expect(try !matches("x = 0", ["x": .datetime(0)]))
    #expect(try matches("x = datetime\"1970-01-01\"", ["x": .datetime(0)]))
    #expect(try !matches("x < datetime\"2020-01-01\"", ["x": .int(0)]))
    #expect(try !matches("x = \"1\"", ["x": .int(1)]))
    #expect(try !matches("x = true", ["x": .int(1)]))
    #expect(try !matches("x = bytes\"61\"", ["x": .string("a")]))
    #expect(try !matches("x = \"\u{e9}\"", ["x": .string("e\u{301}")]))
    #expect(try matches("x > \"Z\"", ["x": .string("a")]))
  }

  @Test func missingAndNullDiffer() throws {
    #expect(try matches("x != 1", [:]))
    #expect(try matches("not x > 1", [:]))
    #expect(try !matches("x = null", [:]))
    #expect(try matches("x = null", ["x": .null]))
    #expect(try matches("exists(x)", ["x": .null]))
    #expect(try !matches("exists(x)", ["y": .null]))
    #expect(try !matches("x < 1", ["x": .null]))
  }

  @Test func arraysMatchByAnyElement() throws {
    let tags = Value.array([.string("red"), .array([.string("blue"), .int(7)])])
    #expect(try matches("tags = \"blue\"", ["tags": tags]))
    #expect(try matches("tags in 5..9", ["tags": tags]))
    #expect(try !matches("tags != \"red\"", ["tags": tags]))
    // One range asks for one element within; two comparisons may be met by two elements.
    let sizes = Value.array([.int(1), .int(9)])
    #expect(try !matches("4 < sizes < 6", ["sizes": sizes]))
    #expect(try matches("sizes > 4 and sizes < 6", ["sizes": sizes]))
    #expect(try matches("exists(tags)", ["tags": .array([])]))
    #expect(try matches("tags != \"red\"", ["tags": .array([])]))
  }

  @Test func pathsLeadIntoMapsAndArraysOfMaps() throws {
    let author = Value.map(["name": .string("Ada"), "born": .int(1815)])
    #expect(try matches("author.name = \"Ada\" and author.born < 1900", ["author": author]))
    #expect(try matches("author.name = \"Ada\"", ["author": .array([.int(3), author])]))
    #expect(try !matches("exists(author.died)", ["author": author]))
    #expect(try matches("exists(author)", ["author": author]))
    #expect(try !matches("author = \"Ada\"", ["author": author]))
    #expect(try matches("`a.b` = 1", ["a.b": .int(1)]))
    #expect(try !matches("a.b = 1", ["a.b": .int(1)]))
    #expect(try matches("not a.b.c.d = 1", ["a": .map(["b": .int(1)])]))
  }

  @Test func nestedAsksForOneElement() throws {
    let reviews = Value.array([
      .map(["stars": .int(5), "by": .string("Ada")]), .map(["stars": .int(2), "by": .string("Bob")]),
      .array([.map(["stars": .int(1), "tags": .array([.map(["t": .int(7)])])])]),
    ])
    #expect(try matches("reviews.stars = 5 and reviews.by = 'Bob'", ["reviews": reviews]))
    #expect(try !matches("reviews[stars = 5 and by = 'Bob']", ["reviews": reviews]))
    #expect(try matches("reviews[stars = 2 and by = 'Bob']", ["reviews": reviews]))
    #expect(try matches("reviews[by is missing]", ["reviews": reviews]))
    #expect(try matches("reviews[tags[t = 7]]", ["reviews": reviews]))
    #expect(try !matches("reviews[true]", ["reviews": .array([.int(1)])]))
    #expect(try !matches("reviews[true]", [:]))
    #expect(try matches("one[a = 1 and has-id(9)]", ["one": .map(["a": .int(1)])], id: .number(9)))
    #expect(try matches("m.n[a = 1]", ["m": .map(["n": .map(["a": .int(1)])])]))
  }

  @Test func idsOfBothKinds() throws {
    let text = "has-id(3, 18446744073709551615, \"3\", 'clé')"
    for id in [RecordID.number(3), .number(.max), .key("3"), .key("clé")] {
      #expect(try matches(text, [:], id: id))
      #expect(try !matches("not \(text)", ["x": .null], id: id))
    }
    for id in [RecordID.number(4), .key("4"), .key("cle"), .key("18446744073709551615")] {
      #expect(try !matches(text, [:], id: id))
    }
    #expect(try !matches("has-id()", [:]))
    #expect(try matches("has-id = 3 or has-id(5)", ["has-id": .int(3)]))
  }

  @Test func emptyMissingAndNullStates() throws {
    let cases: [(Value?, null: Bool, missing: Bool, empty: Bool)] = [
      (nil, false, true, true), (.null, true, false, true), (.array([]), false, false, true),
      (.array([.null]), true, false, true), (.array([.array([])]), false, false, true),
      (.int(0), false, false, false), (.string(""), false, false, false), (.map([:]), false, false, false),
      (.array([.null, .int(1)]), true, false, false), (.array([.map([:])]), false, false, false),
    ]
    for (value, null, missing, empty) in cases {
      let fields = value.map { ["x": $0] } ?? [:]
      #expect(try matches("x is null", fields) == null, "\(fields)")
      #expect(try matches("x is not null", fields) == !null, "\(fields)")
      #expect(try matches("x is missing", fields) == missing, "\(fields)")
      #expect(try matches("x is not missing", fields) == !missing, "\(fields)")
      #expect(try matches("x is empty", fields) == empty, "\(fields)")
      #expect(try matches("x is not empty", fields) == !empty, "\(fields)")
    }
  }

  @Test func arraysContain() throws {
    let tags: [String: Value] = ["tags": .array([.string("red"), .string("blue"), .int(7)])]
    #expect(try matches("tags contains \"red\"", tags))
    #expect(try matches("tags contains all (\"red\", 7)", tags))
    #expect(try !matches("tags contains all (\"red\", 8)", tags))
    #expect(try matches("tags contains any (\"green\", 7.0)", tags))
    #expect(try !matches("tags contains any (\"green\")", tags))
    #expect(try matches("tags not contains any (\"green\")", tags))
    #expect(try matches("tags contains all ()", [:]))
    #expect(try !matches("tags contains any ()", tags))
    #expect(try matches("tags starts with \"bl\"", tags))
    #expect(try !matches("tags starts with \"ble\"", tags))
    for prefix in ["\u{D7FF}", "a\u{10FFFF}", "\u{10FFFF}\u{10FFFF}", ""] {
      #expect(
        try matches("x starts with \"\(prefix)\"", ["x": .string(prefix + "!")]), "\(prefix.debugDescription)"
      )
      #expect(try matches("x starts with \"\(prefix)\"", ["x": .string(prefix)]))
    }
    #expect(try !matches("x starts with \"a\u{10FFFF}\"", ["x": .string("b")]))
  }

  @Test func constantsAndManyTests() throws {
    #expect(try matches("true", [:]))
    #expect(try !matches("false", [:]))
    #expect(try !matches("x in ()", ["x": .int(1)]))
    let many = (0..<700).map { "f\($0 % 200) = \($0)" }.joined(separator: " or ")
    #expect(try matches(many, ["f199": .int(599)]))
    #expect(try !matches(many, ["f199": .int(600)]))
  }

  @Test func evaluatesBatches() throws {
    let compiled = try CompiledFilter(try Filter(text: "x in 2..3"))
    let encoded = (0..<5).map { Payload(["x": .int(Int64($0))]).encoded }
    let buffers = encoded.map { bytes in
      let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
      copy.copyBytes(from: bytes)
      return UnsafeRawBufferPointer(copy)
    }
    defer { buffers.forEach { $0.deallocate() } }
    var verdicts = [Bool](repeating: true, count: 5)
    try buffers.withUnsafeBufferPointer { payloads in
      try verdicts.withUnsafeMutableBufferPointer { try compiled.evaluate(payloads: payloads, verdicts: $0) }
    }
    #expect(verdicts == [false, false, true, true, false])
  }

  @Test func deepMalformedArraysAreRefused() throws {
    // Each level claims all that follows; a reader without a depth limit would recurse 10,000 deep.
    var bytes: [UInt8] = [1, 1, UInt8(ascii: "x")]
    let levels = 10_000
    for level in 0..<levels {
      var writer = ByteWriter()
      writer.u8(ValueTag.array)
      writer.u32(UInt32((levels - level - 1) * 6 + 1))
      writer.u8(1)
      bytes += writer.bytes
    }
    let compiled = try CompiledFilter(try Filter(text: "x = 1"))
    #expect(throws: RoostError.self) { try bytes.withUnsafeBytes { try compiled.matches($0, id: $0) } }
  }
}
