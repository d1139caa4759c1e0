// A new version of an embedder: collections are built anew while they serve, and vectors of two versions never meet.

import Core
import Foundation
import Storage
import Synchronization
import Testing
import Wire

@testable import Node

/// Who is inside a gate, and how often it was used.
private final class GateWatch: Sendable {
  let state = Mutex((inside: 0, isHeld: false, entered: 0, holds: 0))
}

@Suite struct ReembeddingTests {
  private static let schema = CollectionSchema(
    dimension: 3, embedder: EmbedderReference(module: "embedder", sourceField: "text"))

  private static func record(_ id: Int, _ text: String? = nil) -> PutRecord {
    PutRecord(
      id: .number(UInt64(id)), vector: nil, payload: Payload(["text": .string(text ?? "text \(id)")]))
  }

  /// A node with a collection whose vectors version 1 has made: each is (2, 0, 0).
  private static func node(records: Int) async throws -> TestNode {
    let test = try await TestNode()
    try await test.client.publishModule("embedder", bytes: Guests.embedder(dimension: 3, factor: 2))
    try await test.client.createCollection("c", schema: schema)
    for start in stride(from: 0, to: records, by: 500) {
      try await test.client.put((start..<min(start + 500, records)).map { record($0) }, into: "c")
    }
    return test
  }

  private static func version(_ client: Client) async throws -> Int64? {
    guard case .map(let embedder)? = try await client.stats(of: "c")["embedder"],
      case .int(let number)? = embedder["version"]
    else { return nil }
    return number
  }

  private static func wait(_ client: Client, until wanted: Int64) async throws {
    for _ in 0..<6_000 {
      let stats = try await client.stats(of: "c")
      if try await version(client) == wanted { return }
      if case .map(let progress)? = stats["embedding_anew"], let failure = progress["failure"] {
        Issue.record("\(failure)")
        return
      }
      try await Task.sleep(for: .milliseconds(5))
    }
    let progress = try await client.stats(of: "c")["embedding_anew"]
    Issue.record("it never came to version \(wanted): \(String(describing: progress))")
  }

  @Test func aNewVersionTakesOverAtOnce() async throws {
    let test = try await Self.node(records: 1_500)
    let client = test.client
    #expect(try await Self.version(client) == 1)
    let done = Flag()
    let served = try await withThrowingTaskGroup(of: [UInt32: Int].self) { group in
      for _ in 0..<2 {
        group.addTask {
          let client = Client(test.node.address, runtime: test.runtime)
          var served: [UInt32: Int] = [:]
          var rest = 3
          while rest > 0 {
            if done.isSet { rest -= 1 }
            let query = SearchQuery(target: .text("anything"), k: 20, effort: 40)
            let answer = try await client.search([query], in: "c")
            // Were a text of one version compared with vectors of the other, some distance would be 1.
            #expect(answer.hits[0].count == 20 && answer.hits[0].allSatisfy { $0.distance == 0 })
            guard let version = answer.modules.first?.version else { break }
            served[version, default: 0] += 1
          }
          await client.close()
          return served
        }
      }
      try await client.publishModule("embedder", bytes: Guests.embedder(dimension: 3, factor: 3))
      try await Self.wait(client, until: 2)
      done.set()
      var all: [UInt32: Int] = [:]
      for try await one in group { all.merge(one, uniquingKeysWith: +) }
      return all
    }
    #expect(Set(served.keys).isSubset(of: [1, 2]) && served[2] ?? 0 >= 2, "\(served)")
    let records = try await client.get((0..<1_500).map { .number(UInt64($0)) }, from: "c")
    #expect(records.allSatisfy { $0?.vector?.floats == [3, 0, 0] })
    // The old version is free again, and going back is the same work the other way.
    try await client.changeModule("embedder", .rollBack)
    try await Self.wait(client, until: 1)
    #expect(try await client.get([.number(7)], from: "c")[0]?.vector?.floats == [2, 0, 0])
    try await test.stop()
    let again = try await TestNode(in: test.folder)
    #expect(try await Self.version(again.client) == 1)
    #expect(try await again.client.count(in: "c") == 1_500)
    // The collection's present folder, and nothing of earlier ones.
    let folders = try FileManager.default.contentsOfDirectory(atPath: test.folder.path + "/data/collections")
    #expect(folders == ["c+3"])
    try await again.client.dropCollection("c")
    try await again.client.createCollection("c", schema: Self.schema)
    #expect(try await again.client.count(in: "c") == 0)
    try await again.stopAndRemove()
  }

  @Test func writesGoOnMeanwhile() async throws {
    let test = try await Self.node(records: 2_000)
    let client = test.client
    let done = Flag()
    let model = try await withThrowingTaskGroup(of: [Int: String?].self) { group in
      for lane in 0..<3 {
        group.addTask {
          let client = Client(test.node.address, runtime: test.runtime)
          var random = SplitMix64(seed: UInt64(lane))
          // What this lane did last to each of its ids.
          var mine: [Int: String?] = [:]
          var round = 0
          while !done.isSet {
            round += 1
            let id = Int.random(in: 0..<700, using: &random) * 3 + lane
            if Int.random(in: 0..<3, using: &random) == 0 {
              try await client.delete([.number(UInt64(id))], from: "c")
              mine[id] = .some(nil)
            } else {
              let text = "lane \(lane) round \(round)"
              try await client.put([Self.record(id, text)], into: "c")
              mine[id] = text
            }
          }
          await client.close()
          return mine
        }
      }
      for version in 2...4 as ClosedRange<Int64> {
        let bytes = try Guests.embedder(dimension: 3, factor: Float(version + 1))
        try await client.publishModule("embedder", bytes: bytes)
        try await Self.wait(client, until: version)
      }
      done.set()
      var all: [Int: String?] = [:]
      for try await one in group { all.merge(one) { $1 } }
      return all
    }
    #expect(model.count > 10)
    for id in 0..<2_100 {
      let record = try await client.get([.number(UInt64(id))], from: "c")[0]
      let expected: String? = if let changed = model[id] { changed } else { id < 2_000 ? "text \(id)" : nil }
      #expect(record?.payload["text"] == expected.map { .string($0) }, "record \(id)")
      #expect(record == nil || record?.vector?.floats == [5, 0, 0], "record \(id)")
    }
    try await test.stopAndRemove()
  }

  @Test func whatWasInterruptedGoesOnAtTheStart() async throws {
    let test = try await Self.node(records: 1_000)
    try await test.client.publishModule("embedder", bytes: Guests.embedder(dimension: 3, factor: 5))
    try await test.stop()
    let again = try await TestNode(in: test.folder)
    try await Self.wait(again.client, until: 2)
    #expect(try await again.client.get([.number(999)], from: "c")[0]?.vector?.floats == [5, 0, 0])
    try await again.stopAndRemove()
  }

  @Test func aRecordWithoutASourceStopsItByName() async throws {
    let test = try await Self.node(records: 10)
    let client = test.client
    try await client.put([PutRecord(id: .number(77), vector: vector(2, 0, 0))], into: "c")
    try await client.publishModule("embedder", bytes: Guests.embedder(dimension: 3, factor: 3))
    func failure() async throws -> String? {
      guard case .map(let progress)? = try await client.stats(of: "c")["embedding_anew"],
        case .string(let text)? = progress["failure"]
      else { return nil }
      return text
    }
    for _ in 0..<2_000 where try await failure() == nil { try await Task.sleep(for: .milliseconds(5)) }
    #expect(try await failure()?.contains("record 77 has a vector but nothing in field 'text'") == true)
    // Meanwhile all goes on with the version that it has.
    let answer = try await client.search([SearchQuery(target: .text("x"), k: 11)], in: "c")
    #expect(answer.modules.map(\.version) == [1] && answer.hits[0].allSatisfy { $0.distance == 0 })
    #expect(
      await NodeTests.failure { try await client.changeModule("embedder", .delete(.number(1))) }?.message
        .contains("has made the vectors of a collection by version 1") == true)
    try await client.delete([.number(77)], from: "c")
    try await client.publishModule("embedder", bytes: Guests.embedder(dimension: 3, factor: 3))
    try await Self.wait(client, until: 2)
    #expect(try await client.changeModule("embedder", .delete(.number(1)))?.versions.count == 1)
    try await test.stopAndRemove()
  }

  @Test func backupsKnowWhichVersionMadeTheirVectors() async throws {
    let test = try await Self.node(records: 20)
    let backup = test.folder.path + "/backup"
    try await test.client.backup("c", to: backup)
    try await test.client.publishModule("embedder", bytes: Guests.embedder(dimension: 3, factor: 3))
    try await Self.wait(test.client, until: 2)
    try await test.stop()
    let data = test.folder.path + "/data"
    await #expect(throws: RoostError.self) {
      _ = try await NodeServer.restore(backup, as: "c", dataPath: data, runtime: test.runtime)
    }
    _ = try await NodeServer.restore(backup, as: "old", dataPath: data, runtime: test.runtime)
    let again = try await TestNode(in: test.folder)
    for _ in 0..<2_000 {
      let vectors = try await again.client.get([.number(3)], from: "old").map { $0?.vector?.floats }
      let answer = try await again.client.search([SearchQuery(target: .text("x"), k: 5)], in: "old")
      #expect(answer.hits[0].allSatisfy { $0.distance == 0 })
      if vectors == [[3, 0, 0]] { break }
      try await Task.sleep(for: .milliseconds(5))
    }
    #expect(try await again.client.get([.number(3)], from: "old")[0]?.vector?.floats == [3, 0, 0])
    try await again.stopAndRemove()
  }

  @Test func theGateKeepsWritersAndHoldersApart() async {
    let gate = WriteGate()
    let seen = GateWatch()
    await withTaskGroup(of: Void.self) { group in
      for lane in 0..<8 {
        group.addTask {
          for round in 0..<300 {
            if lane == 0, round % 3 == 0 || lane == 1 {
              await gate.hold()
              seen.state.withLock { state in
                #expect(state.inside == 0 && !state.isHeld)
                state.isHeld = true
                state.holds += 1
              }
              await Task.yield()
              seen.state.withLock { $0.isHeld = false }
              gate.release()
            } else {
              await gate.enter()
              seen.state.withLock { state in
                #expect(!state.isHeld)
                state.inside += 1
                state.entered += 1
              }
              await Task.yield()
              seen.state.withLock { $0.inside -= 1 }
              gate.leave()
            }
          }
        }
      }
    }
    let end = seen.state.withLock { $0 }
    #expect(end.holds == 100 && end.entered == 2_300)
  }
}
