// The registry's files on a disk that loses power, or fails, at every single change.

import Core
import Foundation
import Storage
import Synchronization
import Testing
import Wire

@testable import Node

@Suite struct RegistryFilesTests {
  private static let path = "/modules"

  /// Publishes, rolls back and deletes; calls `done` with each table that is durable.
  private static func scenario(
    _ files: RegistryFiles, _ done: (RegistryTable) -> Void
  ) async throws(RoostError) {
    var table = try await files.load()
    func publish(_ name: String, _ content: Int) async throws(RoostError) {
      let bytes = Array("\(content)".utf8)
      var release = RegistryTableTests.release(content)
      release.byteCount = UInt64(bytes.count)
      _ = try table.publish(name, release, placement: .current, grants: 3)
      try await files.store(bytes, as: release.digest)
      try await files.save(table)
      done(table)
      try await files.sweep(keeping: table.digests)
    }
    func change(_ name: String, _ change: ModuleChange) async throws(RoostError) {
      try table.change(name, change, at: .zero)
      try await files.save(table)
      done(table)
      try await files.sweep(keeping: table.digests)
    }
    try await publish("a", 1)
    try await publish("b", 1)
    try await publish("a", 2)
    try await change("a", .rollBack)
    try await change("a", .delete(.number(2)))
    try await change("b", .delete(nil))
    try await publish("a", 2)
  }

  /// Every version of a table that is found can be read.
  private static func check(_ disk: MemoryDisk, _ executor: SeededExecutor) throws -> RegistryTable {
    try executor.run {
      let files = RegistryFiles(path: path, files: disk)
      let table = try await files.load()
      for (_, entry) in table.entries {
        for release in entry.releases {
          _ = try await files.read(release.digest, byteCount: release.byteCount, workers: InlineWorkers())
        }
      }
      try await files.sweep(keeping: table.digests)
      return table
    }
  }

  private final class Progress: Sendable {
    let tables = Mutex<[RegistryTable]>([RegistryTable()])
  }

  private static func run(_ faults: FaultPlan) throws -> (disk: MemoryDisk, tables: [RegistryTable]) {
    let executor = SeededExecutor(seed: 1)
    let disk = MemoryDisk(seed: 1, faults: faults, directories: [path])
    let progress = Progress()
    _ = try executor.run {
      do throws(RoostError) {
        try await scenario(RegistryFiles(path: path, files: disk)) { table in
          progress.tables.withLock { $0.append(table) }
        }
      } catch {}
      return true
    }
    return (disk, progress.tables.withLock { $0 })
  }

  @Test func nothingAcknowledgedIsLost() throws {
    let (disk, all) = try Self.run(.none)
    #expect(all.count == 8)
    let changes = disk.changeCount
    #expect(changes > 50)
    for change in 0..<changes {
      for survival in [Survival.nothing, .everything, .seed(UInt64(change))] {
        let (disk, tables) = try Self.run(.crashAt(change))
        let table = try Self.check(disk.afterCrash(survival), SeededExecutor(seed: 2))
        // The last one that was acknowledged, or the one that was on its way.
        let allowed = all[tables.count - 1...min(tables.count, all.count - 1)]
        #expect(allowed.contains(table), "power loss at change \(change), \(survival)")
      }
    }
  }

  @Test(arguments: [FaultPlan.Fault.fail, .noSpace, .tornWrite, .failSync])
  func aFailureLeavesARegistry(_ fault: FaultPlan.Fault) throws {
    let (disk, all) = try Self.run(.none)
    for change in 0..<disk.changeCount {
      let (disk, tables) = try Self.run(.at(change, fault))
      let table = try Self.check(disk.afterCrash(.seed(UInt64(change))), SeededExecutor(seed: 2))
      let allowed = all[tables.count - 1...min(tables.count, all.count - 1)]
      #expect(allowed.contains(table), "\(fault) at change \(change)")
    }
  }
}
