import Core
import Foundation
import Testing

@Suite struct JSONTests {
  @Test(arguments: [
    "null", "true", "[]", "{}", "[1,-0.5e+3,\"\"]", "{\"a\":{\"b\":[null,false]},\"c\":\"d\"}", "0", "-0",
    "\"é😀\\n\\u0001\\\"\\\\\"",
  ]) func readsBack(_ text: String) throws { #expect(try JSON(parsing: text).text == text) }

  @Test func readsEscapesAndSpace() throws {
    #expect(
      try JSON(parsing: " { \"\\u0061\" :\t[ \"\\ud83d\\ude00\\/\\b\\f\" ] }\n")
        == .object([JSON.Member("a", .array([.string("😀/\u{8}\u{c}")]))]))
  }

  @Test(arguments: [
    ("", 1), ("[1,]", 4), ("{\"a\":1,}", 8), ("{\"a\":1,\"a\":2}", 8), ("01", 2), ("1.", 3), ("-", 2),
    ("1e", 3),
    ("\"a", 1), ("\"\u{1}\"", 2), ("\"\\x\"", 2), ("\"\\ud800\"", 2), ("\"\\ud800\\u0041\"", 2), ("nul", 1),
    ("[1 2]", 4), ("{a:1}", 2), ("1 2", 3), ("NaN", 1), ("[" + String(repeating: "[", count: 200), 65),
    ("\"\\u12g4\"", 4), ("\"\\u+123\"", 4),
  ]) func pointsAtTheError(_ text: String, _ position: Int) throws {
    let error = try #require(throws: RoostError.self) { _ = try JSON(parsing: text) }
    #expect(error.kind == .invalidArgument && error.place == "JSON byte \(position)", "\(text): \(error)")
  }

  @Test func refusesInvalidUTF8() {
    #expect(throws: RoostError.self) { try JSON(parsing: [0x22, 0xff, 0x22]) }
    #expect(throws: RoostError.self) { try JSON(parsing: [0x22, 0x5c, 0x6e, 0xc3, 0x22]) }
  }

  @Test func payloadsReadBackByteForByte() throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    var generator = FilterGenerator(seed: seed)
    for round in 0..<3_000 {
      var payload = generator.payload()
      if round % 3 == 0 {
        payload["m"] = .map([["$geo", "$x", "$map"][round % 9 / 3]: generator.value(depth: 2)])
      }
      let text = payload.json.text
      let again = try Payload(json: try JSON(parsing: text))
      #expect(again.encoded == payload.encoded, "seed \(seed) round \(round): \(text)")
      #expect(throws: Never.self, "seed \(seed)") { try JSONSerialization.jsonObject(with: Data(text.utf8)) }
    }
  }

  @Test func intsAndDoublesStayApart() throws {
    let payload = try Payload(
      json: try JSON(parsing: "{\"a\":1,\"b\":1.0,\"c\":1e0,\"d\":-9223372036854775808}"))
    #expect(payload == Payload(["a": .int(1), "b": .double(1), "c": .double(1), "d": .int(.min)]))
  }

  @Test(arguments: [
    "{\"a\":9223372036854775808}", "{\"a\":1e999}", "{\"a\":{\"$geo\":[1]}}", "{\"a\":{\"$bytes\":\"A\"}}",
    "{\"a\":{\"$datetime\":\"noon\"}}", "{\"a\":{\"$unknown\":1}}", "[1]",
  ]) func refusesPayloads(_ text: String) throws {
    let json = try JSON(parsing: text)
    let error = try #require(throws: RoostError.self) { _ = try Payload(json: json) }
    #expect(error.kind == .invalidArgument && error.place.hasPrefix("payload"))
  }

  @Test func bytesAreBase64() throws {
    var random = SplitMix64(seed: 11)
    for count in 0..<70 {
      let bytes = (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      let json = Value.bytes(bytes).json
      #expect(json["$bytes"] == .string(Data(bytes).base64EncodedString()))
      #expect(try Value(json: json, at: "") == .bytes(bytes))
    }
    for text in ["A", "AA=A", "AB==", "AAB=", "====", "AA=", "A?==", "AA\n="] {
      #expect(throws: RoostError.self, "\(text)") {
        try Value(json: .object([JSON.Member("$bytes", .string(text))]), at: "")
      }
    }
  }

  @Test func vectorsReadBackExactly() throws {
    let seed = UInt64.random(in: 0..<1_000_000)
    var random = SplitMix64(seed: seed)
    var floats: [Float] = [0, -0.0, .leastNonzeroMagnitude, .greatestFiniteMagnitude, 1e-5, 16_777_216]
    while floats.count < 5_000 {
      let float = Float(bitPattern: UInt32(truncatingIfNeeded: random.next()))
      if float.isFinite { floats.append(float) }
    }
    for vector in [
      Vector(floats), Vector((0...255).map { UInt8($0) }), Vector((-128...127).map { Int8($0) }),
      Vector(bits: (0..<24).map { $0 % 5 == 0 }),
      Vector(element: .f16, bytes: (0...0x7bff).flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }),
      Vector(element: .bf16, bytes: (0...0x7f7f).flatMap { [UInt8($0 & 255), UInt8($0 >> 8)] }),
    ] {
      let json = try JSON(parsing: vector.json.text)
      #expect(try Vector(json: json, element: vector.element, at: "vector") == vector, "seed \(seed)")
    }
  }

  @Test func recordsReadBackAndMistakesAreNamed() throws {
    let schema = CollectionSchema(fields: [
      VectorField(dimension: 2), VectorField(name: "bits", dimension: 8, element: .binary),
    ])
    let named = try PutRecord(
      json: try JSON(parsing: "{\"id\":1,\"vectors\":{\"bits\":[1,0,0,0,0,0,0,1]},\"payload\":{}}"),
      schema: schema)
    #expect(named.vectors == ["bits": Vector(element: .binary, bytes: [0x81])] && named.vector == nil)
    #expect(try PutRecord(json: named.json, schema: schema) == named)
    let line = "{\"id\":\"17\",\"vector\":[1.0,0.1],\"payload\":{\"tag\":[1,2.5]}}"
    let record = try PutRecord(json: try JSON(parsing: line), schema: schema)
    #expect(record.id == .key("17") && record.vector == Vector([1, 0.1]) && record.json.text == line)
    let fallback = try PutRecord(json: .object([]), schema: schema, fallbackID: .number(3))
    #expect(fallback.id == .number(3) && fallback.vector == nil)
    for (text, place) in [
      ("{\"id\":-1}", "record.id"), ("{\"id\":1.5}", "record.id"), ("{\"id\":\"\"}", "id"), ("{}", "record"),
      ("{\"id\":1,\"name\":2}", "record"), ("{\"id\":1,\"vector\":[1,\"a\"]}", "record.vector[1]"),
      ("{\"id\":1,\"vector\":[1e99]}", "record.vector[0]"), ("{\"id\":1,\"vector\":{}}", "record.vector"),
      ("3", "record"), ("{\"id\":1,\"vectors\":[1]}", "record.vectors"),
      ("{\"id\":1,\"vectors\":{\"x\":[1]}}", "record.vectors.x"),
      ("{\"id\":1,\"vectors\":{\"bits\":[1,2]}}", "record.vectors.bits[1]"),
    ] {
      let json = try JSON(parsing: text)
      let error = try #require(throws: RoostError.self) { _ = try PutRecord(json: json, schema: schema) }
      #expect(error.place == place, "\(text): \(error)")
    }
    for (digits, element) in [
      ("70000", VectorElement.f16), ("3.4e38", .bf16), ("2", .binary), ("1", .binary),
    ] {
      // A single bit is no vector.
      #expect(throws: RoostError.self) {
        try Vector(json: .array([.number(digits)]), element: element, at: "v")
      }
    }
    for digits in ["256", "-1", "1.5", "1e3"] {
      #expect(throws: RoostError.self) { try Vector(json: .array([.number(digits)]), element: .u8, at: "v") }
    }
  }
}
