// One flipped bit anywhere in any file of a closed collection is found, and named by file and place;
// whoever opens the collection regardless gets errors, never wrong data and never a crash.
// ROOST_EVERY_BYTE=1 tries every byte; otherwise a sample of them.

import Core
import Foundation
import Storage
import Testing

@Suite struct CorruptionTests {
  private static let step = ProcessInfo.processInfo.environment["ROOST_EVERY_BYTE"] == nil ? 97 : 1

  /// A collection with segments, dead rows, tombstones, a WAL with writes and a manifest with edits.
  private func makeStore(_ world: CrashWorld) throws -> [RecordID: Payload] {
    try world.executor.run { () async throws -> [RecordID: Payload] in
      let collection = try await Collection.create(
        CrashWorld.path, schema: CrashWorld.schema, options: CrashWorld.options, runtime: world.runtime)
      var random = SplitMix64(seed: 4)
      var model: [RecordID: Payload] = [:]
      for round in 0..<4 {
        for _ in 0..<5 {
          let record = random.record(.key("k\(random.below(40))"), CrashWorld.schema)
          _ = try await collection.put([record])
          model[record.id] = record.payload
        }
        let doomed = RecordID.key("k\(random.below(40))")
        _ = try await collection.delete([doomed])
        model[doomed] = nil
        if round < 3 { try await collection.flush() }
      }
      try await collection.close()
      return model
    }
  }

  @Test func everyFlippedBitIsFound() async throws { try await onOwnThread { try flipBits() } }

  private func flipBits() throws {
    let world = CrashWorld(seed: 1, disk: CrashWorld.freshDisk(seed: 1, faults: .none))
    let model = try makeStore(world)
    var tried = 0
    for path in world.disk.filePaths where !path.hasSuffix("/LOCK") {
      let count = world.disk.contents(of: path)?.count ?? 0
      guard count > 0 else { throw Finding(description: "\(path) is empty") }
      for offset in stride(from: tried % Self.step, to: count, by: Self.step) {
        let bit = (offset &+ tried) % 8
        world.disk.corrupt(path, offset: offset, bit: bit)
        defer { world.disk.corrupt(path, offset: offset, bit: bit) }
        tried += 1
        let objection = try world.executor.run { await self.objection(world, path, model) }
        if let objection {
          throw Finding(description: "\(path), byte \(offset), bit \(bit): \(objection)")
        }
      }
    }
    let report = try world.executor.run {
      try await Collection.verify(CrashWorld.path, runtime: world.runtime)
    }
    guard report.problems == [], tried > 100 else { throw Finding(description: "tried \(tried), \(report)") }
  }

  private func objection(_ world: CrashWorld, _ path: String, _ model: [RecordID: Payload]) async -> String? {
    do throws(RoostError) {
      let report = try await Collection.verify(CrashWorld.path, runtime: world.runtime)
      guard let problem = report.problems.first else { return "verify found nothing" }
      guard [.corrupted, .unsupportedVersion].contains(problem.kind) else { return "verify says \(problem)" }
      guard problem.place.contains("/data/c") else { return "verify does not name the file: \(problem)" }
    } catch { return "verify threw \(error)" }
    // Opening may succeed, for pages are checked when they are used. Then what is read is right or an error.
    let collection: Collection
    do throws(RoostError) {
      let disk = world.disk.afterCrash(.everything)
      var runtime = world.runtime
      runtime.files = disk
      collection = try await Collection.open(CrashWorld.path, options: CrashWorld.options, runtime: runtime)
    } catch {
      return [.corrupted, .unsupportedVersion].contains(error.kind) ? nil : "opening threw \(error)"
    }
    var outcome: String?
    for (id, payload) in model {
      do throws(RoostError) {
        let record = try await collection.get([id])[0]
        if record?.payload != payload { outcome = "\(id.text) is \(String(describing: record?.payload))" }
      } catch { if error.kind != .corrupted { outcome = "get threw \(error)" } }
    }
    do throws(RoostError) {
      _ = try await collection.search(
        SearchQuery(target: .vector(Vector([0, 0, 0, 0] as [Float])), k: 5))
    } catch { if error.kind != .corrupted { outcome = "search threw \(error)" } }
    try? await collection.close()
    return outcome
  }
}
