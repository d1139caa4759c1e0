// Bytes that no client of ours would send, from a raw socket to a real node.

import Core
import Foundation
import Testing

@testable import Wire

@Suite struct MalformedFrameTests {
  private struct Sample {
    var name: String
    /// "frame": the connection cannot go on; "request": only the request fails.
    var level: String
    var kind: UInt16
    var bytes: [UInt8]
  }

  /// The malformed golden vectors that a node may receive.
  private static func samples() throws -> [Sample] {
    let root = URL(fileURLWithPath: #filePath).pathComponents.dropLast(4).dropFirst().joined(separator: "/")
    let folder = "/" + root + "/spec/vectors/malformed"
    return try FileManager.default.contentsOfDirectory(atPath: folder).sorted().compactMap { name in
      let lines = try String(contentsOfFile: folder + "/" + name, encoding: .utf8).split(separator: "\n")
      func comment(_ title: String) -> Substring? {
        lines.first { $0.hasPrefix("# \(title): ") }?.dropFirst(title.count + 4)
      }
      let level = try #require(comment("level"))
      let kind = try #require(comment("error")?.split(separator: " ").last.flatMap { UInt16($0) })
      guard level != "reply" else { return nil }
      let words = lines.filter { !$0.hasPrefix("#") }.flatMap { $0.split(separator: " ") }
      return Sample(
        name: name, level: String(level), kind: kind, bytes: words.compactMap { UInt8($0, radix: 16) })
    }
  }

  @Test func eachIsAnsweredAndTheNodeGoesOn() async throws {
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 2))
    let samples = try Self.samples()
    #expect(samples.count > 15)
    // Side by side, because the node gives each that errs a moment to read why it is closed.
    try await withThrowingTaskGroup(of: Void.self) { group in
      for sample in samples { group.addTask { try await Self.try(sample, on: test) } }
      try await group.waitForAll()
    }
    #expect(try await test.client.count(in: "c") == 0)
    try await test.stopAndRemove()
  }

  private static func `try`(_ sample: Sample, on test: TestNode) async throws {
    var stranger = try await Stranger(test)
    try await stranger.greet()
    // A sound request behind it tells whether the connection goes on.
    try await stranger.send(sample.bytes + Stranger.frame(.ping))
    let error = try await stranger.next()
    #expect(error?.kind.rawValue == sample.kind, "\(sample.name): \(String(describing: error))")
    #expect(error?.message.isEmpty == false)
    if sample.level == "frame" {
      #expect(await stranger.isClosed(), "\(sample.name)")
    } else {
      #expect(try await stranger.next() == nil, "\(sample.name)")
    }
    await stranger.connection.close()
    try await test.client.ping()
  }

  @Test func aFrameCutAnywhereDoesNothing() async throws {
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 2))
    let put = PutRequest(collection: "c", records: [PutRecord(id: .number(1), vector: vector(1, 2))])
    let bytes = try Stranger.frame(.put(put))
    for count in stride(from: 1, to: bytes.count, by: 3) {
      var stranger = try await Stranger(test)
      try await stranger.greet()
      try await stranger.send(Array(bytes[..<count]))
      await stranger.connection.close()
    }
    #expect(try await test.client.count(in: "c") == 0)
    var whole = try await Stranger(test)
    try await whole.greet()
    // In pieces it is as good as at once.
    for byte in bytes { try await whole.send([byte]) }
    #expect(try await whole.next() == nil)
    #expect(try await test.client.count(in: "c") == 1)
    await whole.connection.close()
    try await test.stopAndRemove()
  }

  @Test func aBitFlippedAnywhereIsNoticed() async throws {
    let test = try await TestNode()
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 2))
    let put = PutRequest(collection: "c", records: [PutRecord(id: .number(1), vector: vector(1, 2))])
    let bytes = try Stranger.frame(.put(put))
    for index in bytes.indices {
      var damaged = bytes
      damaged[index] ^= UInt8(1 << (index % 8))
      var stranger = try await Stranger(test)
      try await stranger.greet()
      try await stranger.send(damaged)
      let error = try await stranger.next()
      #expect(error?.kind == (index < 4 ? .protocolViolation : .corrupted), "byte \(index)")
      await stranger.connection.close()
    }
    #expect(try await test.client.count(in: "c") == 0)
    try await test.stopAndRemove()
  }

  @Test func aPeerThatStopsInsideAFrameIsClosed() async throws {
    // Long enough that a busy machine does not let the greeting itself go idle.
    let test = try await TestNode { $0.idleTimeoutMs = 3_000 }
    try await test.client.createCollection("c", schema: CollectionSchema(dimension: 2))
    let put = PutRequest(collection: "c", records: [PutRecord(id: .number(1), vector: vector(1, 2))])
    var stranger = try await Stranger(test)
    try await stranger.greet()
    try await stranger.send(Array(try Stranger.frame(.put(put)).dropLast(5)))
    #expect(await stranger.isClosed())
    await stranger.connection.close()
    #expect(try await test.client.count(in: "c") == 0)
    try await test.stopAndRemove()
  }

  @Test func requestsBeforeHelloAreRefused() async throws {
    let test = try await TestNode()
    var stranger = try await Stranger(test)
    try await stranger.send(Stranger.frame(.listCollections))
    #expect(try await stranger.next()?.message.contains("hello") == true)
    #expect(await stranger.isClosed())
    await stranger.connection.close()
    try await test.stopAndRemove()
  }
}
