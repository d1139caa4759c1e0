// One data folder through many lives of its node, the load on it, and the comparison with the ledgers.

import Core
import Foundation
import Storage
import Wire

struct KillWorld {
  static let collection = "killed"
  private static let writers = 6
  private static let recordsPerWriter = 150
  /// Few rows per memtable, so that a short burst is enough for flushes and merges.
  private static let settings = ["--memtable-rows", "150", "--memory", "64MiB"]

  let node: ServeProcess
  private let runtime: Runtime
  private var client: Client
  private var ledgers: [WriterLedger]
  private var random: SplitMix64
  private(set) var flushes = 0
  private(set) var compactions = 0
  private(set) var reads = 0
  private(set) var soughtByGraph = 0
  private(set) var foundByGraph = 0
  private var happenedUnacknowledged = 0

  init(seed: UInt64) throws {
    node = try ServeProcess()
    runtime = try Runtime.system()
    random = SplitMix64(seed: seed)
    client = Client(SocketAddress(host: "127.0.0.1", port: 1), runtime: runtime)
    ledgers = (0..<Self.writers).map { writer in
      WriterLedger(
        number: writer, indices: (0..<Self.recordsPerWriter).map { $0 * Self.writers + writer }, seed: seed)
    }
  }

  var acknowledgedCalls: Int { ledgers.reduce(0) { $0 + $1.acknowledgedCalls } }

  var summary: String {
    "\(acknowledgedCalls) acknowledged calls, \(happenedUnacknowledged) more happened, \(reads) reads between, "
      + "\(flushes) flushes, \(compactions) merges, graph found \(foundByGraph) of \(soughtByGraph)"
  }

  /// True once in `count` times.
  mutating func flips(_ count: Int) -> Bool { Int.random(in: 0..<count, using: &random) == 0 }

  mutating func start() async throws {
    try await node.start(Self.settings)
    await client.close()
    var configuration = ClientConfiguration()
    // The next life has another address; and a call tried again would hide what became of the first try.
    configuration.attemptsMax = 1
    client = Client(
      try SocketAddress(text: node.address, defaultPort: 0), configuration: configuration, runtime: runtime)
  }

  func createCollection() async throws {
    try await client.createCollection(
      Self.collection, schema: CollectionSchema(dimension: TestRecord.dimension))
  }

  // MARK: Dying

  /// Kills a node that has just begun to recover.
  mutating func killDuringStart() async throws {
    _ = try await node.stop(SIGKILL)
    let arguments = ["serve", "--data", "data", "--listen", "127.0.0.1:0", "--log-level", "error"]
    let (process, _, _) = try RoostProcess.make(arguments + Self.settings, folder: node.folder)
    try process.run()
    try await pause(milliseconds: 0...150)
    kill(process.processIdentifier, SIGKILL)
    await RoostProcess.exit(of: process)
  }

  /// Writes and reads from many tasks, and kills the node in the middle of it.
  mutating func loadAndKill() async throws {
    let (client, runtime) = (client, runtime)
    var ended: [(ledger: WriterLedger, error: RoostError)] = []
    var readerEnd: ReaderEnd?
    let waitMs = UInt64.random(in: 20...250, using: &random)
    let readerSeed = random.next()
    try await withThrowingTaskGroup(of: Ended.self) { group in
      for ledger in ledgers {
        group.addTask(executorPreference: runtime.executors[0]) {
          var ledger = ledger
          let error = await ledger.write(client, Self.collection)
          return .writer(ledger, error)
        }
      }
      group.addTask(executorPreference: runtime.executors[0]) {
        .reader(await Self.read(client, seed: readerSeed))
      }
      try await runtime.clock.sleep(nanos: waitMs * 1_000_000)
      _ = try await node.stop(SIGKILL)
      for try await end in group {
        switch end {
        case .writer(let ledger, let error): ended.append((ledger, error))
        case .reader(let end): readerEnd = end
        }
      }
    }
    ledgers = ended.map(\.ledger).sorted { $0.number < $1.number }
    for error in ended.map(\.error) + [readerEnd?.error].compactMap({ $0 }) {
      // Anything else than the lost connection is a failure of the node before it died.
      guard [.connectionClosed, .unavailable, .io].contains(error.kind) else { throw error }
    }
    if let readerEnd {
      flushes += readerEnd.flushes
      compactions += readerEnd.compactions
      reads += readerEnd.reads
    }
  }

  private enum Ended: Sendable {
    case writer(WriterLedger, RoostError)
    case reader(ReaderEnd)
  }

  private struct ReaderEnd: Sendable {
    var flushes = 0
    var compactions = 0
    var reads = 0
    var error = RoostError(.cancelled, "not yet")
  }

  /// Reads while others write: every record must be one that a single write has made.
  private static func read(_ client: Client, seed: UInt64) async -> ReaderEnd {
    var end = ReaderEnd()
    var random = SplitMix64(seed: seed)
    do throws(RoostError) {
      while true {
        let indices = (0..<8).map { _ in Int.random(in: 0..<writers * recordsPerWriter, using: &random) }
        for (index, record) in zip(
          indices, try await client.get(indices.map(TestRecord.id), from: collection))
        {
          if let record, TestRecord.step(of: record, index: index) == nil {
            throw RoostError(.corrupted, "a mixed or foreign record", at: "record \(index)")
          }
        }
        let target = TestRecord.make(indices[0], step: 1).vector ?? Vector([0] as [Float])
        _ = try await client.search(SearchQuery(target: .vector(target), k: 5), in: collection)
        let stats = try await client.stats(of: collection)
        if case .int(let flushes)? = stats["flushes"] { end.flushes = Int(flushes) }
        if case .int(let compactions)? = stats["compactions"] { end.compactions = Int(compactions) }
        end.reads += 1
      }
    } catch {
      end.error = error
      return end
    }
  }

  private mutating func pause(milliseconds: ClosedRange<UInt64>) async throws {
    try await runtime.clock.sleep(nanos: UInt64.random(in: milliseconds, using: &random) * 1_000_000)
  }

  // MARK: Checking

  /// Compares all that the node answers with the ledgers. Returns every contradiction.
  mutating func check() async throws -> [String] {
    var problems: [String] = []
    var found: [Int: Int] = [:]
    for try await page in client.scan(Self.collection) {
      for record in page.records {
        guard case .int(let number)? = record.payload["index"],
          let step = TestRecord.step(of: record, index: Int(number))
        else {
          problems.append("the scan shows a record that nobody wrote: \(record.id.text)")
          continue
        }
        if found.updateValue(step, forKey: Int(number)) != nil {
          problems.append("the scan shows record \(number) twice")
        }
      }
    }
    for writer in ledgers.indices {
      let before = ledgers[writer].steps
      problems += ledgers[writer].reconcile(found)
      if before != ledgers[writer].steps { happenedUnacknowledged += 1 }
    }
    problems += try await checkGets(found)
    let count = try await client.count(in: Self.collection)
    if count != found.count { problems.append("count says \(count), the scan has \(found.count)") }
    let threshold = Int64(found.values.sorted().dropFirst(found.count / 2).first ?? 0)
    let newer = try await client.count(in: Self.collection, filter: try Filter(text: "step >= \(threshold)"))
    let expected = found.values.count { $0 >= Int(threshold) }
    if newer != expected { problems.append("the filtered count says \(newer) instead of \(expected)") }
    return try await problems + checkSearches(found)
  }

  private func checkGets(_ found: [Int: Int]) async throws -> [String] {
    let all = Array(0..<Self.writers * Self.recordsPerWriter)
    let records = try await client.get(all.map(TestRecord.id), from: Self.collection)
    return zip(all, records).compactMap { (index, record) in
      let step = record.flatMap { TestRecord.step(of: $0, index: index) }
      if record != nil && step == nil { return "get shows a record \(index) that nobody wrote" }
      return step == found[index] ? nil : "get and scan differ about record \(index)"
    }
  }

  /// Searches near some of the records, in every segment and in memory, and near some that are gone.
  private mutating func checkSearches(_ found: [Int: Int]) async throws -> [String] {
    guard !found.isEmpty else { return [] }
    let sought = found.keys.sorted().shuffled(using: &random).prefix(24)
    var queries: [SearchQuery] = []
    for exact in [false, true] {
      for index in sought {
        let vector = TestRecord.make(index, step: found[index] ?? 0).vector ?? Vector([0] as [Float])
        queries.append(SearchQuery(target: .vector(vector), k: 5, exact: exact, includeVector: true))
      }
    }
    let answer = try await client.search(queries, in: Self.collection)
    var problems: [String] = []
    for (position, hits) in answer.hits.enumerated() {
      let index = sought[sought.startIndex + position % sought.count]
      let isHit = hits.first?.id == TestRecord.id(index) && hits.first?.distance == 0
      if queries[position].exact {
        if !isHit { problems.append("the exact search does not find record \(index)") }
      } else {
        soughtByGraph += 1
        if isHit { foundByGraph += 1 }
      }
      for hit in hits {
        guard let payload = hit.payload, case .int(let number)? = payload["index"],
          case .int(let step)? = payload["step"], found[Int(number)] == Int(step),
          TestRecord.make(Int(number), step: Int(step)).vector == hit.vector
        else {
          problems.append("the search shows \(hit.id.text) as it is not")
          continue
        }
      }
    }
    return problems
  }
}
