// Versions on a running node: which one serves, what signatures it wants, and what it keeps compiled.

import Core
import Foundation
import Storage
import Testing
import Wire

@testable import Node

@Suite struct ModuleVersionTests {
  /// A node with ten records, of which every filter sees all.
  private static func node(
    _ adjust: (inout NodeConfiguration) -> Void = { _ in }
  ) async throws -> TestNode {
    let test = try await TestNode(adjust)
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 2))
    try await test.client.put(
      (0..<10).map { PutRecord(id: .number(UInt64($0)), vector: vector(Float($0), 0)) }, into: "c")
    return test
  }

  private static func query(_ module: String) -> SearchQuery {
    SearchQuery(target: .vector(vector(0, 0)), k: 3, module: ModuleCall(module: module))
  }

  private static func served(_ client: Client, _ module: String, trace: UInt64? = nil) async throws -> UInt32?
  {
    var options = CallOptions()
    options.trace = trace.map { TraceContext(traceHigh: 7, traceLow: $0, span: 1, flags: 1) }
    return try await client.search([query(module)], in: "c", options: options).modules.first?.version
  }

  @Test func theOperatorSaysWhichVersionServes() async throws {
    let test = try await Self.node()
    let client = test.client
    let one = try await client.publishModule("gate", bytes: Guests.constantFilter(1))
    let two = try await client.publishModule("gate", bytes: Guests.everySecond())
    #expect([one.version, two.version] == [1, 2])
    #expect(try await Self.served(client, "gate") == 2)
    #expect(try await Self.served(client, "gate@1") == 1)
    #expect(try await Self.served(client, "gate@" + one.sha256.prefix(10)) == 1)
    #expect(try await client.search([Self.query("gate@1")], in: "c").modules.first?.sha256 == one.sha256)
    #expect(await failure { _ = try await client.search(Self.query("gate@3"), in: "c") }?.kind == .notFound)
    #expect(try await client.changeModule("gate", .rollBack)?.current == 1)
    #expect(try await Self.served(client, "gate") == 1)
    // What is pinned stays, whatever is published.
    #expect(try await client.changeModule("gate", .pin(nil))?.isPinned == true)
    let three = try await client.publishModule("gate", bytes: Guests.constantFilter(0))
    #expect(three.version == 3)
    #expect(try await Self.served(client, "gate") == 1)
    #expect(
      await failure { try await client.changeModule("gate", .delete(.number(1))) }?.kind == .invalidArgument)
    try await client.changeModule("gate", .pin(.digest(three.sha256)))
    #expect(try await client.search([Self.query("gate")], in: "c").hits == [[]])
    let left = try await client.changeModule("gate", .delete(.number(2)))
    #expect(left?.versions.map(\.version) == [1, 3])
    var status = try await client.inspectModule("gate")
    status.metrics = Payload()
    #expect(status.current == 3 && status.previous == [1])
    try await test.stop()

    let again = try await TestNode(in: test.folder)
    #expect(try await again.client.listModules() == [status])
    #expect(try await Self.served(again.client, "gate") == 3)
    #expect(try await again.client.changeModule("gate", .delete(nil)) == nil)
    #expect(await failure { _ = try await again.client.inspectModule("gate") }?.kind == .notFound)
    let files = try FileManager.default.contentsOfDirectory(atPath: test.folder.path + "/data/modules")
    #expect(files.filter { $0.hasSuffix(".wasm") } == [])
    try await again.stopAndRemove()
  }

  @Test func aCanaryGetsItsShare() async throws {
    let test = try await Self.node()
    let client = test.client
    try await client.publishModule("gate", bytes: Guests.constantFilter(1))
    try await client.publishModule("gate", bytes: Guests.everySecond(), placement: .canary(percent: 20))
    #expect(try await client.inspectModule("gate").canary == ModuleCanary(version: 2, percent: 20))
    // The place of a request follows from its trace, so everybody can tell.
    var expected = 0
    for trace in 0..<300 as Range<UInt64> {
      let context = RequestContext(
        peer: "", deadlineNanos: 0, trace: TraceContext(traceHigh: 7, traceLow: trace, span: 9, flags: 0))
      let isCanary = RequestShare.place(context) < 20
      expected += isCanary ? 1 : 0
      #expect(try await Self.served(client, "gate", trace: trace) == (isCanary ? 2 : 1))
    }
    // Six standard deviations of a fair share of 300.
    #expect((18...102).contains(expected))
    var canaries = 0
    for _ in 0..<300 { canaries += try await Self.served(client, "gate") == 2 ? 1 : 0 }
    #expect((18...102).contains(canaries), "requests without a trace are told apart by their ids")
    #expect(try await Self.served(client, "gate@current", trace: 0) == 1)
    #expect(try await Self.served(client, "gate@canary", trace: 0) == 2)
    #expect(try await client.changeModule("gate", .promote)?.canary == nil)
    #expect(try await Self.served(client, "gate") == 2)
    try await test.stopAndRemove()
  }

  @Test func swappingUnderLoadDropsNothing() async throws {
    let test = try await Self.node()
    try await test.client.publishModule("gate", bytes: Guests.constantFilter(1))
    let none = try Guests.constantFilter(0)
    let all = try Guests.constantFilter(1)
    let stop = Flag()
    let (swaps, answers) = try await withThrowingTaskGroup(of: [UInt32: Int].self) { group in
      for _ in 0..<4 {
        group.addTask {
          let client = Client(test.node.address, runtime: test.runtime)
          var served: [UInt32: Int] = [:]
          while !stop.isSet {
            let answer = try await client.search([Self.query("gate"), Self.query("gate")], in: "c")
            guard let version = answer.modules.first?.version else { break }
            // One version serves the whole request, and its hits are that version's.
            #expect(answer.modules.count == 1)
            #expect(answer.hits.map(\.count) == (version == 1 ? [3, 3] : [0, 0]))
            served[version, default: 0] += 1
          }
          await client.close()
          return served
        }
      }
      var swaps = 0
      for round in 0..<60 {
        try await test.client.publishModule("gate", bytes: round % 2 == 0 ? none : all)
        swaps += 1
      }
      stop.set()
      var total: [UInt32: Int] = [:]
      for try await served in group { total.merge(served, uniquingKeysWith: +) }
      return (swaps, total)
    }
    #expect(swaps == 60)
    // Every request was answered (a failed one would have thrown), by either version.
    #expect(answers.keys.sorted() == [1, 2], "\(answers)")
    try await test.stopAndRemove()
  }

  @Test func unsignedAndForeignModulesAreRefused() async throws {
    let (trusted, stranger) = (try SigningKey(random: SystemRandom()), try SigningKey(random: SystemRandom()))
    let test = try await Self.node {
      $0.signatures.isRequired = true
      $0.signatures.trustedKeys = [trusted.publicKey]
    }
    let client = test.client
    let bytes = try Guests.constantFilter(1)
    func statement(_ name: String) -> ModuleStatement {
      ModuleStatement(name: name, kind: .filter, module: Digest(of: bytes), model: nil)
    }
    func refusal(_ signature: ModuleSignature?) async -> RoostError? {
      await failure { try await client.publishModule("gate", bytes: bytes, signature: signature) }
    }
    let unsigned = await refusal(nil)
    #expect(unsigned?.kind == .permissionDenied && unsigned?.message.contains("'gate' is not signed") == true)
    let foreign = await refusal(try statement("gate").signed(by: stranger))
    #expect(foreign?.kind == .permissionDenied && foreign?.message.contains("does not trust") == true)
    let renamed = await refusal(try statement("other").signed(by: trusted))
    #expect(renamed?.kind == .permissionDenied && renamed?.message.contains("not valid") == true)
    #expect(try await client.listModules() == [])
    let good = try statement("gate").signed(by: trusted)
    var altered = bytes
    altered.append(contentsOf: [0, 2, 1, 0x78])  // a custom section: still a module
    #expect(
      await failure { try await client.publishModule("gate", bytes: altered, signature: good) }?.kind
        == .permissionDenied)
    let module = try await client.publishModule("gate", bytes: bytes, signature: good)
    #expect(module.signer == "\(trusted.publicKey)")
    #expect(try await Self.served(client, "gate") == 1)
    try await test.stop()

    // A node that no longer trusts the key does not run what is there, and says so.
    let strict = try await TestNode(in: test.folder) {
      $0.signatures.isRequired = true
      $0.signatures.trustedKeys = [stranger.publicKey]
    }
    let error = await failure { _ = try await strict.client.search(Self.query("gate"), in: "c") }
    #expect(error?.kind == .permissionDenied && error?.message.contains("'gate'") == true)
    #expect(try await strict.client.inspectModule("gate").versions[0].failure?.contains("trust") == true)
    try await strict.stop()
    // One that requires nothing still refuses a wrong signature.
    let open = try await TestNode(in: test.folder)
    #expect(
      await failure { try await open.client.publishModule("gate", bytes: altered, signature: good) }?.kind
        == .permissionDenied)
    #expect(try await Self.served(open.client, "gate") == 1)
    try await open.stopAndRemove()
    var nobody = configuration("/tmp")
    nobody.signatures.isRequired = true
    #expect(try await Self.startRefusal(nobody)?.message.contains("must trust a key") == true)
  }

  private static func startRefusal(_ configuration: NodeConfiguration) async throws -> RoostError? {
    try await refusal(configuration)
  }

  @Test func compiledCodeIsKeptAndNeverTrusted() async throws {
    let test = try await Self.node()
    let module = try await test.client.publishModule("gate", bytes: Guests.constantFilter(1))
    func counts(_ client: Client) async throws -> [Value?] {
      let stats = try await client.stats()
      return [stats["modules_compiled"], stats["modules_loaded"]]
    }
    #expect(try await counts(test.client) == [.int(1), .int(0)])
    try await test.stop()
    let cache = test.folder.path + "/data/modules/cache"
    let file = "\(cache)/\(module.sha256).aot"
    for name in ["KEY"] {
      let attributes = try FileManager.default.attributesOfItem(atPath: "\(cache)/\(name)")
      #expect(attributes[.posixPermissions] as? Int == 0o600)
    }
    func restart(_ expected: [Value?], _ change: () throws -> Void) async throws {
      try change()
      let again = try await TestNode(in: test.folder)
      #expect(try await Self.served(again.client, "gate") == 1)
      #expect(try await counts(again.client) == expected)
      try await again.stop()
    }
    let good = try Data(contentsOf: URL(fileURLWithPath: file))
    try await restart([.int(0), .int(1)]) {}
    // Anything that is not what this node wrote is compiled anew: changed, cut, of another module, of another key.
    for offset in [0, 9, 20, 60, 100, good.count / 2, good.count - 1] {
      try await restart([.int(1), .int(0)]) {
        var changed = good
        changed[offset] ^= 1
        try changed.write(to: URL(fileURLWithPath: file))
      }
    }
    try await restart([.int(1), .int(0)]) { try good.prefix(100).write(to: URL(fileURLWithPath: file)) }
    try await restart([.int(1), .int(0)]) {
      try Data(repeating: 7, count: 32).write(to: URL(fileURLWithPath: cache + "/KEY"))
    }
    try await restart([.int(1), .int(0)]) { try FileManager.default.removeItem(atPath: cache + "/KEY") }
    try await restart([.int(0), .int(1)]) {}
    test.folder.remove()
  }
}
