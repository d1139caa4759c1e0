import Core
import Foundation
import Testing

@Suite struct CommandLineTests {
  private static func started() async throws -> ServeProcess {
    let node = try ServeProcess()
    try await node.start()
    return node
  }

  private static func lines(_ count: Int) -> String {
    (1...count).map { number in
      "{\"id\":\(number),\"vector\":[\(number).0,1.0,0.5,0.1],\"payload\":{\"size\":\(number),\"tag\":\"t\(number % 3)\"}}"
    }.joined(separator: "\n") + "\n"
  }

  @Test func recordsLiveAndDie() async throws {
    let node = try await Self.started()
    #expect(try await node.json("create", "pts", "-d", "4")["created"] == .string("pts"))
    let put = try await node.json(
      "put", "pts", "7", "--vector", "[1,2,3,4]", "--payload", "{\"a\":1.0,\"b\":1}")
    #expect(put["id"] == .number("7"))
    #expect(try await node.roost("put", "pts", "--keys", "7", "--vector", "[9,9,9,9]").code == 0)
    let got = try await node.json("get", "pts", "7")
    guard case .array(let records)? = got["records"] else { throw RoostError(.notFound, "no records") }
    #expect(records[0]["vector"]?.text == "[1.0,2.0,3.0,4.0]")
    #expect(records[0]["payload"]?.text == "{\"a\":1.0,\"b\":1}")
    #expect(try await node.json("count", "pts")["count"] == .number("2"))
    #expect(try await node.json("count", "pts", "--filter", "b = 1")["count"] == .number("1"))
    let list = try await node.json("list").text
    #expect(
      list.contains("{\"name\":\"pts\",\"records\":2,\"dimension\":4,\"element\":\"f32\",\"metric\":\"l2\""))
    #expect(try await node.json("delete", "pts", "7", "8").text == "{\"deleted\":1,\"missing\":1}")
    #expect(try await node.roost("delete", "pts", "7").code == 2)
    let missing = try await node.roost("get", "pts", "7", "--json")
    #expect(missing.code == 2 && missing.out == "{\"records\":[],\"missing\":[7]}\n")
    #expect(try await node.roost("drop", "pts").code == 64)
    #expect(try await node.json("drop", "pts", "--yes").text == "{\"dropped\":\"pts\",\"records\":1}")
    #expect(try await node.json("list").text == "{\"collections\":[]}")
  }

  @Test func searchesByVectorRecordAndFile() async throws {
    let node = try await Self.started()
    #expect(try await node.roost("create", "pts", "-d", "4").code == 0)
    try node.write("in.jsonl", Self.lines(50))
    #expect(try await node.json("import", "pts", "in.jsonl")["imported"] == .number("50"))
    func ids(_ arguments: String...) async throws -> [String] {
      let run = try await RoostProcess.run(
        ["search", "pts", "--json", "--address", node.address] + arguments, folder: node.folder)
      guard case .array(let hits)? = try run.json()["hits"] else { return [] }
      return hits.compactMap { $0["id"]?.text }
    }
    #expect(try await ids("--vector", "[7,1,0.5,0.1]", "--k", "3").first == "7")
    #expect(try await Set(ids("--id", "7", "--k", "2")) == ["6", "8"])
    #expect(try await ids("--id", "7", "--filter", "size > 7 and tag = \"t0\"", "--k", "2") == ["9", "12"])
    #expect(try await ids("--id", "7", "--filter", "size > 700") == [])
    #expect(try await Set(ids("--id", "7", "--radius", "4.1")) == ["5", "6", "8", "9"])
    #expect(try await ids("--id", "7", "--radius", "4.1", "--limit", "1").count == 1)
    #expect(try await Set(ids("--id", "7", "--k", "2", "--exclude", "6", "--exclude", "8")) == ["5", "9"])
    #expect(try await ids("--id", "7", "--group-by", "tag", "--k", "2", "--group-size", "3").count == 6)
    #expect(try await ids("--like", "7", "--like", "[9,1,0.5,0.1]", "--unlike", "10", "--k", "1") == ["6"])
    #expect(try await ids("--unlike", "1", "--strategy", "best-score", "--k", "1") == ["50"])
    #expect(try await ids("--id", "7", "--diversity", "1", "--k", "2").last == "50")
    let groups = try await node.roost("search", "pts", "--id", "7", "--group-by", "tag", "--k", "2")
    #expect(groups.out.hasPrefix("   GROUP") && groups.out.contains("\"t"), "\(groups.out)")
    #expect(try await node.roost("search", "pts", "--id", "7", "--limit", "1").code == 64)
    #expect(
      try await node.roost("search", "pts", "--id", "7", "--radius", "1", "--group-by", "a").code == 64)
    let narrow = try await node.roost("search", "pts", "--id", "7", "--diversity", "2")
    #expect(narrow.code != 0 && narrow.error.contains("lambda"), "\(narrow.error)")
    var file = ByteWriter()
    for word in [UInt32(1), 4] { file.u32(word) }
    for value in [Float(30.2), 1, 0.5, 0.1] { file.f32(value) }
    try node.write("q.fbin", file.bytes)
    #expect(try await ids("--vector-file", "q.fbin", "--k", "1", "--exact") == ["30"])
    let human = try await node.roost("search", "pts", "--id", "7", "--k", "1", "--filter", "size = 9")
    #expect(
      human.out.contains("9     4.0000  {\"size\":9,\"tag\":\"t0\"}") && human.out.contains("1 records in"))
  }

  @Test func facetsAndOrderedScans() async throws {
    let node = try await Self.started()
    #expect(try await node.roost("create", "pts", "-d", "4").code == 0)
    try node.write("in.jsonl", Self.lines(50))
    #expect(try await node.json("import", "pts", "in.jsonl")["imported"] == .number("50"))
    let facet = try await node.json(
      "facet", "pts", "tag", "--top", "2", "--numbers", "size", "--interval", "20", "--filter", "size <= 30")
    #expect(
      facet.text
        == "{\"matched\":30,\"facets\":[{\"field\":\"tag\",\"distinct\":3,\"values\":[{\"value\":\"t0\",\"count\":10},"
        + "{\"value\":\"t1\",\"count\":10}]},{\"field\":\"size\",\"count\":30,\"least\":1,\"greatest\":30,"
        + "\"histogram\":[{\"from\":0.0,\"count\":19},{\"from\":20.0,\"count\":11}]}]}")
    let human = try await node.roost("facet", "pts", "tag", "absent", "--numbers", "size")
    #expect(human.out.contains("tag: 3 different values\nCOUNT  VALUE\n   17  t1\n"), "\(human.out)")
    #expect(human.out.contains("absent: 0 different values\n"), "\(human.out)")
    #expect(human.out.contains("size: 50 values from 1 to 50\n"), "\(human.out)")
    #expect(try await node.roost("facet", "pts").code == 64)
    #expect(try await node.roost("facet", "pts", "tag", "--interval", "2").code == 64)

    let first = try await node.json("scan", "pts", "--order-by", "size", "--descending", "--limit", "3")
    #expect(first["next"]?.text == "{\"id\":48,\"value\":48}")
    let second = try await node.json(
      "scan", "pts", "--order-by", "size", "--descending", "--limit", "2", "--after", "48", "--after-value",
      "48")
    guard case .array(let records)? = second["records"] else { throw RoostError(.notFound, "no records") }
    #expect(records.compactMap { $0["id"]?.text } == ["47", "46"])
    let hint = try await node.roost("scan", "pts", "--order-by", "tag", "--limit", "1")
    #expect(hint.out.contains("--after 3 --after-value '\"t0\"'"), "\(hint.out)")
    #expect(try await node.roost("scan", "pts", "--descending").code == 64)
    #expect(try await node.roost("scan", "pts", "--after", "3", "--after-value", "1").code == 64)

    let bad = try await node.roost("count", "pts", "--filter", "size > 1\n  and tag ~ 3")
    #expect(bad.code == 64 && bad.error.contains("filter line 2, character 11"), "\(bad.error)")
    #expect(bad.error.contains("\n    and tag ~ 3\n            ^"), "\(bad.error)")
  }

  @Test func fieldsBecomeColumns() async throws {
    let node = try await Self.started()
    #expect(try await node.roost("create", "pts", "-d", "2").code == 0)
    let lines = [
      "{\"id\":\"a\",\"vector\":[1,2],\"payload\":{\"name\":\"first\",\"size\":7,\"in\":{\"x\":1,\"y\":2}}}",
      "{\"id\":\"b\",\"vector\":[1,3],\"payload\":{\"name\":\"\(String(repeating: "n", count: 60))\",\"size\":1234}}",
    ]
    #expect(try await node.roost("import", "pts", "-", input: lines.joined(separator: "\n")).code == 0)
    let name = String(repeating: "n", count: 39) + "…"
    let search = try await node.roost("search", "pts", "--id", "a", "--fields", "name,size,in.x")
    #expect(search.out.hasPrefix("   ID  DISTANCE  NAME"), "\(search.out) \(search.error)")
    #expect(search.out.contains("1  b     1.0000  \(name)  1234\n"), "\(search.out)")
    let scan = try await node.roost("scan", "pts", "--fields", "size, name", "--vectors")
    #expect(scan.out.contains("a      7  first") && scan.out.contains("…  [1.0,3.0]\n"), "\(scan.out)")
    let get = try await node.roost("get", "pts", "a", "--fields", "in.y,absent,size")
    #expect(get.out == "ID  IN.Y  ABSENT  SIZE\na      2             7\n", "\(get.out)")
    let fields = ["--fields", "in.x,size", "--json"]
    for arguments in [["get", "pts", "a"], ["scan", "pts"], ["search", "pts", "--vector", "[1,2]"]] {
      let json = try await RoostProcess.run(
        arguments + fields + ["--address", node.address], folder: node.folder)
      #expect(json.out.contains("\"payload\":{\"in\":{\"x\":1},\"size\":7}"), "\(json.out)")
    }
    let bad = try await node.roost("scan", "pts", "--fields", "name,")
    #expect(bad.code == 64 && bad.error.contains("--fields"), "\(bad.error)")
    #expect(try await node.roost("search", "pts", "--id", "a", "--fields", "x", "--no-payloads").code == 64)
  }

  @Test func exportThenImportIsExact() async throws {
    let node = try await Self.started()
    for name in ["a", "b"] { #expect(try await node.roost("create", name, "-d", "3").code == 0) }
    let lines = [
      "{\"id\":0,\"vector\":[0.1,-0.0,1e+18],\"payload\":{}}",
      "{\"id\":18446744073709551615,\"vector\":[1e-45,16777216.0,1e-05],\"payload\":{\"a\":1,\"b\":1.0,\"c\":[null,true,"
        + "{\"$bytes\":\"AP8=\"},{\"$geo\":[48.2,16.37]}]}}",
      "{\"id\":\"7\",\"vector\":[1.0,2.0,3.0],\"payload\":{\"d\":{\"$datetime\":\"2026-01-02T03:04:05.000001Z\"},"
        + "\"e\":{\"$map\":{\"$geo\":\"no\"}},\"f\":{\"$double\":\"-infinity\"}}}",
      "{\"id\":\"ключ\",\"vector\":[1.0,2.0,3.0],\"payload\":{\"text\":\"tab\\tquote\\\"é\"}}",
    ]
    let imported = try await node.json("import", "a", "-", input: lines.joined(separator: "\r\n\n"))
    #expect(imported["imported"] == .number("4"))
    #expect(try await node.json("export", "a", "out.jsonl")["exported"] == .number("4"))
    #expect(try node.read("out.jsonl") == lines.joined(separator: "\n") + "\n")
    #expect(try await node.roost("import", "b", "out.jsonl").code == 0)
    #expect(try await node.roost("export", "b").out == node.read("out.jsonl"))
    #expect(try await node.roost("export", "b", "out.jsonl").code == 3)
    #expect(try await node.roost("export", "b", "out.jsonl", "--overwrite").code == 0)
    #expect(try await node.roost("export", "nope", "other.jsonl").code == 2)
    #expect(!FileManager.default.fileExists(atPath: node.folder + "/other.jsonl"))
  }

  @Test func importsVectorFilesAndResumes() async throws {
    let node = try await Self.started()
    #expect(try await node.roost("create", "v", "-d", "4").code == 0)
    #expect(try await node.roost("create", "u", "-d", "4", "--element", "u8").code == 0)
    var floats = ByteWriter()
    var bytes = ByteWriter()
    for word in [UInt32(1000), 4] {
      floats.u32(word)
      bytes.u32(word)
    }
    for value in 0..<4000 {
      floats.f32(Float(value))
      bytes.u8(UInt8(value % 251))
    }
    try node.write("v.fbin", floats.bytes)
    try node.write("u.u8bin", bytes.bytes)
    let first = try await node.json(
      "import", "v", "v.fbin", "--limit", "300", "--batch", "70", "--first-id", "5")
    #expect(first["imported"] == .number("300") && first["skipped"] == .number("0"))
    let second = try await node.json("import", "v", "v.fbin", "--first-id", "5", "--resume")
    #expect(second["imported"] == .number("700") && second["skipped"] == .number("300"))
    #expect(try await node.json("get", "v", "1004").text.contains("\"vector\":[3996.0,3997.0,3998.0,3999.0]"))
    #expect(try await node.json("count", "v")["count"] == .number("1000"))
    #expect(try await node.json("import", "u", "u.u8bin", "--skip", "990")["imported"] == .number("10"))
    #expect(try await node.json("get", "u", "999").text.contains("\"vector\":[231,232,233,234]"))
    // Bytes may go into floats, not the other way round.
    #expect(try await node.roost("import", "v", "u.u8bin").code == 0)
    let mismatch = try await node.roost("import", "u", "v.fbin")
    #expect(mismatch.code == 64 && mismatch.error.contains("the file holds f32, the collection u8"))
  }

  @Test func everyElementTypeComesAndGoes() async throws {
    let node = try await Self.started()
    for (element, vector) in [
      ("f16", "[0.5,-0.25,65504.0,0.0]"), ("bf16", "[0.5,-0.25,1e+18,0.0]"), ("i8", "[-128,0,1,127]"),
      ("binary", "[1,0,0,0,0,0,1,1]"),
    ] {
      let dimension = element == "binary" ? "8" : "4"
      #expect(try await node.roost("create", element, "-d", dimension, "--element", element).code == 0)
      #expect(try await node.roost("put", element, "1", "--vector", vector).code == 0)
      let text = try await node.json("get", element, "1").text
      let expected = vector.replacingOccurrences(of: "1e+18", with: "9.997991e+17")
      #expect(text.contains("\"vector\":" + expected), "\(text)")
    }
    #expect(try await node.json("list").text.contains("\"element\":\"binary\",\"metric\":\"hamming\""))
    // Packed bits, floats that are rounded, and numbers that are too large.
    try node.write("bits.u8bin", [2, 0, 0, 0, 1, 0, 0, 0, 0x83, 0xff])
    #expect(
      try await node.json("import", "binary", "bits.u8bin", "--first-id", "5")["imported"] == .number("2"))
    let near = try await node.json("search", "binary", "--id", "5", "--k", "2").text
    #expect(
      near.contains("{\"id\":1,\"distance\":0.0") && near.contains("{\"id\":6,\"distance\":5.0"), "\(near)")
    var floats = ByteWriter()
    for word in [UInt32(1), 4] { floats.u32(word) }
    for value in [Float(0.1), 1, 2, 3] { floats.f32(value) }
    try node.write("f.fbin", floats.bytes)
    #expect(try await node.json("import", "f16", "f.fbin")["imported"] == .number("1"))
    #expect(try await node.json("get", "f16", "0").text.contains("[0.099975586,1.0,2.0,3.0]"))
    let large = try await node.roost("put", "f16", "2", "--vector", "[1,1,1,1e6]")
    #expect(large.code == 64 && large.error.contains("1e6 does not fit f16"), "\(large.error)")
  }

  @Test func namedVectors() async throws {
    let node = try await Self.started()
    let created = try await node.json(
      "create", "docs", "--vector", "title:3:f32:cosine", "--vector", "image:4:i8:l2", "--vector",
      "print:8:binary")
    #expect(
      created.text.hasPrefix(
        "{\"created\":\"docs\",\"vectors\":[{\"name\":\"title\",\"dimension\":3,\"element\":\"f32\",\"metric\":\"cosine\""
      ),
      "\(created.text)")
    #expect(
      try await node.roost(
        "put", "docs", "1", "--vector", "title=[3,0,4]", "--vector", "image=[1,2,3,-4]"
      ).code == 0)
    let lines = [
      "{\"id\":2,\"vector\":[0,1,0],\"vectors\":{\"print\":[1,0,0,0,0,0,0,1]},\"payload\":{}}",
      "{\"id\":3,\"vectors\":{\"image\":[1,2,3,-5],\"print\":[1,1,1,1,1,1,1,1]},\"payload\":{\"a\":1}}",
    ]
    #expect(
      try await node.json("import", "docs", "-", input: lines.joined(separator: "\n"))["imported"]
        == .number("2"))
    #expect(
      try await node.json("get", "docs", "1").text.contains(
        "\"vectors\":{\"image\":[1,2,3,-4],\"title\":[0.6,0.0,0.8]}"))
    func ids(_ arguments: String...) async throws -> [String] {
      let run = try await RoostProcess.run(
        ["search", "docs", "--json", "--address", node.address] + arguments, folder: node.folder)
      guard case .array(let hits)? = try run.json()["hits"] else { return [] }
      return hits.compactMap { $0["id"]?.text }
    }
    #expect(try await ids("--vector", "[1,0,1]") == ["1", "2"])
    #expect(try await ids("--using", "image", "--vector", "[1,2,3,-5]") == ["3", "1"])
    #expect(try await ids("--using", "print", "--id", "3") == ["2"])
    let export = try await node.roost("export", "docs")
    #expect(export.out.contains("{\"id\":3,\"vectors\":{\"image\":[1,2,3,-5],"), "\(export.out)")
    try node.write("i.i8bin", [1, 0, 0, 0, 4, 0, 0, 0, 1, 2, 3, 4])
    #expect(
      try await node.roost("import", "docs", "i.i8bin", "--using", "image", "--first-id", "9").code == 0)
    #expect(try await node.json("get", "docs", "9").text.contains("\"vectors\":{\"image\":[1,2,3,4]}"))
    #expect(try await node.roost("list").out.contains("title 3, image 4, print 8"))
    let cases: [(arguments: [String], error: String)] = [
      (["create", "x", "--vector", "a:2", "--dimension", "3"], "either --dimension"),
      (["create", "x", "--vector", "a"], "NAME:DIMENSION"),
      (["create", "x", "--vector", "a:2:f99"], "no type of elements"),
      (["create", "x", "--vector", "a:2", "--vector", "a:3"], "two vector fields"),
      (["create", "x", "--vector", "a:2:f32:l2:16"], "degree 16"),
      (["put", "docs", "1", "--vector", "nope=[1]"], "its vector fields are: title, image, print"),
      (["put", "docs", "1", "--vector", "title=[1]", "--vector", "title=[2]"], "two vectors"),
      (["search", "docs", "--using", "nope", "--id", "1"], "no vector field 'nope'"),
    ]
    for (arguments, error) in cases {
      let run = try await RoostProcess.run(arguments + ["--address", node.address], folder: node.folder)
      #expect(run.code == 64 && run.error.contains(error), "\(arguments): \(run.code) \(run.error)")
    }
    #expect(try await node.roost("search", "docs", "--using", "print", "--id", "1").code == 2)
  }

  @Test func mistakesAreNamed() async throws {
    let node = try await Self.started()
    #expect(try await node.roost("create", "pts", "-d", "2", "-m", "cosine").code == 0)
    try node.write("dimension.jsonl", "{\"id\":1,\"vector\":[1,2]}\n{\"id\":2,\"vector\":[1,2,3]}\n")
    try node.write("syntax.jsonl", "{\"id\":1,\"vector\":[1,2]}\n{\"id\":2,\"vector\":[1,2}\n")
    try node.write("member.jsonl", "{\"id\":1,\"vector\":[1,2],\"name\":\"x\"}\n")
    try node.write("zero.jsonl", "{\"id\":1,\"vector\":[0,0]}\n")
    try node.write("none.jsonl", "{\"id\":1}\n")
    try node.write("short.fbin", [9, 0, 0, 0, 2, 0, 0, 0, 1, 2, 3])
    let cases: [(arguments: [String], code: Int32, error: String)] = [
      (["create", "pts", "-d", "2"], 3, "already"),
      (["create", "p/s", "-d", "2"], 64, "not a valid collection name"),
      (["create", "new", "-d", "0"], 64, "dimension 0"),
      (["create", "new", "-d", "9999"], 64, "9999"),
      (["create", "new", "-d", "2", "--metric", "l3"], 64, "metric"),
      (["create", "new", "-d", "12", "--element", "binary"], 64, "multiple of 8"),
      (["create", "new", "-d", "8", "--element", "binary", "-m", "l2"], 64, "only hamming"),
      (["create", "new", "-d", "8", "-m", "hamming"], 64, "only l2, ip, cosine"),
      (["create", "new", "-d", "2", "--embedder", "m"], 64, "--text-field"),
      (["count", "nope"], 2, "nope"),
      (["import", "nope", "zero.jsonl"], 2, "hint: there are: pts"),
      (["import", "pts", "dimension.jsonl"], 64, "dimension.jsonl line 2, vector"),
      (["import", "pts", "syntax.jsonl"], 64, "syntax.jsonl line 2, JSON byte 22"),
      (["import", "pts", "member.jsonl"], 64, "unknown member 'name'"),
      (["import", "pts", "zero.jsonl"], 64, "zero vector"),
      (["import", "pts", "none.jsonl"], 64, "no vector"),
      (["import", "pts", "short.fbin"], 64, "short.fbin offset 11"),
      (["import", "pts", "absent.jsonl"], 2, "absent.jsonl"),
      (["import", "pts", "file.csv"], 64, "the formats are"),
      (["import", "pts", "zero.jsonl", "--batch", "0"], 64, "--batch"),
      (["put", "pts", "1", "--vector", "[1,NaN]"], 64, "--vector"),
      (["put", "pts", "1", "--vector", "[1,1e39]"], 64, "1e39 does not fit"),
      (["put", "pts", "", "--vector", "[1,2]"], 64, "key must not be empty"),
      (["put", "pts", String(repeating: "k", count: 65), "--vector", "[1,2]"], 64, "65 bytes"),
      (["put", "pts", "1", "--vector", "[1,2]", "--payload", "[]"], 64, "expected an object"),
      (["search", "pts"], 64, "say what to search near"),
      (["search", "pts", "--vector", "[1,2]", "--k", "0"], 64, "k is 0"),
      (["search", "pts", "--vector", "[1,2,3]"], 64, "dimension 3"),
      (["search", "pts", "--text", "hello"], 64, "no embedder"),
      (["search", "pts", "--id", "404"], 2, "404"),
      (["search", "pts", "--vector", "[1,2]", "--module", "absent"], 2, "absent"),
      (
        ["search", "pts", "--vector", "[1,2]", "--filter", "tag = red"], 64,
        "  tag = red\n        ^\nhint: put text in quotes"
      ),
      (["get", "pts", "404"], 2, "no record 404"),
      (["get", "pts", "a\u{1b}[31mb\u{9b}"], 2, "no record a [31mb "),
      (["module", "publish", "m", "zero.jsonl"], 64, "not valid WebAssembly"),
      (["module", "publish", "m", "absent.wasm"], 2, "absent.wasm"),
      (["verify"], 64, "--folder"),
    ]
    for (arguments, code, error) in cases {
      let run = try await RoostProcess.run(arguments + ["--address", node.address], folder: node.folder)
      #expect(run.code == code && run.error.contains(error), "\(arguments): \(run.code) \(run.error)")
      #expect(run.out.isEmpty, "\(arguments)")
    }
    // A failed import says how to go on, and nothing of a bad file before its fault is lost or wrong.
    let json = try await node.roost("count", "nope", "--json")
    #expect(json.code == 2)
    #expect(try JSON(parsing: json.error)["error"]?["kind"] == .string("notFound"))
    #expect(try await node.json("count", "pts")["count"] == .number("0"))
  }

  @Test func withoutANodeItSaysSo() async throws {
    let run = try await RoostProcess.run(["list", "--address", "127.0.0.1:1"])
    #expect(run.code == 69 && run.error.contains("127.0.0.1:1") && run.error.contains("hint:"))
    #expect(try await RoostProcess.run(["list", "--address", "nonsense:port"]).code == 64)
    #expect(try await RoostProcess.run(["list", "--timeout-ms", "0"]).code == 64)
  }

  @Test func everyCommandHelpsWithExamples() async throws {
    let commands = [
      ["serve"], ["create"], ["drop"], ["list"], ["stats"], ["import"], ["export"], ["put"], ["get"],
      ["delete"],
      ["scan"], ["count"], ["facet"], ["search"], ["flush"], ["compact"], ["verify"], ["backup"], ["restore"],
      ["module", "build"], ["module", "sign"], ["module", "publish"], ["module", "list"],
      ["module", "inspect"],
      ["module", "pin"], ["module", "unpin"], ["module", "rollback"], ["module", "canary"],
      ["module", "promote"], ["module", "delete"], ["module", "grant"], ["module", "quota"],
      ["module", "state"],
      ["key", "generate"], ["key", "show"],
    ]
    for command in commands {
      let run = try await RoostProcess.run(command + ["--help"])
      #expect(run.code == 0 && run.out.contains("roost \(command.joined(separator: " "))"), "\(command)")
      #expect(run.out.contains("EXAMPLES"), "\(command)")
    }
    let create = try await RoostProcess.run(["create", "--help"]).out
    #expect(create.contains("(default: f32)") && create.contains("hamming"), "\(create)")
    let unknown = try await RoostProcess.run(["frobnicate"])
    #expect(unknown.code == 64 && unknown.error.contains("frobnicate"))
    #expect(try await RoostProcess.run([]).out.contains("SUBCOMMANDS"))
  }
}
