// Everything at once on the real ring: writers, deleters, searches, scans, flushes and merges. Each writer owns
// its ids and keeps score, so a reader knows what it must see and what it must not.

import Core
import Storage
import Synchronization
import Testing

@Suite struct StressTests {
  private static let schema = CollectionSchema(dimension: 8, degree: 32, buildEffort: 32)
  private static let writers = 4
  private static let idsPerWriter = 120
  private static let rounds = 400

  /// What a writer knows about each of its ids: the round of the acknowledged state, odd when the record
  /// exists, and the round of a call that is under way.
  private final class Score: Sendable {
    private let state: Mutex<[(acknowledged: Int, begun: Int)]>

    init(count: Int) { state = Mutex(Array(repeating: (0, 0), count: count)) }

    func begin(_ ids: [Int], _ round: Int) { state.withLock { for id in ids { $0[id].begun = round } } }
    func acknowledge(_ ids: [Int], _ round: Int) {
      state.withLock { for id in ids { $0[id].acknowledged = round } }
    }
    var all: [(acknowledged: Int, begun: Int)] { state.withLock { $0 } }
  }

  private final class End: Sendable {
    private let reached = Atomic<Bool>(false)
    var isReached: Bool { reached.load(ordering: .relaxed) }
    func reach() { reached.store(true, ordering: .relaxed) }
  }

  /// A record's vector says who it is: its id, so that no two are equal.
  private static func record(_ id: Int, round: Int) -> PutRecord {
    var random = SplitMix64(seed: UInt64(id))
    var values = (0..<8).map { _ in random.unitFloat() }
    values[0] += Float(id)
    return PutRecord(
      id: .number(UInt64(id)), vector: Vector(values), payload: Payload(["round": .int(Int64(round))]))
  }

  private static func round(_ payload: Payload?) -> Int {
    if case .int(let round)? = payload?["round"] { Int(round) } else { -1 }
  }

  /// Records an issue when `found` cannot be a snapshot taken between `before` and `after`.
  private static func check(
    _ found: [(id: Int, round: Int)], _ before: [(acknowledged: Int, begun: Int)],
    _ after: [(acknowledged: Int, begun: Int)], _ what: String
  ) {
    var rounds: [Int: Int] = [:]
    for (id, round) in found {
      #expect(rounds.updateValue(round, forKey: id) == nil, "\(what) gave \(id) twice")
      // Not older than what was acknowledged before, not newer than what was begun before the end.
      #expect(
        round >= before[id].acknowledged && round <= after[id].begun,
        "\(what) gave round \(round) of \(id), possible were \(before[id]) to \(after[id])")
    }
    for id in before.indices where rounds[id] == nil {
      let mayBeGone = before[id].acknowledged % 2 == 0 || after[id].begun > before[id].acknowledged
      #expect(mayBeGone, "\(what) misses \(id) of round \(before[id].acknowledged)")
    }
  }

  @Test func everyReaderSeesASnapshotWhateverRuns() async throws {
    let folder = TemporaryFolder()
    let options = StorageOptions(memtableRows: 100, segmentsPerTier: 2)
    let collection = try await Collection.create(
      folder.path + "/c", schema: Self.schema, options: options, runtime: .system())
    let total = Self.writers * Self.idsPerWriter
    let score = Score(count: total)
    let end = End()
    try await withThrowingTaskGroup(of: Bool.self) { group in
      for writer in 0..<Self.writers {
        group.addTask {
          var random = SplitMix64(seed: UInt64(writer) + 1)
          // Odd rounds put, even rounds delete, so a record's state follows from its round.
          for step in 1...Self.rounds {
            let isPut = random.below(3) > 0
            let round = step * 2 + (isPut ? 1 : 0)
            let first = writer * Self.idsPerWriter
            let ids = Array(Set((0..<8).map { _ in first + random.below(Self.idsPerWriter) }))
            score.begin(ids, round)
            if isPut {
              _ = try await collection.put(ids.map { Self.record($0, round: round) })
            } else {
              _ = try await collection.delete(ids.map { .number(UInt64($0)) })
            }
            score.acknowledge(ids, round)
          }
          return true
        }
      }
      group.addTask {
        while !end.isReached {
          let before = score.all
          let records = try await collection.scan(limit: total + 1, includeVector: false)
          let found = records.map { (id: Int($0.id.text) ?? -1, round: Self.round($0.payload)) }
          Self.check(found, before, score.all, "scan")
          #expect(zip(records, records.dropFirst()).allSatisfy { $0.id < $1.id })
        }
        return false
      }
      group.addTask {
        let query = Vector([Float](repeating: 0, count: 8))
        while !end.isReached {
          let before = score.all
          let hits = try await collection.search(
            SearchQuery(target: .vector(query), k: total + 1, exact: true, includePayload: true))
          let found = hits.map { (id: Int($0.id.text) ?? -1, round: Self.round($0.payload)) }
          Self.check(found, before, score.all, "exact search")
        }
        return false
      }
      group.addTask {
        var random = SplitMix64(seed: 77)
        var (tries, misses) = (0, 0)
        while !end.isReached {
          let id = random.below(total)
          let before = score.all
          let target = Self.record(id, round: 0).vector ?? Vector([Float](repeating: 0, count: 8))
          let hit = try await collection.search(SearchQuery(target: .vector(target), k: 1, effort: 200)).first
          let after = score.all
          if before[id].acknowledged % 2 == 1, after[id].begun == before[id].acknowledged {
            tries += 1
            if hit?.id != .number(UInt64(id)) { misses += 1 }
          } else if before[id].acknowledged == after[id].begun {
            #expect(hit?.id != .number(UInt64(id)), "graph search finds \(id), which is deleted")
          }
          let count = try await collection.count()
          #expect(count >= 0 && count <= total)
        }
        #expect(misses == 0, "graph search misses \(misses) of \(tries)")
        return false
      }
      group.addTask {
        while !end.isReached {
          try await collection.flush()
          try await collection.compact()
        }
        return false
      }
      var writing = Self.writers
      while let isWriter = try await group.next() {
        if isWriter { writing -= 1 }
        if writing == 0 { end.reach() }
      }
    }
    let final = score.all
    let live = final.filter { $0.acknowledged % 2 == 1 }.count
    #expect(try await collection.count() == live)
    try await collection.close()
    let reopened = try await Collection.open(folder.path + "/c", options: options, runtime: .system())
    #expect(try await reopened.count() == live)
    let records = try await reopened.scan(limit: total + 1)
    Self.check(
      records.map { (id: Int($0.id.text) ?? -1, round: Self.round($0.payload)) }, final, final, "reopening")
    try await reopened.close()
  }
}
