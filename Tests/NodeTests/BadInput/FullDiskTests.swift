// A disk that fills up under a running node, and one that cannot be written at all.

import Core
import Foundation
import Testing
import Wire

@testable import Node
@testable import Storage

@Suite(.enabled(if: SmallDisk.isPossible, Comment(rawValue: SmallDisk.whenImpossible)), .serialized)
struct FullDiskTests {
  /// What the node has acknowledged, by id.
  private struct Load {
    let client: Client
    var acknowledged: Set<UInt64> = []
    var next: UInt64 = 0

    mutating func put(_ count: Int = 50) async throws(RoostError) {
      let ids = next..<next + UInt64(count)
      next = ids.upperBound  // a failed batch is never put again, so that it would show
      try await client.put(ids.map(Load.record), into: "c")
      acknowledged.formUnion(ids)
    }

    static func record(_ id: UInt64) -> PutRecord {
      var random = SplitMix64(seed: id)
      let vector = Vector((0..<16).map { _ in Float.random(in: -1...1, using: &random) })
      let bytes = (0..<800).map { _ in UInt8(truncatingIfNeeded: random.next()) }
      return PutRecord(id: .number(id), vector: vector, payload: Payload(["noise": .bytes(bytes)]))
    }

    /// Whether `client` has just what was acknowledged, with its content.
    func check(_ client: Client) async throws {
      var found: Set<UInt64> = []
      for try await page in client.scan("c") {
        for record in page.records {
          guard case .number(let id) = record.id else { continue }
          found.insert(id)
          let expected = Load.record(id)
          #expect(record.vector == expected.vector && record.payload == expected.payload, "record \(id)")
        }
      }
      #expect(
        found == acknowledged,
        "lost \(acknowledged.subtracting(found)), new \(found.subtracting(acknowledged))")
      #expect(try await client.count(in: "c") == acknowledged.count)
    }
  }

  private func expectNoSpace(_ error: RoostError?, _ disk: SmallDisk) {
    #expect(error?.kind == .noSpace, "\(String(describing: error))")
    #expect(error?.place.contains(disk.folder.path) == true, "\(String(describing: error))")
    #expect(error?.remedy.contains("free some space") == true)
  }

  /// What `body` fails with on a full disk. Files that the node has removed give their space back when the
  /// last reader lets go of them, so that a disk which was full a moment ago may need to be filled again.
  private func failureWhenFull(_ disk: SmallDisk, _ body: () async throws -> Void) async throws -> RoostError?
  {
    for _ in 0..<100 {
      try disk.fill()
      if let error = await failure(body) { return error }
    }
    return nil
  }

  private func files(_ disk: SmallDisk) throws -> [String] {
    try FileManager.default.contentsOfDirectory(atPath: disk.folder.path + "/data/collections/c")
  }

  @Test func aFullDiskRefusesWritesAndHeals() async throws {
    let disk = try #require(SmallDisk(megabytes: 16))
    let test = try await TestNode(in: disk.folder) { $0.memtableRows = 200 }
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 16))
    var load = Load(client: test.client)
    for _ in 0..<10 { try await load.put() }

    // A small write may still fit into the page that the log has begun; a batch does not.
    for _ in 0..<10 { expectNoSpace(try await failureWhenFull(disk) { try await load.put() }, disk) }
    try await load.check(test.client)
    let hits = try await test.client.search(
      SearchQuery(target: .record(.number(7)), k: 3, exact: true), in: "c")
    #expect(hits.count == 3)
    var names = (0...).makeIterator()
    let other = try await failureWhenFull(disk) {
      let schema = CollectionSchema(dimension: 4)
      try await test.client.createCollection("d\(names.next() ?? 0)", schema: schema)
    }
    expectNoSpace(other, disk)

    try disk.free()
    for _ in 0..<10 { try await load.put() }
    try await load.check(test.client)
    try await test.client.createCollection("e", schema: CollectionSchema(dimension: 4))
    try await test.client.compact("c")
    try await load.check(test.client)
    #expect(try await test.client.verify("c").problems.isEmpty)
    try await test.stop()
    let again = try await TestNode(in: disk.folder)
    try await load.check(again.client)
    try await again.stop()
    withExtendedLifetime(disk) {}
  }

  @Test func flushesThatFailLeaveNothingBehindAndAreTriedAgain() async throws {
    let disk = try #require(SmallDisk(megabytes: 16))
    // Without merges, whose inputs give their space back at their leisure.
    let test = try await TestNode(in: disk.folder) {
      $0.memtableRows = 200
      $0.compactsAutomatically = false
    }
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 16))
    var load = Load(client: test.client)
    for _ in 0..<8 { try await load.put() }
    try await test.client.flush("c")
    // Room for the log of some memtables, not for their segments.
    try disk.fill(leaving: 700_000)
    var error: RoostError?
    while error == nil, load.next < 20_000 { error = await failure { try await load.put() } }
    expectNoSpace(error, disk)
    for _ in 0..<10 {
      expectNoSpace(await failure { try await test.client.flush("c") }, disk)
    }
    try await load.check(test.client)
    let listed = try await test.client.stats(of: "c")["segments"]
    let names = try files(disk)
    let segments = names.filter { if case .segment = FileName($0) { true } else { false } }
    #expect(listed == .int(Int64(segments.count)), "\(String(describing: listed)): \(names)")

    try disk.free()
    try await test.client.flush("c")
    for _ in 0..<10 { try await load.put() }
    try await load.check(test.client)
    try await test.stop()
    let again = try await TestNode(in: disk.folder)
    try await load.check(again.client)
    try await again.stop()
    withExtendedLifetime(disk) {}
  }

  @Test func aNodeStopsAndStartsOnAFullDisk() async throws {
    let disk = try #require(SmallDisk(megabytes: 16))
    let test = try await TestNode(in: disk.folder) { $0.memtableRows = 200 }
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 16))
    var load = Load(client: test.client)
    for _ in 0..<15 { try await load.put() }
    expectNoSpace(try await failureWhenFull(disk) { try await load.put() }, disk)
    await test.client.close()
    // It may be unable to leave its mark of a clean close; then it says so.
    if let error = await failure({ try await test.node.stop() }) { expectNoSpace(error, disk) }
    // The node starts; a collection whose recovery needs space says that it does.
    let full = try await TestNode(in: disk.folder)
    if let error = await failure({ _ = try await full.client.count(in: "c") }) { expectNoSpace(error, disk) }
    try await full.stop()
    try disk.free()
    let again = try await TestNode(in: disk.folder)
    try await load.check(again.client)
    load = Load(client: again.client, acknowledged: load.acknowledged, next: load.next)
    try await load.put()
    try await load.check(again.client)
    try await again.stop()
    withExtendedLifetime(disk) {}
  }

  @Test func aReadOnlyFolderIsRefusedAndLeftAlone() async throws {
    let disk = try #require(SmallDisk(megabytes: 16))
    let empty = SmallDisk(megabytes: 1)
    try empty?.setReadOnly(true)
    if let empty {
      let error = try await refusal(configuration(empty.folder.path + "/data"))
      #expect(error?.kind == .readOnly, "\(String(describing: error))")
      #expect(error?.place.contains(empty.folder.path) == true && error?.remedy.contains("remount") == true)
    }
    let test = try await TestNode(in: disk.folder)
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 16))
    var load = Load(client: test.client)
    try await load.put()
    try await test.stop()
    try disk.setReadOnly(true)
    let error = try await refusal(configuration(disk.folder.path + "/data"))
    #expect(error?.kind == .readOnly, "\(String(describing: error))")
    #expect(error?.place.contains(disk.folder.path) == true && error?.remedy.contains("remount") == true)
    try disk.setReadOnly(false)
    let again = try await TestNode(in: disk.folder)
    try await load.check(again.client)
    try await again.stop()
    withExtendedLifetime(disk) {}
  }
}
