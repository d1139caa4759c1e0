// A collection on a simulated disk, a random scenario from a seed, and a model of what must survive.

import Core
import Foundation
import Storage

/// One simulated machine: everything that happens in it is decided by the seed.
struct CrashWorld {
  static let directory = "/data"
  static let path = "/data/c"
  static let schema = CollectionSchema(dimension: 4, degree: 32, buildEffort: 16)
  /// Small enough that a short scenario flushes, merges and rewrites.
  static let options = StorageOptions(memtableRows: 12, memtableEntryBytes: 4096, segmentsPerTier: 3)

  let executor: SeededExecutor
  let disk: MemoryDisk
  let runtime: Runtime

  init(seed: UInt64, disk: MemoryDisk) {
    self.init(seed: seed, executor: SeededExecutor(seed: seed), disk: disk)
  }

  /// A machine whose disk takes its time.
  init(seed: UInt64, latencyNanos: ClosedRange<UInt64>) {
    let executor = SeededExecutor(seed: seed)
    let latency = MemoryDisk.Latency(clock: VirtualClock(executor), nanos: latencyNanos)
    self.init(
      seed: seed, executor: executor,
      disk: MemoryDisk(seed: seed, directories: [Self.directory], latency: latency))
  }

  private init(seed: UInt64, executor: SeededExecutor, disk: MemoryDisk) {
    self.executor = executor
    self.disk = disk
    let clock = VirtualClock(executor)
    runtime = Runtime(
      clock: clock, random: SeededRandom(seed: seed), files: disk,
      transport: MemoryNetwork(seed: seed, executor: executor).transport(host: "node"),
      workers: InlineWorkers(), executors: [executor])
  }

  static func freshDisk(seed: UInt64, faults: FaultPlan) -> MemoryDisk {
    MemoryDisk(seed: seed, faults: faults, directories: [directory])
  }
}

/// What a reader may find: per id the values that are possible, nil meaning that there is no record.
struct CrashModel: Sendable {
  /// The acknowledged value of each id that ever had one.
  var values: [RecordID: Int?] = [:]
  /// Values of calls that were begun and not acknowledged; each may have happened or not.
  var pending: [RecordID: [Int?]] = [:]
  /// The changes of each unacknowledged call, which are to be found all or none.
  var pendingCalls: [[RecordID: Int?]] = []

  mutating func begin(_ changes: [RecordID: Int?]) {
    for (id, value) in changes { pending[id, default: []].append(value) }
    pendingCalls.append(changes)
  }

  mutating func acknowledge(_ changes: [RecordID: Int?]) {
    for (id, value) in changes {
      values[id] = .some(value)
      pending[id] = nil
    }
    pendingCalls.removeAll { $0.keys == changes.keys && $0 == changes }
  }

  /// Nil when `found` is possible, else what is wrong with it.
  /// - Parameter wholeCalls: no id was touched by more than one unacknowledged call.
  func objection(to found: [RecordID: Int], wholeCalls: Bool) -> String? {
    for id in Set(values.keys).union(pending.keys).union(found.keys) {
      let allowed = [values[id] ?? nil] + (pending[id] ?? [])
      if !allowed.contains(found[id]) {
        return "record \(id.text) is \(String(describing: found[id])), allowed are \(allowed)"
      }
    }
    guard wholeCalls else { return nil }
    for call in pendingCalls {
      let applied = call.filter { found[$0.key] == $0.value }.count
      let untouched = call.filter { found[$0.key] == (values[$0.key] ?? nil) }.count
      if applied != call.count && untouched != call.count { return "a call was applied in part: \(call)" }
    }
    return nil
  }

  /// Settles what was pending, after recovery has decided.
  mutating func settle(_ found: [RecordID: Int]) {
    for id in pending.keys { values[id] = .some(found[id]) }
    pending = [:]
    pendingCalls = []
  }
}

/// A random sequence of calls on a collection, checked against the model as it goes.
struct CrashScenario {
  let seed: UInt64
  let steps: Int

  /// Runs until the end or until the disk gives up. Returns nil, or what went wrong.
  func run(_ world: CrashWorld, model: inout CrashModel, salt: UInt64 = 0) throws -> String? {
    let start = model
    let (outcome, end) = try world.executor.run { () async throws -> (String?, CrashModel) in
      var model = start
      let outcome = await perform(world, &model, salt: salt)
      return (outcome, model)
    }
    // What still runs in the background ends, too; else it would keep the collection and its memory for ever.
    world.executor.runUntilIdle()
    model = end
    return outcome
  }

  private func perform(_ world: CrashWorld, _ model: inout CrashModel, salt: UInt64) async -> String? {
    var random = SplitMix64(seed: seed ^ salt)
    var counter = Int(salt)
    var collection: Collection
    do throws(RoostError) { collection = try await open(world) } catch {
      return world.disk.hasCrashed || isFault(error) ? nil : "opening failed: \(error)"
    }
    for _ in 0..<steps {
      do throws(RoostError) {
        switch random.below(20) {
        case 0: try await collection.flush()
        case 1: try await collection.compact()
        case 2:
          try await collection.close()
          collection = try await open(world)
        case 3...6:
          try await delete(collection, &model, &random)
        case 7, 8:
          if let objection = try await concurrentPuts(collection, &model, &random, &counter) {
            return objection
          }
        case 9:
          let id = RecordID.number(UInt64(random.below(24)))
          let record = try await collection.get([id])[0]
          if model.pending[id] == nil, record.map(value) != (model.values[id] ?? nil) {
            return "get \(id.text) gave \(String(describing: record.map(value)))"
          }
        default: try await put(collection, &model, &random, &counter)
        }
      } catch {
        if world.disk.hasCrashed { return nil }
        if !isFault(error) { return "unexpected error: \(error)" }
      }
    }
    do throws(RoostError) { try await collection.close() } catch {
      if !world.disk.hasCrashed && !isFault(error) { return "closing failed: \(error)" }
    }
    return nil
  }

  private func isFault(_ error: RoostError) -> Bool {
    [.io, .noSpace, .readOnly, .unavailable, .notFound].contains(error.kind)
  }

  private func open(_ world: CrashWorld) async throws(RoostError) -> Collection {
    if try await Collection.exists(CrashWorld.path, files: world.disk) {
      return try await Collection.open(CrashWorld.path, options: CrashWorld.options, runtime: world.runtime)
    }
    return try await Collection.create(
      CrashWorld.path, schema: CrashWorld.schema, options: CrashWorld.options, runtime: world.runtime)
  }

  private func record(_ id: RecordID, _ value: Int) -> PutRecord {
    var random = SplitMix64(seed: UInt64(value))
    return PutRecord(
      id: id, vector: random.vector(CrashWorld.schema), payload: Payload(["v": .int(Int64(value))]))
  }

  private func value(_ record: Record) -> Int {
    if case .int(let value)? = record.payload["v"] { Int(value) } else { -1 }
  }

  private func put(
    _ collection: Collection, _ model: inout CrashModel, _ random: inout SplitMix64, _ counter: inout Int
  ) async throws(RoostError) {
    var changes: [RecordID: Int?] = [:]
    var records: [PutRecord] = []
    for _ in 0...random.below(3) {
      counter += 1
      let id = RecordID.number(UInt64(random.below(24)))
      changes[id] = counter
      records.append(record(id, counter))
    }
    model.begin(changes)
    _ = try await collection.put(records)
    model.acknowledge(changes)
  }

  private func delete(
    _ collection: Collection, _ model: inout CrashModel, _ random: inout SplitMix64
  ) async throws(RoostError) {
    let ids = (0...random.below(3)).map { _ in RecordID.number(UInt64(random.below(24))) }
    let changes = Dictionary(ids.map { ($0, nil as Int?) }, uniquingKeysWith: { first, _ in first })
    model.begin(changes)
    _ = try await collection.delete(ids)
    model.acknowledge(changes)
  }

  /// Several calls at once, on ids of their own, that share a group commit.
  private func concurrentPuts(
    _ collection: Collection, _ model: inout CrashModel, _ random: inout SplitMix64, _ counter: inout Int
  ) async throws(RoostError) -> String? {
    var calls: [(id: RecordID, value: Int)] = []
    let first = random.below(20)
    for index in 0...random.below(4) {
      counter += 1
      calls.append((.number(UInt64(first + index)), counter))
      model.begin([calls[index].id: counter])
    }
    let results = await withTaskGroup(of: (Int, RoostError?).self) { group in
      for (index, call) in calls.enumerated() {
        group.addTask {
          do throws(RoostError) {
            _ = try await collection.put([record(call.id, call.value)])
            return (index, nil)
          } catch { return (index, error) }
        }
      }
      return await group.reduce(into: [(Int, RoostError?)]()) { $0.append($1) }
    }
    for (index, error) in results where error == nil {
      model.acknowledge([calls[index].id: calls[index].value])
    }
    if let error = results.compactMap(\.1).first { throw error }
    return nil
  }

  /// Opens what is left, compares with the model, and leaves the collection closed.
  func check(_ world: CrashWorld, model: inout CrashModel, wholeCalls: Bool) throws -> String? {
    let start = model
    let (objection, found) = try world.executor.run { () async throws -> (String?, [RecordID: Int]) in
      let collection: Collection
      do throws(RoostError) { collection = try await open(world) } catch {
        return ("recovery failed: \(error)", [:])
      }
      var found: [RecordID: Int] = [:]
      for record in try await collection.scan(limit: 1000) { found[record.id] = value(record) }
      if let objection = start.objection(to: found, wholeCalls: wholeCalls) { return (objection, found) }
      guard try await collection.count() == found.count else { return ("count disagrees with scan", found) }
      for (id, expected) in found {
        let query = SearchQuery(
          target: .vector(record(id, expected).vector ?? Vector([0, 0, 0, 0] as [Float])), k: 1, exact: true)
        guard try await collection.search(query).first?.distance == 0 else {
          return ("search does not find \(id.text)", found)
        }
      }
      try await collection.close()
      let report = try await Collection.verify(CrashWorld.path, runtime: world.runtime)
      if let problem = report.problems.first { return ("verify: \(problem)", found) }
      return (nil, found)
    }
    world.executor.runUntilIdle()
    model.settle(found)
    return objection
  }
}

/// Runs `body` on a thread of its own: a simulation never suspends, and the threads that all tests share
/// are few.
func onOwnThread(_ body: @escaping @Sendable () throws -> Void) async throws {
  try await withCheckedThrowingContinuation { continuation in
    let thread = Thread { continuation.resume(with: Result(catching: body)) }
    thread.stackSize = 8 << 20
    thread.start()
  }
}

/// What a simulation found; thrown, because off the test's own task a recorded issue belongs to no test.
struct Finding: Error, CustomStringConvertible {
  let description: String
}
