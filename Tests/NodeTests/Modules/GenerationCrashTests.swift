// The switch from one generation of a collection to the next, on a disk that loses power at every single change.

import Core
import Foundation
import Storage
import Synchronization
import Testing

@testable import Node

@Suite struct GenerationCrashTests {
  private static let schema = CollectionSchema(
    dimension: 2, buildEffort: 16, embedder: EmbedderReference(module: "m", sourceField: "text"))

  private static func embedder(_ number: UInt32) -> EmbedderVersion {
    EmbedderVersion(number: number, digest: Digest(of: [UInt8(number)]))
  }

  private static func runtime(_ executor: SeededExecutor, _ disk: MemoryDisk) -> Runtime {
    Runtime(
      clock: VirtualClock(executor), random: SeededRandom(seed: 1), files: disk,
      transport: MemoryNetwork(seed: 1, executor: executor).transport(host: "n"), workers: InlineWorkers(),
      executors: [executor])
  }

  private static func open(_ runtime: Runtime) async throws(RoostError) -> CollectionTable {
    var configuration = NodeConfiguration(dataPath: "/data")
    configuration.memoryBytes = 32 << 20
    let folder = try await DataFolder.open("/data", runtime: runtime)
    return try await CollectionTable.open(folder, configuration: configuration, runtime: runtime) { _, _ in }
  }

  private final class Reached: Sendable {
    let step = Atomic<Int>(0)
  }

  /// Counts up as steps are durable: 1 there is a collection, 2 and its record, 3 it has changed generations,
  /// 4 it is gone.
  private static func scenario(_ runtime: Runtime, _ reached: Reached) async throws(RoostError) {
    let table = try await open(runtime)
    try await table.create("c", schema: schema, embedder: embedder(1))
    reached.step.store(1, ordering: .relaxed)
    let version = try await table.writing("c") { (hosted) throws(RoostError) in
      try await hosted.collection.put([PutRecord(id: .number(1), vector: vector(1, 1))])[0]
    }
    reached.step.store(2, ordering: .relaxed)
    guard let hosted = table.open.first else { return }
    let next = Generation(number: 2, embedder: embedder(2))
    let shadow = try await table.createShadow(of: hosted, next)
    let record = PutRecord(id: .number(1), vector: vector(2, 2))
    try await shadow.merge([VersionedChange(.put(record), version: version)])
    try await shadow.flush()
    await hosted.gate.hold()
    do throws(RoostError) { try await table.replace(hosted, by: shadow, next) } catch {
      hosted.gate.release()
      throw error
    }
    hosted.gate.release()
    reached.step.store(3, ordering: .relaxed)
    while table.retiring.load(ordering: .relaxed) > 0 { try await runtime.clock.sleep(nanos: 1_000_000) }
    try await table.drop("c")
    reached.step.store(4, ordering: .relaxed)
    try await table.close()
  }

  @Test func eitherGenerationIsWholeAfterAPowerLoss() throws {
    let reached = Reached()
    let whole = MemoryDisk(seed: 1, faults: .none, directories: ["/data"])
    let executor = SeededExecutor(seed: 1)
    try executor.run { try await Self.scenario(Self.runtime(executor, whole), reached) }
    #expect(reached.step.load(ordering: .relaxed) == 4)
    for change in 0..<whole.changeCount {
      let disk = MemoryDisk(seed: 1, faults: .crashAt(change), directories: ["/data"])
      let executor = SeededExecutor(seed: 1)
      let reached = Reached()
      _ = try executor.run {
        do throws(RoostError) { try await Self.scenario(Self.runtime(executor, disk), reached) } catch {}
        return true
      }
      let step = reached.step.load(ordering: .relaxed)
      for survival in [Survival.nothing, .everything, .seed(UInt64(change))] {
        let after = SeededExecutor(seed: 2)
        let found = try after.run { () async throws -> [String] in
          let table = try await Self.open(Self.runtime(after, disk.afterCrash(survival)))
          var found = table.failed.map { "failed: \($0.error)" }
          for hosted in table.open {
            let record = try await hosted.collection.get([.number(1)])[0]
            let made = record?.vector?.floats.map { Int($0) }
            found.append(
              "\(hosted.generation.number) \(hosted.generation.embedder?.number ?? 0) \(made ?? [])")
          }
          try await table.close()
          return found
        }
        let allowed: [[String]] =
          switch step {
          // Not acknowledged: no collection, or one that nobody has written to.
          case 0: [[], ["1 1 []"], ["1 0 []"]]
          case 1: [["1 1 []"], ["1 1 [1, 1]"]]
          case 2: [["1 1 [1, 1]"], ["2 2 [2, 2]"]]
          case 3: [["2 2 [2, 2]"], []]
          default: [[]]
          }
        #expect(
          allowed.contains(found), "power loss at change \(change), \(survival), step \(step): \(found)")
      }
    }
  }
}
