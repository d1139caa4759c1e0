import Core
import Testing

/// Faults and power loss; the ordinary behaviour is in FileSystemConformanceTests.
@Suite struct MemoryDiskTests {
  private func write(_ file: any File, _ bytes: [UInt8], at offset: UInt64 = 0) async throws {
    try await file.write(IOBuffer(bytes), range: 0..<bytes.count, at: offset)
  }

  private func disk(_ faults: FaultPlan = .none, seed: UInt64 = 1) -> MemoryDisk {
    MemoryDisk(seed: seed, faults: faults, directories: ["/d"])
  }

  private func kind(_ body: () async throws -> Void) async -> RoostError.Kind? {
    do {
      try await body()
      return nil
    } catch {
      return (error as? RoostError)?.kind
    }
  }

  @Test func onlySyncedThingsSurviveTheWorst() async throws {
    let disk = disk()
    let file = try await disk.open("/d/a", [.write, .create])
    try await write(file, [1, 2, 3])
    try await file.sync()
    // Data is durable, the name is not.
    #expect(disk.afterCrash(.nothing).contents(of: "/d/a") == nil)
    #expect(disk.afterCrash(.everything).contents(of: "/d/a") == [1, 2, 3])
    try await disk.syncDirectory("/d")
    #expect(disk.afterCrash(.nothing).contents(of: "/d/a") == [1, 2, 3])
    try await write(file, [9, 9], at: 3)
    #expect(disk.afterCrash(.nothing).contents(of: "/d/a") == [1, 2, 3])
    #expect(disk.afterCrash(.everything).contents(of: "/d/a") == [1, 2, 3, 9, 9])
    try await file.sync()
    #expect(disk.afterCrash(.nothing).contents(of: "/d/a") == [1, 2, 3, 9, 9])
    try await file.truncate(to: 1)
    #expect(disk.afterCrash(.nothing).contents(of: "/d/a") == [1, 2, 3, 9, 9])
    try await file.sync()
    #expect(disk.afterCrash(.nothing).contents(of: "/d/a") == [1])
  }

  @Test func namesAreDurableOnlyWithTheirFolder() async throws {
    let disk = disk()
    let file = try await disk.open("/d/a", [.write, .create])
    try await write(file, [1])
    try await file.sync()
    try await disk.syncDirectory("/d")
    try await disk.rename("/d/a", to: "/d/b")
    #expect(disk.afterCrash(.nothing).filePaths == ["/d/a"])
    try await disk.syncDirectory("/d")
    #expect(disk.afterCrash(.nothing).filePaths == ["/d/b"])
    try await disk.link("/d/b", to: "/d/c")
    try await disk.remove("/d/b")
    #expect(disk.afterCrash(.nothing).filePaths == ["/d/b"])
    try await disk.syncDirectory("/d")
    #expect(disk.afterCrash(.nothing).filePaths == ["/d/c"])
    #expect(disk.afterCrash(.nothing).contents(of: "/d/c") == [1])
    // A folder that was never synced takes everything in it along.
    try await disk.makeDirectory("/d/e/f")
    let deep = try await disk.open("/d/e/f/g", [.write, .create])
    try await write(deep, [1])
    try await deep.sync()
    try await disk.syncDirectory("/d/e/f")
    try await disk.syncDirectory("/d/e")
    #expect(disk.afterCrash(.nothing).filePaths == ["/d/c"])
    try await disk.syncDirectory("/d")
    #expect(disk.afterCrash(.nothing).filePaths == ["/d/c", "/d/e/f/g"])
  }

  @Test func aRenameIsWholeUnderEverySeed() async throws {
    let disk = disk()
    for (name, byte) in [("old", 1), ("new", 2)] as [(String, UInt8)] {
      let file = try await disk.open("/d/\(name)", [.write, .create])
      try await write(file, [byte])
      try await file.sync()
    }
    try await disk.syncDirectory("/d")
    try await disk.rename("/d/new", to: "/d/old")
    var outcomes = Set<[UInt8]>()
    for seed in 0..<50 as Range<UInt64> {
      let after = disk.afterCrash(.seed(seed))
      let bytes = try #require(after.contents(of: "/d/old"), "seed \(seed)")
      #expect((after.contents(of: "/d/new") == nil) == (bytes == [2]), "seed \(seed)")
      outcomes.insert(bytes)
    }
    #expect(outcomes == [[1], [2]])
  }

  @Test func seedsReachEveryStateOfASector() async throws {
    let disk = disk()
    let file = try await disk.open("/d/a", [.write, .create])
    let sectors = 3
    try await write(file, [UInt8](repeating: 1, count: sectors * 512))
    try await file.sync()
    try await disk.syncDirectory("/d")
    try await write(file, [UInt8](repeating: 2, count: sectors * 512))
    try await write(file, [UInt8](repeating: 3, count: sectors * 512))
    var seen = Set<[UInt8]>()
    for seed in 0..<2_000 as Range<UInt64> {
      let bytes = try #require(disk.afterCrash(.seed(seed)).contents(of: "/d/a"))
      #expect(bytes.count == sectors * 512)
      let heads = (0..<sectors).map { bytes[$0 * 512] }
      // No sector is ever mixed.
      for sector in 0..<sectors {
        #expect(bytes[sector * 512..<sector * 512 + 512].allSatisfy { $0 == heads[sector] }, "seed \(seed)")
      }
      seen.insert(heads)
    }
    #expect(seen.count == 27)
    // The same seed gives the same.
    #expect(disk.afterCrash(.seed(5)).contents(of: "/d/a") == disk.afterCrash(.seed(5)).contents(of: "/d/a"))
  }

  @Test func growthMayBeTornOrShorterOrZero() async throws {
    let disk = disk()
    let file = try await disk.open("/d/a", [.write, .create])
    try await write(file, [7])
    try await file.sync()
    try await disk.syncDirectory("/d")
    try await write(file, [UInt8](repeating: 8, count: 2_000), at: 1)
    var sizes = Set<Int>()
    var hasHole = false
    for seed in 0..<500 as Range<UInt64> {
      let bytes = try #require(disk.afterCrash(.seed(seed)).contents(of: "/d/a"))
      #expect(bytes[0] == 7 && bytes.dropFirst().allSatisfy { $0 == 8 || $0 == 0 }, "seed \(seed)")
      sizes.insert(bytes.count)
      if bytes.dropFirst().contains(0) { hasHole = true }
    }
    #expect(sizes.contains(1) && sizes.contains(2_001) && sizes.contains(512) && hasHole)
  }

  @Test func cutBytesDoNotComeBack() async throws {
    let disk = disk()
    let file = try await disk.open("/d/a", [.write, .create])
    try await write(file, [UInt8](repeating: 1, count: 4_000))
    try await file.sync()
    try await disk.syncDirectory("/d")
    try await file.truncate(to: 10)
    try await file.truncate(to: 3_000)
    for seed in 0..<200 as Range<UInt64> {
      let bytes = try #require(disk.afterCrash(.seed(seed)).contents(of: "/d/a"))
      #expect(bytes.count == 4_000 || bytes.dropFirst(10).allSatisfy { $0 == 0 }, "seed \(seed)")
    }
  }

  @Test func crashAtEveryOperation() async throws {
    // Write, sync, rename and sync the folder: afterwards the new contents, before the old, never neither.
    func scenario(_ disk: MemoryDisk) async throws {
      let file = try await disk.open("/d/tmp", [.write, .create, .truncate])
      try await write(file, [UInt8](repeating: 2, count: 1_500))
      try await file.sync()
      try await disk.rename("/d/tmp", to: "/d/a")
      try await disk.syncDirectory("/d")
    }
    func prepared(_ faults: FaultPlan) async throws -> MemoryDisk {
      let disk = disk()
      let file = try await disk.open("/d/a", [.write, .create])
      try await write(file, [1])
      try await file.sync()
      try await disk.syncDirectory("/d")
      return disk.afterCrash(.nothing, faults: faults)
    }
    let whole = try await prepared(.none)
    try await scenario(whole)
    #expect(whole.changeCount == 5)
    for operation in 0..<whole.changeCount {
      let disk = try await prepared(.crashAt(operation))
      #expect(await kind { try await scenario(disk) } == .io)
      #expect(disk.hasCrashed)
      #expect(await kind { _ = try await disk.list("/d") } == .io)
      let survivals: [Survival] = [.nothing, .everything] + (0..<50).map { .seed($0) }
      for survival in survivals {
        let bytes = disk.afterCrash(survival).contents(of: "/d/a")
        #expect(bytes == [1] || bytes == [UInt8](repeating: 2, count: 1_500), "\(operation) \(survival)")
      }
    }
    // And without the sync the test above would fail: some seed leaves neither.
    let careless = try await prepared(.none)
    let file = try await careless.open("/d/tmp", [.write, .create])
    try await write(file, [UInt8](repeating: 2, count: 1_500))
    try await careless.rename("/d/tmp", to: "/d/a")
    try await careless.syncDirectory("/d")
    let outcomes = (0..<50).map { careless.afterCrash(.seed($0)).contents(of: "/d/a") }
    #expect(outcomes.contains { $0 != [1] && $0 != [UInt8](repeating: 2, count: 1_500) })
  }

  @Test func syncsThatFailOrLie() async throws {
    let lying = disk(.at(2, .loseSync))
    var file = try await lying.open("/d/a", [.write, .create])
    try await lying.syncDirectory("/d")
    lying.setFaults(.at(3, .loseSync))
    try await write(file, [1])
    try await file.sync()
    #expect(lying.afterCrash(.nothing).contents(of: "/d/a") == [])
    try await file.sync()
    #expect(lying.afterCrash(.nothing).contents(of: "/d/a") == [1])

    // After a failed sync a later one that succeeds does not save the data.
    var lost = 0
    for seed in 0..<40 as Range<UInt64> {
      let failing = disk(.at(3, .failSync), seed: seed)
      file = try await failing.open("/d/a", [.write, .create])
      try await failing.syncDirectory("/d")
      try await write(file, [1])
      #expect(await kind { try await file.sync() } == .io)
      try await file.sync()
      #expect(failing.contents(of: "/d/a") == [1])
      if failing.afterCrash(.everything).contents(of: "/d/a")
        != failing.afterCrash(.nothing).contents(of: "/d/a")
      {
        lost += 1
      }
    }
    #expect(lost > 0)

    let folder = disk(.at(1, .failSync))
    file = try await folder.open("/d/a", [.write, .create])
    #expect(await kind { try await folder.syncDirectory("/d") } == .io)
    #expect(folder.afterCrash(.nothing).filePaths == [])
    try await folder.syncDirectory("/d")
    #expect(folder.afterCrash(.nothing).filePaths == ["/d/a"])
  }

  @Test func writesThatFail() async throws {
    for (fault, expected) in [(.fail, .io), (.noSpace, .noSpace), (.tornWrite, .io)]
      as [(FaultPlan.Fault, RoostError.Kind)]
    {
      let disk = disk(.at(1, fault))
      let file = try await disk.open("/d/a", [.write, .create])
      #expect(await kind { try await write(file, [UInt8](repeating: 5, count: 10_000)) } == expected)
      let bytes = try #require(disk.contents(of: "/d/a"))
      #expect(bytes.count < 10_000 || bytes.contains(0), "\(fault)")
      if fault == .fail { #expect(bytes.isEmpty) }
      if fault == .noSpace { #expect(bytes.allSatisfy { $0 == 5 }) }
      try await write(file, [UInt8](repeating: 6, count: 10_000))
      #expect(disk.contents(of: "/d/a") == [UInt8](repeating: 6, count: 10_000))
    }
    let full = disk()
    full.setCapacity(1_000)
    let file = try await full.open("/d/a", [.write, .create])
    try await write(file, [UInt8](repeating: 5, count: 900))
    #expect(await kind { try await write(file, [UInt8](repeating: 5, count: 101), at: 900) } == .noSpace)
    try await write(file, [UInt8](repeating: 5, count: 100), at: 900)
    full.setReadOnly(true)
    #expect(await kind { try await write(file, [1]) } == .readOnly)
    #expect(await kind { _ = try await full.open("/d/b", [.write, .create]) } == .readOnly)
    #expect(await kind { _ = try await full.lock("/d/lock") } == .readOnly)
  }

  @Test func readsThatFailOrLie() async throws {
    let disk = disk()
    let file = try await disk.open("/d/a", [.read, .write, .create])
    let bytes = [UInt8](repeating: 0, count: 1_000)
    try await write(file, bytes)
    let buffer = IOBuffer(count: 1_000)
    for fault in [.failRead, .shortRead] as [FaultPlan.Fault] {
      disk.setFaults(FaultPlan([.init(fault, .at(disk.readCount), pathContains: "/a")]))
      #expect(await kind { _ = try await file.read(into: buffer, range: 0..<1_000, at: 0) } == .io)
      disk.setFaults(FaultPlan([.init(fault, .from(disk.readCount))]))
      let queue = file.makeReadQueue()
      queue.submit(into: buffer, range: 0..<10, at: 0, tag: 1)
      #expect(await kind { _ = try await queue.next() } == .io)
      disk.setFaults(FaultPlan([.init(fault, .from(0), pathContains: "/other")]))
      #expect(try await file.read(into: buffer, range: 0..<1_000, at: 0) == 1_000)
    }
    disk.setFaults(FaultPlan([.init(.flipBit, .probability(1))]))
    #expect(try await file.read(into: buffer, range: 0..<1_000, at: 0) == 1_000)
    #expect(buffer.bytes.reduce(0) { $0 + $1.nonzeroBitCount } == 1)
    let mapping = try await file.map()
    withExtendedLifetime(mapping) {
      #expect(mapping.bytes.reduce(0) { $0 + $1.nonzeroBitCount } == 1)
    }
    #expect(disk.contents(of: "/d/a") == bytes)
  }

  @Test func corruptionStays() async throws {
    let disk = disk()
    let file = try await disk.open("/d/a", [.read, .write, .create])
    try await write(file, [0, 0, 0])
    disk.corrupt("/d/a", offset: 1, bit: 7)
    #expect(disk.contents(of: "/d/a") == [0, 128, 0])
    try await file.sync()
    try await disk.syncDirectory("/d")
    disk.corrupt("/d/a", offset: 2, bit: 0)
    #expect(disk.afterCrash(.nothing).contents(of: "/d/a") == [0, 128, 1])
  }

  @Test func sameSeedSameFaults() async throws {
    func run(_ seed: UInt64) async throws -> [Bool] {
      let disk = disk(FaultPlan([.init(.fail, .probability(0.3))]), seed: seed)
      var outcomes: [Bool] = []
      for index in 0..<100 {
        outcomes.append(await kind { _ = try await disk.open("/d/\(index)", [.write, .create]) } == nil)
      }
      return outcomes
    }
    let first = try await run(4)
    #expect(try await run(4) == first)
    #expect(try await run(5) != first)
    #expect((40...90).contains(first.count { $0 }))
  }
}
