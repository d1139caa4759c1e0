// Modules written to do harm, of every kind, in a running node: each ends in an error that names it, in bounded work,
// and the node goes on serving.

import Core
import Testing
import Wasm
import Wire

@testable import Node

@Suite struct HostileNodeTests {
  /// What a module can do to the host in the function of its kind; the parameters are $in, $n and $out.
  private static let attacks: [(name: String, body: String)] = [
    ("loop", "(loop $l (br $l)) (i32.const 0)"),
    ("recursion", "(call $deep)"),
    ("trap", "(unreachable)"),
    ("read", "(i32.load (i32.const -4))"),
    ("write", "(i32.store8 (i32.const -1) (i32.const 1)) (local.get $n)"),
    ("fill", "(memory.fill (local.get $out) (i32.const 0) (i32.const 0x7fffffff)) (local.get $n)"),
    ("table", "(call_indirect (type $t) (i32.const 99))"),
    ("wrong type", "(call_indirect (type $t) (i32.const 0))"),
    ("memory", "(loop $l (br_if $l (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) (i32.const -7)"),
    ("nothing written", "(local.get $n)"),
    ("too many", "(i32.const 70000)"),
    ("status", "(i32.const -2147483648)"),
    ("message", "(i32.store (i32.const 16) (i32.const 1)) (i32.const -1)"),
    ("own buffer", "(memory.fill (local.get $in) (i32.const 255) (i32.const 4096)) (local.get $n)"),
  ]

  private static let kinds: [(name: String, export: String, rest: String)] = [
    ("filter", "roost_filter", ""), ("scorer", "roost_score", ""), ("transform", "roost_transform", ""),
    ("texts", "roost_embed", #"(func (export "roost_dimension") (result i32) (i32.const 2))"#),
    ("bytes", "roost_embed_bytes", #"(func (export "roost_dimension") (result i32) (i32.const 2))"#),
  ]

  private static func module(_ export: String, _ body: String, _ rest: String) throws -> [UInt8] {
    try WatText.assemble(
      """
      (module (memory (export "memory") 4) (type $t (func (result i32)))
        (table 2 funcref) (elem (i32.const 0) $other) (func $other)
        (func $deep (result i32) (i32.add (call $deep) (i32.const 1)))
        (func (export "roost_abi") (result i32) (i32.const 1))
        (func (export "roost_buffer") (param i32) (result i32) (i32.const 65536))
        (func (export "roost_message") (result i64) (i64.const 0xfffffff0_7fffffff))
        (func (export "\(export)") (param $in i32) (param $n i32) (param $out i32) (result i32)
          (local $i i32) \(body))
        \(rest))
      """)
  }

  /// Uses a module of a kind in every way that its kind can be used; the error that it ends in.
  private func use(_ kind: String, _ name: String, _ client: Client) async -> RoostError? {
    let record = PutRecord(id: .number(77), vector: vector(1, 1), payload: Payload(["a": .int(1)]))
    var query = SearchQuery(target: .vector(vector(0, 0)), k: 3)
    switch kind {
    case "filter":
      query.module = ModuleCall(module: name)
      return await failure { [query] in _ = try await client.search(query, in: "plain") }
    case "scorer":
      query.score = ScoreCall(module: name)
      return await failure { [query] in _ = try await client.search(query, in: "plain") }
    case "transform":
      let schema = CollectionSchema(dimension: 2, transforms: [TransformReference(module: name)])
      return await failure {
        try await client.createCollection(name, schema: schema)
        _ = try await client.put([record], into: name)
      }
    default:
      let schema = CollectionSchema(
        dimension: 2, embedder: EmbedderReference(module: name, sourceField: "text"))
      let source: EmbedderInput = kind == "texts" ? .text("a text") : .bytes([1, 2, 3])
      return await failure {
        try await client.createCollection(name, schema: schema)
        _ = try await client.put([PutRecord(id: .number(1), vector: nil, source: source)], into: name)
      }
    }
  }

  @Test(arguments: kinds.map(\.name))
  func everyAttackEndsInAnErrorAndTheNodeGoesOn(_ kind: String) async throws {
    let test = try await TestNode { configuration in
      configuration.wasm.filterDeadlineMs = 20
      configuration.wasm.scoreDeadlineMs = 20
      configuration.wasm.transformDeadlineMs = 20
      configuration.wasm.embedDeadlineMs = 20
    }
    let client = test.client
    try await client.createCollection("plain", schema: CollectionSchema(dimension: 2))
    try await client.put(
      (0..<40).map {
        PutRecord(id: .number(UInt64($0)), vector: vector(Float($0), 0), payload: Payload(["n": .int(1)]))
      }, into: "plain")
    let shape = try #require(Self.kinds.first { $0.name == kind })
    for (index, attack) in Self.attacks.enumerated() {
      let name = "hostile-\(index)"
      try await client.publishModule(name, bytes: Self.module(shape.export, attack.body, shape.rest))
      for _ in 0..<2 {
        let error = await use(kind, name, client)
        // The second time, the collection is there already.
        let kinds: [RoostError.Kind] = [.moduleFailed, .invalidArgument, .alreadyExists]
        #expect(error.map { kinds.contains($0.kind) } == true, "\(attack.name): \(String(describing: error))")
        if error?.kind != .alreadyExists {
          #expect(
            error?.message.contains("'\(name)'") == true, "\(attack.name): \(String(describing: error))")
        }
      }
      let healthy = SearchQuery(target: .vector(vector(0, 0)), k: 3)
      #expect(
        try await client.search(healthy, in: "plain").map(\.id) == [.number(0), .number(1), .number(2)])
    }
    #expect(try await client.count(in: "plain", filter: nil) == 40)
    try await test.stopAndRemove()
  }

  /// Refused when they are published, before or while they are compiled.
  @Test func modulesThatCannotBePublished() async throws {
    let test = try await TestNode()
    let good = "(memory.fill (local.get $out) (i32.const 1) (local.get $n)) (local.get $n)"
    let deep =
      String(repeating: "(i32.eqz ", count: 40_000) + "(i32.const 0)" + String(repeating: ")", count: 40_000)
    let bombs: [(String, RoostError.Kind, String)] = [
      ("start", .moduleFailed, "(func $s (loop $l (br $l))) (start $s)"),
      ("data", .moduleFailed, "(data (i32.const 262140) \"12345678\")"),
      ("large data", .moduleFailed, "(data (i32.const 0) \"\(String(repeating: "x", count: 400_000))\")"),
      ("import", .invalidArgument, "(func (export \"_initialize\") (result i32) (i32.const 0))"),
      (
        "functions", .limitExceeded, String(repeating: "(func)", count: 20_001)
      ),
      (
        "one function", .limitExceeded,
        "(func \(String(repeating: "(drop (i32.const 7777777))", count: 50_000)))"
      ),
      ("nesting", .invalidArgument, "(func (result i32) \(deep))"),
    ]
    for (name, kind, rest) in bombs {
      // What the assembler itself refuses has done no harm either.
      guard let bytes = try? Self.module("roost_filter", good, rest) else { continue }
      let error = await failure { _ = try await test.client.publishModule("bomb", bytes: bytes) }
      // A deep nest may also just compile: it is small.
      if name == "nesting", error == nil { continue }
      #expect(error?.kind == kind, "\(name): \(String(describing: error))")
    }
    try await test.client.ping()
    try await test.stopAndRemove()
  }
}
