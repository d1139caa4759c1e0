// What every FileSystem must do, whatever is behind it.

import Core
import Testing

@testable import Storage

@Suite struct FileSystemConformanceTests {
  @Test(arguments: WorldKind.allCases)
  func writesAndReadsBack(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let bytes = pattern(100_000)
      let file = try await world.files.open(world.path("a"), [.read, .write, .create])
      #expect(try await file.size() == 0)
      try await file.write(IOBuffer(bytes), range: 0..<bytes.count, at: 0)
      #expect(try await file.size() == 100_000)
      let target = IOBuffer(count: 50_000)
      #expect(try await file.read(into: target, range: 100..<40_100, at: 5_000) == 40_000)
      #expect(Array(target.bytes(100..<40_100)) == Array(bytes[5_000..<45_000]))
      #expect(target.bytes[99] == 0 && target.bytes[40_100] == 0)
      await file.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func readsShortOnlyAtTheEnd(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let bytes = pattern(10_000)
      let file = try await world.write("a", bytes)
      let target = IOBuffer(count: 8_000)
      #expect(try await file.read(into: target, range: 0..<8_000, at: 6_000) == 4_000)
      #expect(Array(target.bytes(0..<4_000)) == Array(bytes[6_000...]))
      #expect(try await file.read(into: target, range: 0..<8_000, at: 10_000) == 0)
      #expect(try await file.read(into: target, range: 0..<8_000, at: 1 << 40) == 0)
      #expect(try await file.read(into: target, range: 0..<0, at: 0) == 0)
      await file.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func writingBeyondTheEndLeavesZeroes(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let file = try await world.write("a", [1, 2, 3])
      try await file.write(IOBuffer([9]), range: 0..<1, at: 9_999)
      let all = try await world.readAll("a")
      #expect(all.count == 10_000)
      #expect(all[0..<3] == [1, 2, 3] && all[9_999] == 9)
      #expect(all[3..<9_999].allSatisfy { $0 == 0 })
      await file.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func truncatesBothWays(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let file = try await world.write("a", pattern(1_000))
      try await file.truncate(to: 10)
      #expect(try await file.size() == 10)
      try await file.truncate(to: 20)
      let all = try await world.readAll("a")
      #expect(all == pattern(1_000)[..<10] + [UInt8](repeating: 0, count: 10))
      await file.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func openOptions(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let files = world.files
      #expect(await kindOfError { _ = try await files.open(world.path("none"), .read) } == .notFound)
      #expect(
        await kindOfError { _ = try await files.open(world.path("no/none"), [.write, .create]) } == .notFound)
      let file = try await world.write("a", [1, 2, 3])
      await file.close()
      #expect(
        await kindOfError { _ = try await files.open(world.path("a"), [.write, .create, .exclusive]) }
          == .alreadyExists)
      let reader = try await files.open(world.path("a"), .read)
      #expect(await kindOfError { try await reader.write(IOBuffer([1]), range: 0..<1, at: 0) } == .io)
      await reader.close()
      let writer = try await files.open(world.path("a"), .write)
      #expect(
        await kindOfError { _ = try await writer.read(into: IOBuffer(count: 1), range: 0..<1, at: 0) } == .io)
      await writer.close()
      let truncated = try await files.open(world.path("a"), [.read, .write, .truncate])
      #expect(try await truncated.size() == 0)
      await truncated.close()
      let fresh = try await files.open(world.path("b"), [.write, .create, .exclusive])
      await fresh.close()
      #expect(try await files.list(world.directory) == ["a", "b"])
    }
  }

  @Test(arguments: WorldKind.allCases)
  func closedFilesRefuse(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let file = try await world.write("a", pattern(100))
      await file.close()
      await file.close()
      let buffer = IOBuffer(count: 10)
      #expect(await kindOfError { _ = try await file.read(into: buffer, range: 0..<10, at: 0) } == .io)
      #expect(await kindOfError { try await file.write(buffer, range: 0..<10, at: 0) } == .io)
      #expect(await kindOfError { try await file.sync() } == .io)
      #expect(await kindOfError { _ = try await file.size() } == .io)
      let queue = file.makeReadQueue()
      queue.submit(into: buffer, range: 0..<10, at: 0, tag: 1)
      #expect(await kindOfError { _ = try await queue.next() } == .io)
      #expect(queue.inFlight == 0)
    }
  }

  @Test(arguments: WorldKind.allCases)
  func foldersAndNames(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let files = world.files
      try await files.makeDirectory(world.path("x/y/z"))
      try await files.makeDirectory(world.path("x/y"))
      let file = try await world.write("x/y/f", [1])
      await file.close()
      #expect(try await files.list(world.path("x/y")) == ["f", "z"])
      #expect(try await files.exists(world.path("x/y/f")))
      #expect(try await files.exists(world.path("x/y")))
      #expect(try await !files.exists(world.path("x/q")))
      #expect(try await !files.exists(world.path("x/y/f/g")))
      #expect(await kindOfError { try await files.makeDirectory(world.path("x/y/f")) } != nil)
      #expect(await kindOfError { try await files.removeDirectory(world.path("x/y")) } == .invalidArgument)
      #expect(await kindOfError { try await files.remove(world.path("x/y/none")) } == .notFound)
      #expect(await kindOfError { try await files.remove(world.path("x/y/z")) } != nil)
      #expect(await kindOfError { _ = try await files.list(world.path("none")) } == .notFound)
      try await files.remove(world.path("x/y/f"))
      try await files.removeDirectory(world.path("x/y/z"))
      try await files.removeDirectory(world.path("x/y"))
      #expect(try await files.list(world.path("x")) == [])
      try await files.syncDirectory(world.path("x"))
      #expect(await kindOfError { try await files.syncDirectory(world.path("none")) } == .notFound)
    }
  }

  @Test(arguments: WorldKind.allCases)
  func renameReplaces(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let first = try await world.write("a", [1])
      let second = try await world.write("b", [2])
      try await world.files.rename(world.path("a"), to: world.path("b"))
      #expect(try await world.files.list(world.directory) == ["b"])
      #expect(try await world.readAll("b") == [1])
      // An open file stays what it was, even without a name.
      let target = IOBuffer(count: 1)
      #expect(try await second.read(into: target, range: 0..<1, at: 0) == 1)
      #expect(target.bytes[0] == 2)
      #expect(
        await kindOfError { try await world.files.rename(world.path("none"), to: world.path("b")) }
          == .notFound)
      await first.close()
      await second.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func linksShareContents(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let file = try await world.write("a", [1, 2])
      try await world.files.link(world.path("a"), to: world.path("b"))
      try await file.write(IOBuffer([7]), range: 0..<1, at: 0)
      #expect(try await world.readAll("b") == [7, 2])
      #expect(
        await kindOfError { try await world.files.link(world.path("a"), to: world.path("b")) }
          == .alreadyExists)
      #expect(
        await kindOfError { try await world.files.link(world.path("c"), to: world.path("d")) } == .notFound)
      try await world.files.remove(world.path("a"))
      #expect(try await world.readAll("b") == [7, 2])
      await file.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func locksExclude(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      var lock: (any FileLock)? = try await world.files.lock(world.path("lock"))
      #expect(await kindOfError { _ = try await world.files.lock(world.path("lock")) } == .locked)
      let other = try await world.files.lock(world.path("other"))
      withExtendedLifetime((lock, other)) {}
      lock = nil
      let again = try await world.files.lock(world.path("lock"))
      withExtendedLifetime(again) {}
    }
  }

  @Test(arguments: WorldKind.allCases)
  func mapsAndKeepsTheMapping(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let bytes = pattern(20_000)
      let file = try await world.write("a", bytes)
      let mapping = try await file.map()
      await file.close()
      try await world.files.remove(world.path("a"))
      #expect(Array(mapping.bytes) == bytes)
      let empty = try await world.write("e", [])
      #expect(try await empty.map().bytes.count == 0)
      await empty.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func directAccessWantsAlignment(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let file = try await world.files.open(world.path("a"), [.read, .write, .create, .direct])
      let buffer = IOBuffer(pattern(16_384), alignment: 4096)
      try await file.write(buffer, range: 0..<16_384, at: 0)
      let target = IOBuffer(count: 8_192, alignment: 4096)
      #expect(try await file.read(into: target, range: 0..<8_192, at: 4_096) == 8_192)
      #expect(target.bytes.elementsEqual(buffer.bytes(4_096..<12_288)))
      #expect(try await file.read(into: target, range: 0..<8_192, at: 12_288) == 4_096)
      #expect(await kindOfError { try await file.write(buffer, range: 0..<512, at: 0) } == .invalidArgument)
      #expect(
        await kindOfError { _ = try await file.read(into: target, range: 0..<4_096, at: 1) }
          == .invalidArgument)
      #expect(
        await kindOfError { _ = try await file.read(into: target, range: 64..<4_160, at: 0) }
          == .invalidArgument)
      let queue = file.makeReadQueue()
      queue.submit(into: target, range: 0..<4_096, at: 7, tag: 0)
      #expect(await kindOfError { _ = try await queue.next() } == .invalidArgument)
      await file.close()
      // A file whose length is not a multiple can still be read to its end.
      let odd = try await world.write("odd", pattern(5_000))
      try await odd.sync()
      await odd.close()
      let direct = try await world.files.open(world.path("odd"), [.read, .direct])
      #expect(try await direct.read(into: target, range: 0..<8_192, at: 0) == 5_000)
      #expect(target.bytes(0..<5_000).elementsEqual(pattern(5_000)))
      await direct.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func readQueueCompletesEverything(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      // More in flight than the submission queue holds.
      let pages = 2_000
      let bytes = pattern(pages * 512)
      let file = try await world.write("a", bytes)
      let queue = file.makeReadQueue()
      let buffer = IOBuffer(count: pages * 512)
      for page in 0..<pages {
        let source = (page * 7919) % pages
        queue.submit(
          into: buffer, range: source * 512..<source * 512 + 512, at: UInt64(source * 512), tag: source)
      }
      #expect(queue.inFlight == pages)
      var seen = Set<Int>()
      while queue.inFlight > 0 { seen.insert(try await queue.next()) }
      #expect(seen.count == pages)
      #expect(buffer.bytes.elementsEqual(bytes))
      await file.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func readQueueRefusesShortReads(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let file = try await world.write("a", pattern(1_000))
      let queue = file.makeReadQueue()
      let buffer = IOBuffer(count: 2_000)
      queue.submit(into: buffer, range: 0..<1_000, at: 500, tag: 0)
      #expect(await kindOfError { _ = try await queue.next() } == .io)
      queue.submit(into: buffer, range: 0..<1_000, at: 0, tag: 5)
      #expect(try await queue.next() == 5)
      queue.submit(into: buffer, range: 0..<0, at: 0, tag: 6)
      #expect(try await queue.next() == 6)
      await file.close()
    }
  }

  @Test(arguments: WorldKind.allCases)
  func anAbandonedReadQueueIsHarmless(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let file = try await world.write("a", pattern(100_000))
      for _ in 0..<20 {
        let queue = file.makeReadQueue()
        for page in 0..<20 {
          queue.submit(into: IOBuffer(count: 4_096), range: 0..<4_096, at: UInt64(page * 4_096), tag: page)
        }
      }
      await file.close()
      #expect(try await world.readAll("a") == pattern(100_000))
    }
  }

  @Test(arguments: WorldKind.allCases)
  func manyTasksAtOnce(_ kind: WorldKind) async throws {
    try await TestWorld.with(kind) { world in
      let file = try await world.files.open(world.path("a"), [.read, .write, .create])
      try await withThrowingTaskGroup(of: Void.self) { group in
        for index in 0..<600 {
          group.addTask {
            let bytes = pattern(700, seed: UInt64(index))
            try await file.write(IOBuffer(bytes), range: 0..<700, at: UInt64(index * 700))
            let target = IOBuffer(count: 700)
            _ = try await file.read(into: target, range: 0..<700, at: UInt64(index * 700))
            #expect(target.bytes.elementsEqual(bytes))
          }
        }
        try await group.waitForAll()
      }
      #expect(try await file.size() == 600 * 700)
      await file.close()
    }
  }
}

extension TestWorld {
  func write(_ name: String, _ bytes: [UInt8]) async throws -> any File {
    let file = try await files.open(path(name), [.read, .write, .create, .truncate])
    try await file.write(IOBuffer(bytes), range: 0..<bytes.count, at: 0)
    return file
  }

  func readAll(_ name: String) async throws -> [UInt8] {
    let file = try await files.open(path(name), .read)
    let buffer = IOBuffer(count: Int(try await file.size()))
    let count = try await file.read(into: buffer, range: 0..<buffer.count, at: 0)
    await file.close()
    return Array(buffer.bytes(0..<count))
  }
}
