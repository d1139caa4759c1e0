// Files that a newer Roost has written: refused by name, and left as they are.

import Core
import Foundation
import Testing

@testable import Node
@testable import Storage

@Suite struct NewerFormatTests {
  /// A folder with two collections, "new" to be changed and "same"; returns the paths of the files of "new".
  private func folder() async throws -> (TemporaryFolder, [String]) {
    let test = try await TestNode()
    for name in ["new", "same"] {
      try await test.client.createCollection(name, schema: CollectionSchema(dimension: 2))
      try await test.client.put([PutRecord(id: .number(1), vector: vector(1, 2))], into: name)
      try await test.client.flush(name)
      try await test.client.put([PutRecord(id: .number(2), vector: vector(1, 2))], into: name)
    }
    try await test.stop()
    let path = test.folder.path + "/data/collections/new"
    return (test.folder, try FileManager.default.contentsOfDirectory(atPath: path).map { path + "/" + $0 })
  }

  /// Rewrites the version in a log's header, its checksum, too.
  private func age(log path: String) throws {
    var bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    bytes[8] += 1
    seal(&bytes, LogFormat.headerBytes - 4)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  /// The same in a segment's footer, its last page.
  private func age(segment path: String) throws {
    let bytes = [UInt8](try Data(contentsOf: URL(fileURLWithPath: path)))
    var page = Array(bytes.suffix(PagedFile.pageBytes))
    page[8] += 1
    seal(&page, PagedFile.pageBytes - 4)
    try Data(bytes.dropLast(PagedFile.pageBytes) + page).write(to: URL(fileURLWithPath: path))
  }

  private func seal(_ bytes: inout [UInt8], _ end: Int) {
    var sum = ByteWriter()
    sum.u32(crc32c(Array(bytes[..<end])))
    bytes.replaceSubrange(end..<end + 4, with: sum.bytes)
  }

  @Test(arguments: ["CURRENT", "manifest", "wal", "segment"])
  func theFileIsNamedAndOtherCollectionsServe(_ kind: String) async throws {
    let (folder, files) = try await folder()
    let victim = try #require(
      files.first { path in
        let name = String(path.split(separator: "/").last ?? "")
        switch FileName(name) {
        case .manifest: return kind == "manifest"
        case .wal: return kind == "wal"
        case .segment: return kind == "segment"
        case nil: return name == kind
        }
      }, "\(files)")
    switch kind {
    case "CURRENT":
      let lines = try String(contentsOfFile: victim, encoding: .utf8).split(separator: "\n")
      let directory = folder.path + "/data/collections/new"
      try await SmallFile.write(
        victim, title: "roost-current 2", lines: [String(lines[1])], directory: directory,
        files: try Runtime.system().files)
    case "segment": try age(segment: victim)
    default: try age(log: victim)
    }
    let before = try Data(contentsOf: URL(fileURLWithPath: victim))
    let test = try await TestNode(in: folder)
    let error = await failure { _ = try await test.client.count(in: "new") }
    #expect(error?.kind == .unsupportedVersion, "\(String(describing: error))")
    #expect(error?.place.contains(victim) == true, "\(String(describing: error))")
    #expect(error?.remedy.contains("newer") == true)
    #expect(try await test.client.count(in: "same") == 2)
    try await test.stop()
    #expect(try Data(contentsOf: URL(fileURLWithPath: victim)) == before)
    folder.remove()
  }
}
