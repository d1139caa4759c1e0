// The two implementations of the seams that the conformance suites run against.

import Core
import Glibc
import Testing

@testable import Storage

enum WorldKind: String, CaseIterable, CustomTestStringConvertible {
  case ring, memory
  var testDescription: String { rawValue }
}

/// A file system with an empty folder, and a network.
struct TestWorld {
  let kind: WorldKind
  let files: any FileSystem
  let transport: any Transport
  let directory: String

  func path(_ name: String) -> String { "\(directory)/\(name)" }

  /// Runs `body` in a fresh world and leaves nothing behind.
  static func with(_ kind: WorldKind, _ body: (TestWorld) async throws -> Void) async throws {
    switch kind {
    case .ring:
      let runtime = try Runtime.system()
      let directory = try makeTemporaryDirectory()
      let world = TestWorld(
        kind: kind, files: runtime.files, transport: runtime.transport, directory: directory)
      do {
        try await body(world)
      } catch {
        await removeTree(directory, runtime.files)
        throw error
      }
      await removeTree(directory, runtime.files)
    case .memory:
      let disk = MemoryDisk(directories: ["/data"])
      let network = MemoryNetwork(seed: 1)
      try await body(
        TestWorld(
          kind: kind, files: disk, transport: network.transport(host: "localhost"), directory: "/data"))
    }
  }
}

func makeTemporaryDirectory() throws -> String {
  let base = getenv("TMPDIR").map { String(cString: $0) } ?? "/tmp"
  var template = Array("\(base)/roost-test-XXXXXX".utf8CString)
  guard mkdtemp(&template) != nil else { throw RoostError.system(errno, "create a folder", at: base) }
  return String(decoding: template.dropLast().map(UInt8.init(bitPattern:)), as: UTF8.self)
}

func removeTree(_ directory: String, _ files: any FileSystem) async {
  for name in (try? await files.list(directory)) ?? [] {
    let path = "\(directory)/\(name)"
    do {
      try await files.remove(path)
    } catch {
      await removeTree(path, files)
    }
  }
  try? await files.removeDirectory(directory)
}

/// `count` bytes that depend on `seed` and position.
func pattern(_ count: Int, seed: UInt64 = 1) -> [UInt8] {
  var random = SplitMix64(seed: seed)
  return (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
}

/// Runs `body` and returns the kind of the error that it throws, nil when it throws none.
func kindOfError(_ body: () async throws -> Void) async -> RoostError.Kind? {
  do {
    try await body()
    return nil
  } catch {
    return (error as? RoostError)?.kind
  }
}
