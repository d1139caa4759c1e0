import Core
import Glibc
import Storage
import Testing
import Wire

@testable import Node

@Suite struct DataFolderTests {
  @Test func twoNodesCannotShareAFolder() async throws {
    let test = try await TestNode()
    let error = try await refusal(configuration(test.folder.path + "/data"))
    #expect(error?.kind == .locked)
    #expect(error?.place.contains(test.folder.path) == true)
    try await test.stop()
    // A stopped node gives the folder back at once.
    let again = try await TestNode(in: test.folder)
    try await again.stopAndRemove()
  }

  @Test func aPortInUseIsSaid() async throws {
    let test = try await TestNode()
    let folder = TemporaryFolder()
    var second = configuration(folder.path + "/data")
    second.listen = test.node.address
    let error = try await refusal(second)
    #expect(error?.kind == .unavailable)
    #expect(error?.message.contains("\(test.node.address.port)") == true)
    folder.remove()
    try await test.stopAndRemove()
  }

  @Test func aNewerFormatIsRefused() async throws {
    let test = try await TestNode()
    try await test.stop()
    let path = test.folder.path + "/data"
    try await SmallFile.write(
      path + "/ROOST", title: "roost-data 2", lines: ["node 7"], directory: path, files: test.runtime.files)
    let error = try await refusal(configuration(path))
    #expect(error?.kind == .unsupportedVersion)
    #expect(error?.place.contains("ROOST") == true)
    test.folder.remove()
  }

  @Test func aDamagedFormatFileIsReported() async throws {
    let test = try await TestNode()
    try await test.stop()
    test.folder.write("data/ROOST", "roost-data 1\nnode 8\ncrc32c 00000000\n")
    let error = try await refusal(configuration(test.folder.path + "/data"))
    #expect(error?.kind == .corrupted)
    test.folder.remove()
  }

  @Test func aStrangersFolderIsLeftAlone() async throws {
    let folder = TemporaryFolder()
    folder.write("thesis.txt", "important")
    let error = try await refusal(configuration(folder.path))
    #expect(error?.kind == .invalidArgument)
    #expect(access(folder.path + "/LOCK", F_OK) != 0, "nothing was written there")
    folder.remove()
  }

  @Test func aFolderThatCannotBeWrittenIsRefused() async throws {
    // /proc takes no files from anyone, root included.
    let error = try await refusal(configuration("/proc/roost"))
    #expect(error != nil)
    #expect(error?.place.contains("/proc") == true)
  }

  @Test func settingsThatCannotWorkAreRefused() async throws {
    var zero = configuration("/tmp/never-made")
    zero.queriesPerCoreMax = 0
    #expect(try await refusal(zero)?.kind == .invalidArgument)
    #expect(try await refusal(NodeConfiguration(dataPath: ""))?.kind == .invalidArgument)
  }

  @Test func aDamagedCollectionDoesNotStopTheOthers() async throws {
    let test = try await TestNode()
    for name in ["good", "bad"] {
      try await test.client.createCollection(name, schema: CollectionSchema(dimension: 4))
      try await test.client.put([PutRecord(id: .number(1), vector: vector(1, 2, 3, 4))], into: name)
    }
    try await test.stop()
    test.folder.write("data/collections/bad/CURRENT", "not what it should be\n")
    let again = try await TestNode(in: test.folder)
    #expect(try await again.client.count(in: "good") == 1)
    #expect(await failure { _ = try await again.client.count(in: "bad") }?.kind == .corrupted)
    guard case .map(let reasons)? = try await again.client.stats()["failed_collections"] else {
      Issue.record("the statistics should name the damaged collection")
      return
    }
    #expect(reasons.keys.sorted() == ["bad"])
    try await again.client.dropCollection("bad")
    try await again.client.createCollection("bad", schema: CollectionSchema(dimension: 2))
    try await again.stopAndRemove()
  }
}
