import Core
import Foundation
import Testing
import Wasm

@Suite struct ServeTests {
  @Test(arguments: [SIGTERM, SIGINT]) func stopsInGoodOrderAndRemembers(_ signal: Int32) async throws {
    let node = try ServeProcess()
    let ready = try await node.start()
    #expect(ready["data"] == .string(node.folder + "/data"))
    #expect(try await node.roost("create", "pts", "-d", "2").code == 0)
    #expect(try await node.roost("put", "pts", "1", "--vector", "[1,2]").code == 0)
    #expect(try await node.stop(signal) == 0)
    try await node.start()
    #expect(try await node.json("count", "pts")["count"] == .number("1"))
    #expect(try await node.json("stats", "pts")["recovered_cleanly"] == .bool(true))
    #expect(try await node.stop(SIGKILL) == SIGKILL)
    try await node.start()
    #expect(try await node.json("count", "pts")["count"] == .number("1"))
  }

  @Test func refusesWhatCannotWork() async throws {
    let node = try ServeProcess()
    try await node.start()
    try node.write("file", "x")
    let cases: [(arguments: [String], code: Int32, error: String)] = [
      (["--data", "data", "--listen", "127.0.0.1:0"], 75, "another node uses the data folder"),
      (["--data", "other", "--listen", node.address], 69, "in use"),
      (["--data", ".", "--listen", "127.0.0.1:0"], 64, "no data folder of Roost"),
      (["--data", "other", "--memory", "lots"], 64, "serve.memory"),
      (["--data", "other", "--memory", "1KiB"], 64, "at least 16 MiB"),
      (["--data", "other", "--sync", "sometimes"], 64, "serve.sync"),
      (["--data", "other", "--log-level", "loud"], 64, "serve.log-level"),
      (["--data", "other", "--cores", "0"], 64, "serve.cores"),
      (["--data", "file/data", "--listen", "127.0.0.1:0"], 74, "file/data"),
    ]
    for (arguments, code, error) in cases {
      let run = try await RoostProcess.run(["serve"] + arguments, folder: node.folder)
      #expect(run.code == code && run.error.contains(error), "\(arguments): \(run.code) \(run.error)")
    }
  }

  @Test func configurationFiles() async throws {
    let node = try ServeProcess()
    try node.write(
      "roost.toml",
      """
      [client]
      address = "127.0.0.1:1"
      timeout-ms = 5000
      [serve]
      memory = "64MiB"
      listen = "127.0.0.1:1"
      compaction = false
      """)
    // The flag of the harness wins over the file's port, which nobody could listen on.
    try await node.start(["--config", "roost.toml"])
    #expect(try await node.json("stats")["memory_budget_bytes"] == .number("\(64 << 20)"))
    let fromFile = try await RoostProcess.run(["list", "--config", "roost.toml"], folder: node.folder)
    #expect(fromFile.code == 69 && fromFile.error.contains("127.0.0.1:1"))
    #expect(try await node.roost("list", "--config", "roost.toml").code == 0)
    for (text, error) in [
      ("[serve]\nmemroy = \"1GiB\"", "unknown setting 'serve.memroy'"),
      ("[sevre]\nmemory = \"1GiB\"", "unknown setting 'sevre.memory'"),
      ("memory = 1", "unknown setting 'memory'"),
      ("[serve]\nmemory = 1", "'serve.memory' must be text"),
      ("[serve]\ncores = \"2\"", "must be a whole number"),
      ("[serve]\ncompaction = 1", "must be true or false"), ("[serve\n", "bad.toml line 1"),
    ] {
      try node.write("bad.toml", text)
      let run = try await RoostProcess.run(["serve", "--config", "bad.toml"], folder: node.folder)
      #expect(run.code == 64 && run.error.contains(error), "\(text): \(run.error)")
    }
    #expect(try await RoostProcess.run(["list", "--config", "/nowhere.toml"]).code == 2)
  }

  @Test func backupVerifyRestore() async throws {
    let node = try ServeProcess()
    try await node.start()
    #expect(try await node.roost("create", "pts", "-d", "2").code == 0)
    let lines = (0..<500).map { "{\"id\":\($0),\"vector\":[\($0),1]}" }.joined(separator: "\n")
    #expect(try await node.json("import", "pts", "-", input: lines)["imported"] == .number("500"))
    #expect(try await node.roost("flush", "pts").code == 0)
    #expect(try await node.roost("compact", "pts").code == 0)
    let verified = try await node.json("verify", "pts", "--recall", "--samples", "40")
    #expect(verified["problems"] == .array([]))
    #expect(verified["recall"]?["queries"] == .number("40") && verified["recall"]?["advice"] == .string(""))
    #expect(try await node.roost("backup", "pts", "backup").code == 0)
    #expect(try await node.roost("backup", "pts", "backup").code == 3)
    let offline = try await RoostProcess.run(
      ["verify", "--folder", "backup", "--recall", "--samples", "10"], folder: node.folder)
    #expect(offline.code == 0 && offline.out.contains("recall@10: "), "\(offline.out) \(offline.error)")
    let restore = ["restore", "backup", "--data", "data", "--name", "copy"]
    #expect(try await RoostProcess.run(restore, folder: node.folder).code == 75)
    #expect(try await node.stop(SIGTERM) == 0)
    let restored = try await RoostProcess.run(restore, folder: node.folder)
    #expect(restored.code == 0, "\(restored.error)")
    #expect(try await RoostProcess.run(restore, folder: node.folder).code == 3)
    try await node.start()
    #expect(try await node.json("count", "copy")["count"] == .number("500"))
    #expect(try await node.roost("export", "copy").out == node.roost("export", "pts").out)

    // One flipped bit in the largest file.
    let folder = node.folder + "/backup"
    func size(_ name: String) throws -> Int {
      let attributes = try FileManager.default.attributesOfItem(atPath: folder + "/" + name)
      return (attributes[.size] as? Int) ?? 0
    }
    let names = try FileManager.default.contentsOfDirectory(atPath: folder)
    let victim = try #require(try names.max { try size($0) < size($1) })
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: folder + "/" + victim)))
    bytes[bytes.count / 2] ^= 1
    try FileManager.default.removeItem(atPath: folder + "/" + victim)
    try Data(bytes).write(to: URL(fileURLWithPath: folder + "/" + victim))
    let verify = try await RoostProcess.run(["verify", "--folder", "backup"], folder: node.folder)
    #expect(verify.code == 65 && verify.out.contains(victim), "\(verify.out)")
    #expect(try await node.stop(SIGTERM) == 0)
    let refused = try await RoostProcess.run(
      ["restore", "backup", "--data", "data", "--name", "third"], folder: node.folder)
    #expect(refused.code == 65 && refused.error.contains(victim))
  }

  @Test func modulesFromSourceToSearch() async throws {
    let node = try ServeProcess()
    try await node.start()
    let sources = URL(fileURLWithPath: #filePath).pathComponents.dropLast(4).joined(separator: "/")
    let source = sources.dropFirst() + "/tools/guests/size-below-c"
    let built = try await RoostProcess.run(
      ["module", "build", String(source), "-o", "below.wasm", "--json"], folder: node.folder)
    #expect(try built.json()["kind"] == .string("filter"))
    #expect(try await node.json("module", "publish", "below", "below.wasm")["name"] == .string("below"))
    #expect(try await node.roost("module", "list").out.contains("below  filter        1"))
    #expect(try await node.roost("create", "pts", "-d", "2").code == 0)
    let lines = (1...20).map { "{\"id\":\($0),\"vector\":[\($0),1],\"payload\":{\"size\":\($0)}}" }
    #expect(try await node.roost("import", "pts", "-", input: lines.joined(separator: "\n")).code == 0)
    let parameters = try await node.roost(
      "search", "pts", "--vector", "[20,1]", "--k", "2", "--module", "below", "--param", "field=size",
      "--param", "max=9", "--json")
    guard case .array(let hits)? = try parameters.json()["hits"] else { return }
    #expect(hits.compactMap { $0["id"]?.text } == ["9", "8"], "\(parameters.out) \(parameters.error)")
    #expect(try parameters.json()["modules"]?.text.contains(#""version":1"#) == true)
    let people = try await node.roost(
      "search", "pts", "--vector", "[1,1]", "--module", "below@1", "--param", "field=size",
      "--param", "max=9")
    #expect(people.out.contains("served by below version 1 ("), "\(people.out) \(people.error)")
  }

  @Test func signedModulesAlone() async throws {
    let node = try ServeProcess()
    let wasm = try WatText.assemble(
      """
      (module (memory (export "memory") 2)
        (func (export "roost_abi") (result i32) (i32.const 1))
        (func (export "roost_buffer") (param i32) (result i32) (i32.const 65536))
        (func (export "roost_filter") (param i32 i32 i32) (result i32) (local.get 1)))
      """)
    try node.write("m.wasm", wasm)
    func local(_ arguments: String...) async throws -> RoostRun {
      try await RoostProcess.run(arguments, folder: node.folder)
    }
    let made = try await local("key", "generate", "a.key", "--json")
    let key = try made.json()["public_key"]
    #expect(try await local("key", "show", "a.key", "--json").json()["public_key"] == key)
    #expect(try await local("key", "generate", "a.key").code == 3)
    let mode = try FileManager.default.attributesOfItem(atPath: node.folder + "/a.key")[.posixPermissions]
    #expect(mode as? Int == 0o600)
    #expect(try await local("key", "generate", "b.key").code == 0)
    let config = "[serve]\nrequire-signature = true\ntrusted-keys = [\"a.key.pub\"]\n"
    try config.write(toFile: node.folder + "/roost.toml", atomically: true, encoding: .utf8)
    try await node.start(["--config", "roost.toml"])
    let unsigned = try await node.roost("module", "publish", "m", "m.wasm")
    #expect(unsigned.code == 77 && unsigned.error.contains("hint: sign it"), "\(unsigned.error)")
    #expect(try await local("module", "sign", "m", "m.wasm", "--key", "b.key").code == 0)
    #expect(try await node.roost("module", "publish", "m", "m.wasm").code == 77)
    #expect(try await node.roost("module", "publish", "n", "m.wasm").code == 64)
    #expect(try await local("module", "sign", "m", "m.wasm", "--key", "a.key").code == 0)
    #expect(try await node.json("module", "publish", "m", "m.wasm")["signer"] == key)
    #expect(
      try await node.json("module", "publish", "n", "m.wasm", "--key", "a.key")["version"] == .number("1"))
    let inspect = try await node.roost("module", "inspect", "m").out
    #expect(inspect.contains("current   version 1") && inspect.contains("ed25519:"), "\(inspect)")
    #expect(try await node.json("module", "grant", "m", "--none")["grants"] == .array([]))
    #expect(try await node.roost("module", "grant", "m", "flying").code == 64)
    #expect(try await node.json("module", "delete", "n", "--all")["deleted"] == .string("n"))
    #expect(try await node.roost("module", "rollback", "m").code == 64)
    #expect(try await node.roost("module", "pin", "m", "9").code == 2)
  }
}
